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

import torch
from torch import Tensor, nn
from torch.func import vmap

from mialab import _functional
from mialab.train.fleet import State, trainable
from mialab.train.recipe import Sgd

Step = Callable[[Tensor, Tensor], None]


def zero_velocity(template: nn.Module, state: State) -> State:
    """Return a velocity of zero for every parameter that is trained."""
    return {name: torch.zeros_like(state[name]) for name in trainable(template)}


def make_step(template: nn.Module, state: State, velocity: State, recipe: Sgd) -> Step:
    """Return the faster step that is right for a module: written out for perceptrons, else general."""
    if layers := linear_layers(template):
        return perceptron_step(layers, state, velocity, recipe)
    return general_step(template, state, velocity, recipe)


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
    """Name the layers of a perceptron whose weights are all trained; return None for any other module.

    Examples
    --------
    >>> linear_layers(nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    ['1', '3']
    >>> linear_layers(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))) is None
    True
    """
    if type(module) is not nn.Sequential:
        return None
    layers = dict(module.named_children())
    names, kinds = list(layers), [type(layer) for layer in layers.values()]
    if kinds[:1] == [nn.Flatten]:
        names, kinds = names[1:], kinds[1:]
    if kinds != [nn.Linear, *[nn.ReLU, nn.Linear] * (len(kinds) // 2)]:
        return None
    every = len(trainable(module)) == 2 * len(names[::2])  # else some lack, or are frozen or used twice
    return names[::2] if every else None


def perceptron_step(layers: list[str], state: State, velocity: State, recipe: Sgd) -> Step:
    """Return a step for a stack of linear layers with ReLU between them.

    Shapes: weights (models, out, in), biases (models, out, 1), activations (models, features, batch).
    """
    weights = [(state[f"{name}.weight"], state[f"{name}.bias"].unsqueeze(2)) for name in layers]
    speeds = [(velocity[f"{name}.weight"], velocity[f"{name}.bias"].unsqueeze(2)) for name in layers]
    flat_weights = [tensor for pair in weights for tensor in pair]
    flat_speeds = [tensor for pair in speeds for tensor in pair]
    rooms = [
        [weight.new_empty(*weight.shape[:2], recipe.batch_size) for weight, _ in weights] for _ in range(2)
    ]

    @torch.no_grad()
    def step(inputs: Tensor, labels: Tensor) -> None:
        layers = backpropagate(weights, inputs, labels, recipe.label_smoothing, labels.shape[1], rooms)
        for (speed, bias_speed), (activation, error) in zip(speeds, layers, strict=True):
            speed.baddbmm_(error, activation.mT, beta=recipe.momentum)
            bias_speed.mul_(recipe.momentum).add_(error.sum(2, keepdim=True))
        for weight, speed in zip(flat_weights, flat_speeds, strict=True):
            if recipe.weight_decay:
                speed.add_(weight, alpha=recipe.weight_decay)
            weight.sub_(speed, alpha=recipe.learning_rate)

    return step


def backpropagate(
    weights: list[tuple[Tensor, Tensor]],
    inputs: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    divisor: int = 1,
    rooms: list[list[Tensor]] | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Return what each layer of a perceptron saw, and the gradients of the losses in its outputs.

    Losses are divided by ``divisor``. Outputs and gradients are written into ``rooms``, if there are such.
    """
    outputs, errors = rooms or [[None] * len(weights)] * 2
    seen = [inputs.flatten(2).mT]
    for (weight, bias), room in zip(weights[:-1], outputs[:-1], strict=True):
        seen.append(torch.baddbmm(bias, weight, seen[-1], out=room).relu_())
    weight, bias = weights[-1]
    logits = torch.baddbmm(bias, weight, seen[-1], out=outputs[-1])
    told = [_cross_entropy_error(logits, labels, smoothing, errors[-1]).div_(divisor)]
    for (weight, _), activation, room in zip(weights[:0:-1], seen[:0:-1], errors[-2::-1], strict=True):
        below = torch.bmm(weight.mT, told[-1], out=room)
        told.append(torch.ops.aten.threshold_backward(below, activation, 0.0, grad_input=below))
    return list(zip(seen, told[::-1], strict=True))


def _cross_entropy_error(logits: Tensor, labels: Tensor, smoothing: float, room: Tensor | None) -> Tensor:
    """Return the gradient of each record's cross-entropy: softmax minus the (smoothed) label.

    ``logits`` have shape (models, classes, batch), ``labels`` (models, batch). A single logit is that of
    label 1.
    """
    classes = logits.shape[1]
    if classes == 1:
        target = labels.unsqueeze(1).to(logits).mul_(1 - smoothing).add_(smoothing / 2)
        return torch.sigmoid(logits, out=room).sub_(target)
    error = torch.softmax(logits, 1, out=room)
    if smoothing:
        error.sub_(smoothing / classes)
    one = error.new_full((), smoothing - 1).expand(len(labels), 1, labels.shape[1])
    return error.scatter_add_(1, labels.unsqueeze(1), one)
