"""Does Opacus' clip hold where a record's tokens nearly cancel? With the gradient in hand; not by ghost.

Its ghost clipping finds the squared length of a linear gradient as Σ_st (a_s·a_t)(e_s·e_t), in float32,
and puts what rounding took below 0 to 0 (``compute_linear_norm_sample`` in ``opacus/grad_sample/linear.py``,
the same in every version from 1.5 to 1.6.0). The sum errs by about 2⁻²⁴ · (Σ_t ‖a_t‖ ‖e_t‖)². So a length is
right to one per cent unless the tokens leave less than 1/500 of what they add up to one by one. Ordinary
records do not come near that: in small transformers on digits and on random words we saw no less than 1/8.
But a record can be made that does, and the promise is for that one too.
"""

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn

CLIP, TRIALS = 0.01, 12
MENDED = (
    "Opacus 1.6.0 finds lengths from inner products in float32. If this passes, it no longer does: take the "
    "mark away, keep the test, and say up to which version in the gallery ('length from float32 inner "
    "products') and in the chapter on DP-SGD ('A clip that did not hold')."
)

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


class Difference(nn.Module):
    """A layer that reads two tokens, and a head, frozen, that sees their difference."""

    def __init__(self, rng):
        super().__init__()
        self.read = nn.Linear(64, 64, bias=False)
        self.judge = nn.Linear(64, 2).requires_grad_(False)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.from_numpy(rng.uniform(-0.125, 0.125, weight.shape)))

    def forward(self, x):
        return self.judge(torch.relu(torch.diff(self.read(x), dim=1)[:, 0]))


def two_tokens(size, rng):
    """Return a batch of one record: two tokens of this length, 24 apart."""
    base, apart = rng.normal(size=(2, 64)) / 8
    return torch.from_numpy(np.stack([size * base, size * base + 24 * apart])[None]).float()


def moved(mode, size, rng):
    """Return how far such a record moves the sum in a step without noise, in clips."""
    model, record, label = Difference(rng), two_tokens(size, rng), torch.zeros(1, dtype=torch.long)
    plain = torch.optim.SGD([model.read.weight], lr=1.0)
    how = {"noise_multiplier": 0.0, "max_grad_norm": CLIP, "expected_batch_size": 1}
    if mode == "hooks":
        module, descent, loss = GradSampleModule(model), DPOptimizer(plain, **how), nn.CrossEntropyLoss()
    else:
        module = GradSampleModuleFastGradientClipping(
            model, max_grad_norm=CLIP, use_ghost_clipping=mode == "ghost"
        )
        descent = DPOptimizerFastGradientClipping(plain, **how)
        loss = DPLossFastGradientClipping(module, descent, nn.CrossEntropyLoss(), "mean")
    descent.zero_grad()
    loss(module(record), label).backward()
    descent.step()
    return float(model.read.weight.grad.double().norm()) / CLIP


def trials(mode, size):
    return [moved(mode, size, np.random.default_rng(seed)) for seed in range(TRIALS)]


@pytest.mark.parametrize("mode", ["hooks", "fast"])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_oracle_the_clip_holds_where_the_gradient_is_made(mode, size):
    """The record is longer than the clip by far, so that it is clipped to it."""
    assert trials(mode, size) == pytest.approx([1.0] * TRIALS, rel=5e-4 if mode == "fast" else 1e-4)


@pytest.mark.parametrize("size", [1.0, 1e2])
def test_oracle_the_ghost_clip_holds_where_tokens_do_not_cancel(size):
    assert trials("ghost", size) == pytest.approx([1.0] * TRIALS, rel=1e-4)


@pytest.mark.xfail(raises=AssertionError, strict=True, reason=MENDED)
def test_oracle_the_ghost_clip_holds_where_they_do():
    """It does not: about every second of these records moves the sum by hundreds of clips."""
    assert max(trials("ghost", 1e6)) <= 10
