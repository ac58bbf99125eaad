"""The array types that signatures use, in the words of the notation table."""

from jaxtyping import Bool, Float, Int, Real
from numpy import ndarray

Score = Float[ndarray, "records"]
Member = Bool[ndarray, "records"]
Inputs = Real[ndarray, "records *features"]  # of a model: of any width, cast to the model's
Label = Int[ndarray, "records"]
SignalMatrix = Float[ndarray, "models records"]
MemberMatrix = Bool[ndarray, "models records"]
