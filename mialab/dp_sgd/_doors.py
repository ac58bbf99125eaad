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
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.max_norm:
            why = "max_norm shortens the rows of a record's words as it passes, without noise"
            _check.refuse(who, f"{must} {_ALONE} ({why})", f"{layer} at {name!r}")


def check_alone(model: nn.Module, records: Tensor) -> None:
    """Try it: the first record's logits must not change with its neighbour, and no tensor with either."""
    first = records[:1]
    _answer(model, first)  # what it does to its own weights once and for all, such as a clamp, is no record's
    before = {name: tensor.clone() for name, tensor in _tensors(model).items()}
    pairs = [torch.cat([first, other]) for other in (torch.zeros_like(first), *records.split(1))]
    same, *others = [_answer(model, pair)[0] for pair in pairs]
    if not all(torch.allclose(same, other, rtol=1e-4, atol=1e-5, equal_nan=True) for other in others):
        _check.refuse("make_model", _RETURN, "logits that changed with another record of the batch")
    for name, tensor in _tensors(model).items():
        if name not in before or not torch.equal(before[name], tensor):
            rule = f"{_RETURN}, and no buffer, weight or attribute that its forward pass changes"
            _check.refuse("make_model", rule, repr(name))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return whatever tensors a module holds, by name."""
    held = {}
    for path, layer in model.named_modules():
        for name, tensor in [*vars(layer).items(), *layer._parameters.items(), *layer._buffers.items()]:
            if isinstance(tensor, Tensor):
                held[f"{path}.{name}".removeprefix(".")] = tensor
    return held


@torch.no_grad()
def _answer(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits of a model as it trains, with the same random numbers at every call."""
    with _rng.torch_stream(np.random.default_rng(0)):
        return model.train()(inputs)
