"""The sum of clipped gradients, one gradient a record."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mialab import _check

Gradients = dict[str, Tensor]
Norms = Float[Tensor, "records"]


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training may change, by name; one that is shared has one name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def clipped_sum(
    model: nn.Module,
    inputs: Float[Tensor, "records *features"],
    labels: Int[Tensor, "records"],
    clip: float,
    *,
    when: str = "",
) -> tuple[Gradients, Norms]:
    """Return the sum of the records' gradients, each shortened to length ``clip`` if it is longer.

    With g_i the gradient of record i's own cross-entropy in all trainable parameters together,

        Σ_i min(1, C/‖g_i‖) · g_i   (Abadi et al. 2016, Algorithm 1).

    The model is asked in the mode it is in, and left as it was.

    Parameters
    ----------
    model
        Takes a batch of records, returns logits (records, classes), and does not mix records.
    inputs, labels
        The batch; it may be empty.
    clip
        C, above 0; may be infinite.
    when
        Ends the error about a gradient that is not finite, as in ``" at step 3"``.

    Returns
    -------
    The sum, a tensor for each trainable parameter, by name; and the lengths ‖g_i‖ before clipping.

    Raises
    ------
    ValueError
        If ``clip`` is not above 0, records and labels differ in number, or a gradient is not finite.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> total, norms = clipped_sum(mlp(4, (), 3), torch.eye(4), torch.tensor([0, 1, 2, 0]), clip=0.1)
    >>> {name: tuple(tensor.shape) for name, tensor in total.items()}, norms.shape
    ({'1.weight': (3, 4), '1.bias': (3,)}, torch.Size([4]))
    """
    if not clip > 0:
        _check.refuse("clip", "be above 0", clip)
    if labels.ndim != 1 or inputs.ndim < 2 or len(inputs) != len(labels):
        shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        _check.refuse("inputs and labels", "have shapes (records, features …) and (records)", shapes)
    if len(labels) == 0:
        return {
            name: torch.zeros_like(weight) for name, weight in trainable(model).items()
        }, inputs.new_zeros(0)
    gradients = per_record(model, inputs, labels)
    norms = lengths(gradients)
    check_finite(norms, when)
    shorten = factors(norms, clip)
    return {name: torch.tensordot(shorten, one, 1) for name, one in gradients.items()}, norms


def per_record(model: nn.Module, inputs: Tensor, labels: Tensor) -> Gradients:
    """Return every record's own gradient, records first: for any module, and with much memory."""
    weights = {name: weight.detach() for name, weight in trainable(model).items()}

    def loss(weights: Gradients, record: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, weights, (record.unsqueeze(0),))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    return vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(weights, inputs, labels)


def lengths(gradients: Gradients) -> Norms:
    """Return the Euclidean length of every record's gradient, all parameters together."""
    parts = [torch.linalg.vector_norm(one.flatten(1), dim=1) for one in gradients.values()]
    return torch.linalg.vector_norm(torch.stack(parts), dim=0)


def factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, C/‖g‖), which is 1 where there is no gradient."""
    return (clip / norms).clamp(max=1)


def check_finite(norms: Norms, when: str = "") -> None:
    """Refuse gradients that have no length to clip."""
    wrong = ~torch.isfinite(norms)
    if wrong.any():
        first = int(wrong.nonzero()[0, 0])
        got = f"{norms[first].item()} as length of {int(wrong.sum())} of {len(norms)} gradients{when}"
        _check.refuse("gradients", "be finite", got)
