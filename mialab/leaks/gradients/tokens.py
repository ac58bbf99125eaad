"""What a gradient shows without any statistics. NumPy only.

The row of an embedding that nobody looked up gets no gradient at all, so the rows that are not zero are the
set of tokens in the batch (Melis et al. 2019). And for a first layer z = Wx + b and one record,
∂L/∂W = δ xᵀ and ∂L/∂b = δ: dividing any row of the one by the same entry of the other gives the record.
Gradient *inversion* (Zhu, Liu & Han 2019) has to search where this divides.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door


@door
def tokens_in(embedding: Float[ndarray, "vocabulary width"]) -> Bool[ndarray, "vocabulary"]:
    """Return which tokens were in the batch, from the update of the embedding's weight.

    Exact for updates by plain gradients, however many steps and clients; whatever touches rows that nobody
    looked up (weight decay, noise) hides it.

    Raises
    ------
    ValueError
        If a number is not finite.

    Examples
    --------
    >>> tokens_in(np.array([[0.1, 0.0], [0.0, 0.0], [0.0, -2.0]]))
    array([ True, False,  True])
    """
    _check.finite("embedding", embedding)
    return (embedding != 0).any(axis=1)


@door
def first_input(
    weight: Float[ndarray, "outputs inputs"], bias: Float[ndarray, "outputs"]
) -> Float[ndarray, "inputs"]:
    """Return the one record whose gradient this is, from the first layer's part of it.

    The least-squares solution of δ xᵀ = ∂L/∂W, which is a mean over the rows, weighted by δ². For a batch of
    several records what comes out is a mixture, weighted by their δ; nothing says so but the misfit.

    Parameters
    ----------
    weight, bias
        The gradients of a linear layer's weight and bias, at the input.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or the bias has no gradient: then the record
        pushed nothing.

    Examples
    --------
    >>> x, delta = np.array([0.5, -1.0]), np.array([2.0, 0.0, -3.0])
    >>> first_input(np.outer(delta, x), delta)
    array([ 0.5, -1. ])
    """
    _check.finite("weight", weight)
    _check.finite("bias", bias)
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        _check.refuse("weight and bias", "be those of one linear layer", f"{weight.shape} and {bias.shape}")
    if not bias.any():
        _check.refuse("bias", "have a gradient that is not zero", "all zeros")
    scale = np.abs(bias).max()
    share = bias / scale
    return (share @ weight) / scale / (share @ share)
