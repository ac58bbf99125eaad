"""What is public, and that somebody could try all of it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

import public
import test_fuzz


@pytest.fixture(scope="module")
def calls() -> dict[str, test_fuzz.Call]:
    return test_fuzz.run_examples()


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
        "mialab.faults.trainer.Trainer.clip",
    ],
)
def test_pieces_that_no_user_calls_are_not_public(name):
    assert name not in public.callables()


def test_coverage_every_public_function_has_an_example_that_reaches_it(calls):
    assert sorted(set(test_fuzz.public_callables()) - set(calls)) == []


def test_an_example_that_shows_a_refusal_is_tried_with_wrong_things(calls):
    tried = list(test_fuzz.tries("cifar10", calls["mialab.data.fetched.cifar10"]))
    assert tried
    assert {one.verdict for one in tried} == {"clear"}
