"""The types that signatures use, in the words of the notation table."""

from fractions import Fraction
from typing import Annotated

from jaxtyping import Bool, Float, Int, Real
from numpy import ndarray

Finer = Annotated[float, Fraction]
"""A number that may be finer than a float, as a fraction is: what takes it rounds to the safe side itself."""

Score = Float[ndarray, "records"]
Member = Bool[ndarray, "records"]
Inputs = Real[ndarray, "records *features"]  # of a model: of any width, cast to the model's
Label = Int[ndarray, "records"]
SignalMatrix = Float[ndarray, "models records"]
MemberMatrix = Bool[ndarray, "models records"]
