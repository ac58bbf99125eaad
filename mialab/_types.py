"""The array types that signatures use, in the words of the notation table."""

from jaxtyping import Bool, Float, Int
from numpy import ndarray

Score = Float[ndarray, "records"]
Member = Bool[ndarray, "records"]
Label = Int[ndarray, "records"]
SignalMatrix = Float[ndarray, "models records"]
MemberMatrix = Bool[ndarray, "models records"]
