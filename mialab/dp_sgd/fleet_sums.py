"""Clipped sums of a whole fleet, two ways.

Every way is a function ``(inputs, labels, there) -> (sums, norms)``. The models' batches differ in size, so
they are filled up to the longest with records that are not ``there``: their gradients count zero times.
`general_sums` takes any module; `perceptron_sums` writes the backward pass of a perceptron out, where the
gradient of a record in one layer is a product of two vectors, whose length is the product of theirs
(Goodfellow 2015).

Shapes: inputs (models, batch, …), labels and there (models, batch), sums (models, weights), norms (models,
batch).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from mialab import _functional
from mialab.dp_sgd.clipping import factors, lengths, trainable
from mialab.dp_sgd.layers import added_up, gamma
from mialab.train.fleet import State
from mialab.train.steps import linear_layers

Sums = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def make_sums(template: nn.Module, state: State, clip: float) -> Sums:
    """Choose the way for a module: perceptrons by hand, everything else in general."""
    layers = linear_layers(template)
    if layers is None or len(trainable(template)) < 2 * len(layers):  # some are frozen, or used at two places
        return general_sums(template, state, clip)
    return perceptron_sums(layers, state, clip)


def general_sums(template: nn.Module, state: State, clip: float) -> Sums:
    """Return the sums of any module: the gradient of every record of every model, side by side."""
    names = list(trainable(template))
    rest = {name: tensor for name, tensor in state.items() if name not in names}

    def loss(weights: State, rest: State, record: Tensor, label: Tensor) -> Tensor:
        logits = _functional.call(template, {**weights, **rest}, record.unsqueeze(0))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    def one_model(
        weights: State, rest: State, inputs: Tensor, labels: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        gradients = vmap(grad(loss), in_dims=(None, None, 0, 0))(weights, rest, inputs, labels)
        norms = lengths(gradients)
        shorten = factors(norms, clip) * there
        return torch.cat([added_up(shorten, gradients[name]).flatten() for name in names]), norms

    def sums(inputs: Tensor, labels: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        weights = {name: state[name] for name in names}
        return vmap(one_model)(weights, rest, inputs, labels, there)

    return sums


def perceptron_sums(layers: list[str], state: State, clip: float) -> Sums:
    """Return the sums of a stack of linear layers with ReLU between them, activations features-first."""
    weights = [(state[f"{name}.weight"], state[f"{name}.bias"].unsqueeze(2)) for name in layers]

    @torch.no_grad()
    def sums(inputs: Tensor, labels: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        hidden = [inputs.flatten(2).mT]
        for weight, bias in weights[:-1]:
            hidden.append(torch.baddbmm(bias, weight, hidden[-1]).relu_())
        weight, bias = weights[-1]
        errors = [_error(torch.baddbmm(bias, weight, hidden[-1]), labels)]
        for (weight, _), activation in zip(weights[:0:-1], hidden[:0:-1], strict=True):
            errors.append(torch.bmm(weight.mT, errors[-1]) * (activation > 0))
        squares = [
            _largest_square(error) * (_largest_square(activation) + 1)
            for error, activation in zip(errors[::-1], hidden, strict=True)
        ]
        norms = torch.stack(squares).sum(0).sqrt() * (1 + gamma(len(layers) + 4, inputs.dtype))
        shorten = (factors(norms, clip) * there).unsqueeze(1)
        pieces = []
        for error, activation in zip(errors[::-1], hidden, strict=True):
            clipped = error * shorten
            pieces += [torch.bmm(clipped, activation.mT).flatten(1), clipped.sum(2)]
        return torch.cat(pieces, dim=1), norms

    return sums


def _largest_square(each: Tensor) -> Tensor:
    """Return how large the squared length of (models, features, batch) over features can be at most."""
    features, info = each.shape[1], torch.finfo(each.dtype)
    return each.square().sum(1).add_(features * info.tiny).mul_(1 + gamma(2 * features + 16, each.dtype))


def _error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of each record's cross-entropy: softmax minus the label."""
    one = logits.new_full((), -1).expand(len(labels), 1, labels.shape[1])
    return torch.softmax(logits, 1).scatter_add_(1, labels.unsqueeze(1), one)
