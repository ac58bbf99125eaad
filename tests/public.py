"""What is public: found by walking both packages, so that nobody has to remember a new function."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from enum import EnumMeta
from itertools import chain
from types import ModuleType
from typing import Any

import mialab
import mialab_book

WALKED = ("mialab.", "mialab_book.data", "mialab_book.faults", "mialab_book.gallery")
"""Of the book's own package: not the checkers, which take what students hand in, and what one page calls."""


def modules() -> Iterator[ModuleType]:
    """Import every module whose functions are public as they stand.

    A package that has ``__all__`` says what is public of it; its modules are public where that list names
    them. In a package without one, and at the top, every module without an underscore is.
    """
    walks = (pkgutil.walk_packages(each.__path__, f"{each.__name__}.") for each in (mialab, mialab_book))
    for found in chain(*walks):
        parts = found.name.split(".")
        if not found.name.startswith(WALKED) or any(part.startswith("_") for part in parts):
            continue
        above = importlib.import_module(".".join(parts[:-1]))
        module = importlib.import_module(found.name)
        listed = parts[-1] in getattr(above, "__all__", parts)
        if listed and getattr(above, parts[-1]) is module:  # and no function of the same name
            yield module


def things() -> dict[str, Any]:
    """Return the public functions and classes by the name under which they are defined."""
    named: dict[str, Any] = {}
    for module in modules():
        names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        for name in names:
            thing = getattr(module, name)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)):
                continue
            own = hasattr(module, "__all__") or thing.__module__ == module.__name__
            called = not (isinstance(thing, EnumMeta) or getattr(thing, "_is_protocol", False))
            if own and called and thing.__module__.startswith(WALKED):
                named[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return named


def callables() -> dict[str, Any]:
    """Return what a user can call with arguments: functions, classes, and their own public methods."""
    found: dict[str, Any] = {}
    for name, thing in things().items():
        if inspect.isfunction(thing):
            found[name] = thing
            continue
        found[name] = thing
        for method, defined in vars(thing).items():
            plain = getattr(defined, "__func__", defined)
            public = method == "__call__" or not method.startswith("_")
            field = method in getattr(thing, "__dataclass_fields__", {})  # which may hold a function
            if inspect.isfunction(plain) and public and not field:
                found[f"{name}.{method}"] = plain
    return {name: thing for name, thing in found.items() if takes_something(thing)}


def takes_something(thing: Any) -> bool:
    """Tell whether there is an argument that could be wrong."""
    try:
        names = list(inspect.signature(thing).parameters)
    except ValueError:  # an exception, which takes what all exceptions take
        return False
    return bool([name for name in names if name != "self" and name != "cls"])
