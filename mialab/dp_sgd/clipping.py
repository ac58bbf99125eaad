"""The sum of clipped gradients, one gradient a record, in several ways to the same numbers."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mialab import _check
from mialab.dp_sgd import bookkeeping
from mialab.dp_sgd._doors import check_layers

Gradients = dict[str, Tensor]
Norms = Float[Tensor, "records"]
Way = Literal["auto", "ghost", "materialise", "per record"]
Clipper = Callable[[Tensor, Tensor, float], tuple[Gradients, Norms]]

_CLOSE = 1e-3  # relative; what a wrong use of a layer does to a length is of another size


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training may change, by name; one that is shared has one name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def clipped_sum(
    model: nn.Module,
    inputs: Shaped[Tensor, "records *features"],
    labels: Int[Tensor, "records"],
    clip: float,
    way: Way = "auto",
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
    way
        ``"per record"`` makes every gradient: for any model, at the price of its memory. ``"ghost"`` and
        ``"materialise"`` keep books instead, and find the lengths in the one way or the other (`layers`),
        where a layer has both. ``"auto"`` keeps books wherever that is right, chooses for each layer the way
        with less arithmetic, and makes every gradient for all other models.

    Returns
    -------
    The sum, a tensor for each trainable parameter, by name; and the lengths ‖g_i‖ before clipping.

    Raises
    ------
    ValueError
        If ``clip`` is not above 0, records and labels differ in number, a gradient is not finite, the model
        has layers that mix records, or books were asked for and would be wrong.

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
    total, norms = make_clipper(model, inputs, way)(inputs, labels, clip)
    check_finite(norms)
    return total, norms


def make_clipper(model: nn.Module, example: Tensor, way: Way = "auto") -> Clipper:
    """Look at a model once, with some records at hand, and return the function for its clipped sums.

    The function leaves it to the caller to look whether the lengths are finite: if not, the sum is none.
    """
    _check.one_of("way", way, ("auto", "ghost", "materialise", "per record"))
    check_layers(model)
    if way == "per record":
        return _clipper(model, by_record)
    reason = _try(model, example[:3]) if len(example) else None
    if reason and way != "auto":
        _check.refuse("way", f"be 'auto' or 'per record' here ({reason})", repr(way))
    if reason:
        return _clipper(model, by_record)

    def by_book(model: nn.Module, inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
        try:
            parts = bookkeeping.parts(model, inputs, labels, way)
        except bookkeeping.UnsuitableError:  # this time the model did something else
            return by_record(model, inputs, labels, clip)
        norms = bookkeeping.lengths(parts)
        return bookkeeping.weighted(parts, factors(norms, clip)), norms

    return _clipper(model, by_book)


def _clipper(model: nn.Module, clipped: Callable[..., tuple[Gradients, Norms]]) -> Clipper:
    """Give a way its model, and add zeros for empty batches and for weights that a step did not use."""

    def run(inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
        weights = trainable(model)
        total, norms = (
            clipped(model, inputs, labels, clip)
            if len(labels)
            else ({}, torch.zeros(0, device=labels.device))
        )
        unused = {name: torch.zeros_like(weight) for name, weight in weights.items() if name not in total}
        return {name: total[name] if name in total else unused[name] for name in weights}, norms

    return run


def by_record(model: nn.Module, inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
    """Make every record's gradient, then measure, shorten and add."""
    gradients = per_record(model, inputs, labels)
    norms = lengths(gradients)
    factor = factors(norms, clip)
    return {name: torch.tensordot(factor, one, 1) for name, one in gradients.items()}, norms


def _try(model: nn.Module, records: Tensor) -> str | None:
    """Return why book-keeping would be wrong for a model, or None: try it with two and with three records.

    Sizes tell which axis the records are in, and the lengths must be those of every record's own gradient.
    Dropout is switched off: its masks differ from one time to the next.
    """
    training = {layer: layer.training for layer in model.modules()}
    try:
        model.eval()
        batch = records.repeat(3, *[1] * (records.ndim - 1))[:3]
        label = torch.zeros(3, dtype=torch.long, device=records.device)
        truth = lengths(per_record(model, batch, label))
        for count in (2, 3):
            books = bookkeeping.lengths(bookkeeping.parts(model, batch[:count], label[:count], "auto"))
            if not torch.allclose(books, truth[:count], rtol=_CLOSE, atol=0, equal_nan=True):
                return "gradients do not have the lengths that the books give them"
    except bookkeeping.UnsuitableError as error:
        return str(error)
    finally:
        for layer, mode in training.items():
            layer.training = mode
    return None


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
