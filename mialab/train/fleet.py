"""The trained models, and what they answer."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mialab import _check

State = dict[str, Tensor]

_ANSWERS_AT_ONCE = 2**17  # records × models in one forward pass: bounds the memory of `predict`


@dataclass(frozen=True, eq=False)
class Fleet:
    """Many models of one shape, kept as stacked tensors.

    Attributes
    ----------
    template
        A module of that shape; its own weights mean nothing.
    state
        For every parameter and buffer of the template, a tensor with the models as its first axis.

    Examples
    --------
    >>> from mialab import models
    >>> alone = models.mlp(4, (8,), 3)
    >>> fleet = Fleet.of([alone, alone])
    >>> len(fleet), type(fleet[0]).__name__
    (2, 'Sequential')
    """

    template: nn.Module
    state: State

    @classmethod
    def of(cls, modules: list[nn.Module]) -> "Fleet":
        """Stack modules of one shape."""
        states = [module.state_dict() for module in modules]
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        return cls(copy.deepcopy(modules[0]), stacked)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(next(iter(self.state.values())))

    def __getitem__(self, model: int) -> nn.Module:
        """Return one model as a module of its own, in evaluation mode."""
        if not 0 <= model < len(self):
            raise IndexError(f"model must be in 0 … {len(self) - 1}, got {model}")
        alone = copy.deepcopy(self.template)
        alone.load_state_dict({name: stacked[model] for name, stacked in self.state.items()})
        return alone.eval()

    def part(self, start: int, stop: int) -> "Fleet":
        """Return models ``start`` … ``stop - 1`` as a fleet that shares their memory."""
        return Fleet(self.template, {name: stacked[start:stop] for name, stacked in self.state.items()})


def predict(
    models: nn.Module | Fleet, x: Float[ndarray, "records *features"]
) -> Float[ndarray, "*models records classes"]:
    """Return the logits of one model, or of every model of a fleet, for every record.

    Models answer in evaluation mode, on the device where they are; the answer is a float32 array of
    shape (records, classes) for a module and (models, records, classes) for a fleet.

    Raises
    ------
    ValueError
        If a record holds NaN or infinity.
    """
    _check.finite("x", x)
    fleet = models if isinstance(models, Fleet) else Fleet.of([models])
    device = next(iter(fleet.state.values())).device
    # NumPy gives an axis of length 1 any stride; one that looks like channels-last breaks vmap of GroupNorm.
    inputs = torch.from_numpy(x).clone(memory_format=torch.contiguous_format)
    template = copy.deepcopy(fleet.template).eval()

    def forward(state: State, records: Tensor) -> Tensor:
        return functional_call(template, state, (records,))

    rows = max(1, _ANSWERS_AT_ONCE // len(fleet))
    with torch.no_grad():
        pieces = [
            vmap(forward, in_dims=(0, None))(fleet.state, piece.to(device)).cpu()
            for piece in inputs.split(rows)
        ]
    logits = torch.cat(pieces, dim=1).numpy()
    return logits if isinstance(models, Fleet) else logits[0]


def assemble(fleets: list[Fleet]) -> Fleet:
    """Join the shards of a fleet in their order."""
    names = fleets[0].state
    return Fleet(
        fleets[0].template, {name: torch.cat([part.state[name] for part in fleets]) for name in names}
    )


def to_arrays(state: State) -> dict[str, np.ndarray]:
    """Copy a state into NumPy arrays, for a file."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}
