"""What a module holds besides its parameters and buffers.

Plain tensors, numbers, generators, what its functions have captured: `Fleet` stacks none of that, so models
are of one shape only where all of it is the same.
"""

import copy
import functools
import hashlib
from collections import deque
from types import FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor, nn

REGISTERED = ("_parameters", "_buffers", "_modules", "training")


def fingerprint(module: nn.Module) -> str:
    """Return a checksum of all that a module holds besides parameters, buffers and modes.

    Two modules with the same one differ in nothing but parameters and buffers. Where that cannot be known,
    the checksum is like no other module's: scripted code, or a function that has captured a part of its
    module and would go on using it in a copy.

    Examples
    --------
    >>> one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    >>> fingerprint(one) == fingerprint(other)
    True
    >>> one.mask = torch.ones(2)
    >>> fingerprint(one) == fingerprint(other)
    False
    """
    walk = _Walk()
    walk.module(module)
    return walk.digest.hexdigest()


def checksum(value: object) -> str:
    """Return a checksum of any value, with the parameters and buffers of the modules in it.

    Examples
    --------
    >>> checksum([1, "a"]) == checksum([1, "a"]), checksum([1]) == checksum([2])
    (True, False)
    """
    walk = _Walk()
    walk.walk(value)
    return walk.digest.hexdigest()


def copy_of(module: nn.Module) -> nn.Module:
    """Return a deep copy, also of a module that holds a tensor which still hangs on its history.

    Examples
    --------
    >>> layer = nn.Linear(2, 2)
    >>> layer.last = layer(torch.ones(2))
    >>> copy_of(layer).last.requires_grad
    False
    """
    walk = _Walk()
    walk.module(module)
    held = [one for _, one in walk.seen.values() if isinstance(one, Tensor) and not one.is_leaf]
    return copy.deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in held})


class _Walk:
    """One way through everything that hangs on a module."""

    def __init__(self):
        self.digest = hashlib.sha256()
        self.seen: dict[int, tuple[int, object]] = {}  # the object is kept, so that no other gets its id

    def say(self, *words: object) -> None:
        """Add words to the checksum."""
        for word in words:
            self.digest.update(word if isinstance(word, bytes) else f"{word!r},".encode())

    def module(self, root: nn.Module) -> None:
        """Go through a module: first what is registered, so that it is known wherever it is met again."""
        for item in (*root.modules(), *root.parameters(), *root.buffers()):
            self.seen.setdefault(id(item), (len(self.seen), item))
        for name, tensor in (
            *root.named_parameters(remove_duplicate=False),
            *root.named_buffers(remove_duplicate=False),
        ):
            self.say(name, self.seen[id(tensor)][0], tensor.requires_grad)
        for path, layer in root.named_modules():
            self.say(path, type(layer).__qualname__)
            if isinstance(layer, torch.jit.ScriptModule):
                self.say(id(layer))
            else:
                self.walk({name: one for name, one in vars(layer).items() if name not in REGISTERED})

    def walk(self, value: object, captured: bool = False) -> None:
        """Go through a value; ``captured`` if it was met inside a function, which no copy of it can reach."""
        if captured and isinstance(value, (nn.Module, Tensor)):
            self.say(id(value))
        elif id(value) in self.seen:
            self.say("again", self.seen[id(value)][0])
        elif value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            self.say(value)
        else:
            self.seen[id(value)] = len(self.seen), value
            self.say(type(value).__qualname__)
            for one in _inside(value):
                self.walk(one, captured or isinstance(value, FunctionType))
            if isinstance(value, nn.Module):
                self.module(value)


def _content(tensor: Tensor) -> object:
    """Return a tensor's bytes, or what no other tensor has if they cannot be read."""
    try:
        return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    except (RuntimeError, NotImplementedError):  # sparse, on no device, or of a transform that is over
        return id(tensor)


def _inside(value: object) -> list[object]:
    """List what an object is made of."""
    if isinstance(value, nn.Module):  # that is not registered: its weights are not trained
        return [*value.parameters(), *value.buffers()]
    if isinstance(value, Tensor):
        return [repr(value.dtype), repr(value.shape), value.requires_grad, _content(value)]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value.dtype.str, repr(value.shape), value.tobytes()]
    if isinstance(value, dict):  # other keys than names are numbers that torch gave to hooks
        return [part for name, one in value.items() for part in (name if isinstance(name, str) else "", one)]
    if isinstance(value, (list, tuple, deque)):
        return [len(value), *value]
    if isinstance(value, (set, frozenset)):
        return [repr(sorted(map(repr, value)))]
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__qualname__, value.__defaults__, value.__kwdefaults__, cells]
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return [getattr(value, "__qualname__", None) or (repr(value) if isinstance(value, _PLAIN) else None)]
    return [vars(value)]


_PLAIN = (torch.dtype, torch.device, torch.Size, range, slice)
