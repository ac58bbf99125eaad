"""Canaries: planted to be found again, and three ways of looking for them.

A canary speaks for the worst record there could be, so an audit need not wait for one to turn up. From the
mildest to the strongest:

    plant.py    mislabelled            a real input with a wrong label        what an outsider can hand in
                out_of_distribution    an input like no other                 the same
                as_gradients           their gradients, clipped
                dirac                  a gradient of its own, not a record    what the proof allows for
    run.py      train_with_canaries    train, and hold every update against every canary
                last_step, every_step  a score from the final weights, and one from all updates

From the outside there is `signals.observe` on the trained model. How much nearer to the proof each of these
adversaries comes was first measured by Nasr et al. 2021.
"""

from mialab.canaries.plant import CanaryGradients, as_gradients, dirac, mislabelled, out_of_distribution
from mialab.canaries.run import CanaryRun, every_step, last_step, train_with_canaries

__all__ = [
    "CanaryGradients",
    "CanaryRun",
    "as_gradients",
    "dirac",
    "every_step",
    "last_step",
    "mislabelled",
    "out_of_distribution",
    "train_with_canaries",
]
