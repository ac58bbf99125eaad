"""The recipe of a training run."""

from dataclasses import dataclass

from mialab import _check
from mialab._validation import door


@door
@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent on the cross-entropy, as `torch.optim.SGD` defines it.

    Attributes
    ----------
    steps
        Number of updates.
    batch_size
        Records per update.
    learning_rate
        Step size.
    momentum
        Share of the last update that is kept, in [0, 1).
    weight_decay
        Multiple of the weights that is added to their gradient.
    label_smoothing
        Share of the label's probability that is spread evenly over all classes, in [0, 1].

    Raises
    ------
    ValueError
        If a number is outside its range.

    Examples
    --------
    >>> Sgd(steps=300).batch_size
    64
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self):
        _check.at_least("steps", self.steps, 0)
        _check.at_least("batch_size", self.batch_size, 1)
        _check.positive("learning_rate", self.learning_rate)
        _check.share("momentum", self.momentum)
        _check.not_negative("weight_decay", self.weight_decay)
        _check.probability("label_smoothing", self.label_smoothing)
