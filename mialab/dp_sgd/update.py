"""From a sum of clipped gradients to the next weights: noise, a public divisor, an optimizer.

The trainable weights of a model lie in one vector, so a step draws its noise in one go and the optimizer sees
one tensor. All it does is coordinate by coordinate, so that changes nothing.
"""

import torch
from torch import Tensor, nn

from mialab import _check
from mialab._rng import Noise
from mialab.dp_sgd.recipe import DpSgd
from mialab.train.fleet import trainable, unflatten


def gather(model: nn.Module) -> nn.Parameter:
    """Return all trainable weights as one vector; from now on the model's own are views of it."""
    weights = trainable(model)
    if {weight.dtype for weight in weights.values()} == {torch.float32, torch.float64}:
        _check.refuse("make_model", "return a module whose trainable weights are of one precision", "two")
    vector = nn.Parameter(torch.cat([weight.detach().flatten() for weight in weights.values()]))
    for name, piece in unflatten(vector.detach(), weights).items():
        weights[name].data = piece
    return vector


def scatter(model: nn.Module) -> None:
    """Give every weight a memory of its own again."""
    for weight in trainable(model).values():
        weight.data = weight.data.clone()


def optimizer(weights: nn.Parameter, recipe: DpSgd) -> torch.optim.Optimizer:
    """Return the optimizer that the recipe names."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam([weights], lr=recipe.learning_rate)
    return torch.optim.SGD([weights], lr=recipe.learning_rate, momentum=recipe.momentum)


def check_weights(weights: Tensor) -> None:
    """Refuse weights that diverged; they are released, and so is this error."""
    if not torch.isfinite(weights).all():
        _check.refuse("weights", "stay finite: is the learning rate too large?", "NaN or infinity")


@torch.no_grad()
def noisy_mean(total: Tensor, recipe: DpSgd, noise: Noise, dtype: torch.dtype = torch.float32) -> Tensor:
    """Add the noise to a sum of clipped gradients, and divide by the nominal batch: all that a step reveals.

    In double precision, rounded once at the end to what the weights have: so what comes out can be had from
    any sum. Where the weights are in double precision, the noise comes in two parts, for the same reason.
    (The proof is about real numbers; Mironov 2012 has what comes of floats.) ``total`` may be changed.
    """
    noisy = total.double()
    if recipe.noise_std:
        for share in (0.6, 0.8) if dtype == torch.float64 else (1.0,):
            noisy = noise.normal(noisy).mul_(share * recipe.noise_std).add_(noisy)
    return noisy.div_(recipe.nominal_batch).to(dtype)
