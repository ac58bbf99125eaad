"""What private training refuses, with the name, the rule and the value.

The proof bounds what one record changes by the clip of one gradient. It says nothing where a record also
changes the gradients of others, or the model by another way.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mialab import _check, _rng
from mialab.train import _doors

_ALONE = "in which what a record does depends on that record alone"
_RETURN = f"return a module {_ALONE}"


def check_private(
    make_model: Callable[[], nn.Module],
    x: np.ndarray,
    y: np.ndarray,
    device: str,
    *,
    dropout: bool,
    pretrained: bool = False,
) -> nn.Module:
    """Refuse what `train.fit` refuses, records without features, and models that mix records.

    With ``dropout``, layers that draw random numbers are welcome: each record has a mask of its own, drawn
    without looking at the data, so its gradient is still a function of that record. Returns the throw-away
    model that was asked.
    """
    if x.ndim < 2:
        _check.refuse("x", "have shape (records, features …)", f"shape {x.shape}")
    model = _doors.check_training(make_model, x, y, device, draws=dropout, pretrained=pretrained)
    check_layers(model, "make_model", "return a module")
    check_alone(model, torch.from_numpy(x[[0, len(x) // 2, -1]]).to(device))
    return model


def check_layers(model: nn.Module, who: str = "model", must: str = "be one") -> None:
    """Refuse the layers that are known to mix records, and say why."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            why = "batch normalisation shows every record the whole batch, so no clip bounds what one changes"
            _check.refuse(who, f"{must} {_ALONE} ({why})", f"{layer} at {name!r}")
        if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
            why = "running averages of the records go into the model without noise"
            _check.refuse(who, f"{must} {_ALONE} ({why})", f"{layer} at {name!r}")


def check_alone(model: nn.Module, records: Tensor) -> None:
    """Try it: the first record's logits must not change with its neighbour, and no buffer with either."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    first = records[:1]
    pairs = [torch.cat([first, other]) for other in (torch.zeros_like(first), *records.split(1))]
    same, *others = [_answer(model, pair)[0] for pair in pairs]
    if not all(torch.allclose(same, other, rtol=1e-4, atol=1e-5, equal_nan=True) for other in others):
        _check.refuse("make_model", _RETURN, "logits that changed with another record of the batch")
    for name, buffer in model.named_buffers():
        if not torch.equal(before[name], buffer):
            _check.refuse("make_model", f"{_RETURN}, and no buffer that training changes", repr(name))


@torch.no_grad()
def _answer(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits of a model as it trains, with the same random numbers at every call."""
    with _rng.torch_stream(np.random.default_rng(0)):
        return model.train()(inputs)
