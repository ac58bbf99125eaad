"""Between NumPy, torch and this package: arrays as tensors, calls with other weights, logits of classes."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call


def as_tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor that shares its memory, where it may be written to."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def class_logits(answer: Tensor) -> Tensor:
    """Return logits (records, classes), where a model with one logit z has the two logits (0, z).

    Then p(1) = 1/(1 + e⁻ᶻ), and the cross-entropy is the binary one: nothing else need know of such models.

    Examples
    --------
    >>> class_logits(torch.tensor([[3.0], [-1.0]]))
    tensor([[ 0.,  3.],
            [ 0., -1.]])
    """
    columns = answer.unsqueeze(-1) if answer.ndim == 1 else answer
    return nn.functional.pad(columns, (1, 0)) if columns.shape[-1] == 1 else columns


def call(module: nn.Module, state: dict[str, Tensor], *inputs: Tensor) -> Tensor:
    """Return what a module answers with these parameters and buffers in place of its own.

    `torch.func.functional_call`, but for modules that hold one layer at two places: torch's own puts a plain
    tensor into such a layer and forgets to take it out.

    Parameters
    ----------
    module
        It is left as it was.
    state
        Parameters and buffers by name; one that is shared by the first of its names, as
        ``named_parameters`` gives it. Those that are missing are the module's own.
    inputs
        What the module is asked.

    Examples
    --------
    >>> layer = nn.Linear(2, 2, bias=False)
    >>> twice = nn.Sequential(layer, layer)
    >>> call(twice, {"0.weight": 3 * torch.eye(2)}, torch.ones(1, 2))
    tensor([[9., 9.]])
    >>> type(layer.weight).__name__
    'Parameter'
    """
    first = {id(tensor): name for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    places = {
        f"{path}.{name}".removeprefix("."): state[first[id(tensor)]]
        for path, layer in module.named_modules()
        for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        if first[id(tensor)] in state
    }
    return functional_call(module, places, inputs, tie_weights=False)
