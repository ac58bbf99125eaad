"""One training step of many models at once, in two ways.

Each is a function ``step(inputs, labels)`` that updates stacked weights and velocities in place; what
has no velocity is not trained.
`general_step` takes any module: one `torch.func.vmap` of the forward pass, one ordinary backward pass
through the sum of the models' losses (they share no weight, so each gets its own gradient).
`perceptron_step` is for stacks of linear layers with ReLU between them, where the work of a small model
is so little that its bookkeeping costs more: the backward pass is written out, activations are kept
features-first so that every product is wide, and nothing is allocated. It does the same arithmetic
about twice as fast (``make bench`` prints by how much).
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import vmap

from mialab import _functional
from mialab.train.fleet import State
from mialab.train.recipe import Sgd

Step = Callable[[Tensor, Tensor], None]


def zero_velocity(template: nn.Module, state: State) -> State:
    """Return a velocity of zero for every parameter that is trained."""
    return {
        name: torch.zeros_like(state[name])
        for name, weight in template.named_parameters()
        if weight.requires_grad
    }


def make_step(template: nn.Module, state: State, velocity: State, recipe: Sgd) -> Step:
    """Return the faster step that is right for a module: written out for perceptrons, else general."""
    layers = linear_layers(template)
    if layers is None or len(velocity) < 2 * len(layers):  # some are frozen, or used at two places
        return general_step(template, state, velocity, recipe)
    return perceptron_step(layers, state, velocity, recipe)


def general_step(template: nn.Module, state: State, velocity: State, recipe: Sgd) -> Step:
    """Return a step for any module; like torch's, it leaves weights alone that the loss does not know."""
    weights = {name: state[name].requires_grad_() for name in velocity}
    buffers = {name: tensor for name, tensor in state.items() if name not in velocity}

    def forward(weights: State, buffers: State, inputs: Tensor) -> Tensor:
        return _functional.class_logits(_functional.call(template, {**weights, **buffers}, inputs))

    def step(inputs: Tensor, labels: Tensor) -> None:
        logits = vmap(forward)(weights, buffers, inputs)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=recipe.label_smoothing
        )
        gradients = torch.autograd.grad(loss / labels.shape[1], list(weights.values()), allow_unused=True)
        with torch.no_grad():
            for weight, speed, gradient in zip(weights.values(), velocity.values(), gradients, strict=True):
                if gradient is None:
                    continue
                if recipe.weight_decay:
                    gradient = gradient.add(weight, alpha=recipe.weight_decay)
                speed.mul_(recipe.momentum).add_(gradient)
                weight.sub_(speed, alpha=recipe.learning_rate)

    return step


def linear_layers(module: nn.Module) -> list[str] | None:
    """Name the layers of a perceptron, or return None if the module is anything else.

    Examples
    --------
    >>> linear_layers(nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    ['1', '3']
    >>> linear_layers(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))) is None
    True
    """
    if type(module) is not nn.Sequential:
        return None
    names = [name for name, layer in module.named_children() if type(layer) is not nn.Flatten]
    kinds = [type(module.get_submodule(name)) for name in names]
    alternate = all(kind is (nn.ReLU if place % 2 else nn.Linear) for place, kind in enumerate(kinds))
    flat_first = all(type(layer) is not nn.Flatten for layer in list(module)[1:])
    if not (alternate and flat_first and len(kinds) % 2):
        return None
    biased = all(module.get_submodule(name).bias is not None for name in names[::2])
    return names[::2] if biased else None


def perceptron_step(layers: list[str], state: State, velocity: State, recipe: Sgd) -> Step:
    """Return a step for a stack of linear layers with ReLU between them.

    Shapes: weights (models, out, in), biases (models, out, 1), activations (models, features, batch).
    """
    weights = [(state[f"{name}.weight"], state[f"{name}.bias"].unsqueeze(2)) for name in layers]
    speeds = [(velocity[f"{name}.weight"], velocity[f"{name}.bias"].unsqueeze(2)) for name in layers]
    flat_weights = [tensor for pair in weights for tensor in pair]
    flat_speeds = [tensor for pair in speeds for tensor in pair]
    rooms: dict[int, list[Tensor]] = {}

    def make_room(batch: int) -> list[Tensor]:
        return [weight.new_empty(*weight.shape[:2], batch) for weight, _ in weights for _ in range(2)]

    @torch.no_grad()
    def step(inputs: Tensor, labels: Tensor) -> None:
        batch = labels.shape[1]
        room = rooms.setdefault(batch, make_room(batch) if batch not in rooms else [])
        outputs, errors = room[::2], room[1::2]

        hidden = [inputs.flatten(2).mT]
        for (weight, bias), output in zip(weights, outputs, strict=True):
            torch.baddbmm(bias, weight, hidden[-1], out=output)
            hidden.append(output.relu_() if output is not outputs[-1] else output)

        _cross_entropy_error(hidden.pop(), labels, recipe.label_smoothing, out=errors[-1])
        for (upper, below), (weight, _), activation in zip(
            pairwise(errors[::-1]), weights[:0:-1], hidden[:0:-1], strict=True
        ):
            torch.bmm(weight.mT, upper, out=below)
            torch.ops.aten.threshold_backward(below, activation, 0.0, grad_input=below)

        for (speed, bias_speed), error, activation in zip(speeds, errors, hidden, strict=True):
            speed.baddbmm_(error, activation.mT, beta=recipe.momentum)
            bias_speed.mul_(recipe.momentum).add_(error.sum(2, keepdim=True))
        if recipe.weight_decay:
            _add_all(flat_speeds, flat_weights, recipe.weight_decay)
        _add_all(flat_weights, flat_speeds, -recipe.learning_rate)

    return step


def _add_all(weights: list[Tensor], others: list[Tensor], factor: float) -> None:
    for weight, other in zip(weights, others, strict=True):
        weight.add_(other, alpha=factor)


def _cross_entropy_error(logits: Tensor, labels: Tensor, smoothing: float, *, out: Tensor) -> None:
    """Write the gradient of the mean cross-entropy: softmax minus the (smoothed) label.

    ``logits`` and ``out`` have shape (models, classes, batch), ``labels`` (models, batch). A single logit is
    that of label 1.
    """
    classes, batch = logits.shape[1:]
    if classes == 1:
        target = labels.unsqueeze(1).to(out).mul_(1 - smoothing).add_(smoothing / 2)
        torch.sigmoid(logits, out=out).sub_(target).div_(batch)
        return
    torch.softmax(logits, 1, out=out)
    if smoothing:
        out.sub_(smoothing / classes)
    one = out.new_full((), smoothing - 1).expand(len(labels), 1, batch)
    out.scatter_add_(1, labels.unsqueeze(1), one)
    out.div_(batch)
