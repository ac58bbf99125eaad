"""What the walk over the package takes for public."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

import public


def double(number: float) -> float:
    return 2 * number


@dataclass(frozen=True)
class Pieces:
    """Holds a function in a field, and has one of its own."""

    change: Callable[[float], float] = double

    def apply(self, number: float) -> float:
        return self.change(number)


def test_definition_a_field_that_holds_a_function_is_no_method(monkeypatch):
    monkeypatch.setattr(public, "things", lambda: {"Pieces": Pieces})
    assert set(public.callables()) == {"Pieces", "Pieces.apply"}


@pytest.mark.parametrize(
    "name",
    [
        "mialab.command.Report",
        "mialab.command.judge",
        "mialab.norms.Prepend",
        "mialab.norms.NoisyBatchNorm2d.blur",
        "mialab_book.faults.trainer.Trainer.clip",
    ],
)
def test_pieces_that_no_user_calls_are_not_public(name):
    assert name not in public.callables()
