"""Clipped sums of a whole fleet, two ways.

Either is a function ``(inputs, labels, there) -> (sums, norms)``. The models' batches differ in size, so
they are filled up to the longest with records that are not ``there``: their gradients count zero times.
`general_clipper` takes any module; `perceptron_clipper` writes the backward pass of a perceptron out, where
the gradient of a record in one layer is a product of two vectors, whose norm is the product of theirs
(Goodfellow 2015).

Shapes: inputs (models, batch, …), labels and there (models, batch), sums (models, weights), norms (models,
batch).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from mialab.dp_sgd.clipping import clip_factors
from mialab.per_example.gradients import loss, norms
from mialab.per_example.rounding import gamma, weighted_sum
from mialab.train.fleet import State, trainable
from mialab.train.steps import backpropagate, linear_layers

FleetClipper = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def make_fleet_clipper(template: nn.Module, state: State, clip: float) -> FleetClipper:
    """Choose the clipper for a module: perceptrons by hand, everything else in general."""
    if layers := linear_layers(template):
        return perceptron_clipper(layers, state, clip)
    return general_clipper(template, state, clip)


def general_clipper(template: nn.Module, state: State, clip: float) -> FleetClipper:
    """Return the sums of any module: the gradient of every record of every model, side by side."""
    names = list(trainable(template))
    weights = {name: state[name] for name in names}
    rest = {name: tensor for name, tensor in state.items() if name not in names}

    def one_model(
        weights: State, rest: State, inputs: Tensor, labels: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        def one_loss(weights: State, record: Tensor, label: Tensor) -> Tensor:
            return loss(template, {**weights, **rest}, record, label)

        each = vmap(grad(one_loss), in_dims=(None, 0, 0))
        gradients = each(weights, inputs.unsqueeze(1), labels.unsqueeze(1))
        lengths = norms(gradients)
        factors = clip_factors(lengths, clip) * there
        return torch.cat([weighted_sum(factors, gradients[name]).flatten() for name in names]), lengths

    return partial(vmap(one_model), weights, rest)


def perceptron_clipper(names: list[str], state: State, clip: float) -> FleetClipper:
    """Return the sums of a stack of linear layers with ReLU between them, activations features-first."""
    weights = [(state[f"{name}.weight"], state[f"{name}.bias"].unsqueeze(2)) for name in names]

    @torch.no_grad()
    def clipper(inputs: Tensor, labels: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        layers = backpropagate(weights, inputs, labels)
        squares = [_largest_square(error) * (_largest_square(activation) + 1) for activation, error in layers]
        lengths = torch.stack(squares).sum(0).sqrt() * (1 + gamma(len(layers) + 4, inputs.dtype))
        factors = (clip_factors(lengths, clip) * there).unsqueeze(1)
        pieces = []
        for activation, error in layers:
            clipped = error * factors
            pieces += [torch.bmm(clipped, activation.mT).flatten(1), clipped.sum(2)]
        return torch.cat(pieces, dim=1), lengths

    return clipper


def _largest_square(each: Tensor) -> Tensor:
    """Return how large the squared norm of (models, features, batch) over features can be at most."""
    features, info = each.shape[1], torch.finfo(each.dtype)
    return each.square().sum(1).add_(features * info.tiny).mul_(1 + gamma(2 * features + 16, each.dtype))
