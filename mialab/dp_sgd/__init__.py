"""Training with a promise: clip every record's gradient, add noise to the sum, count the cost.

recipe.py          DpSgd               what is done at every step: the accountants read the same object
sampling.py                            who takes part in a step
clipping.py        clipped_sum         the sum of clipped gradients
precision.py                           products of floats in full precision
update.py                              noise, a public divisor, an optimizer
fit.py             fit_private         one private model
fit_many.py        fit_many_private    many private models as one tensor program
fleet_clipping.py                      the sums of clipped gradients of all of them
"""

from mialab.dp_sgd.clipping import clipped_sum
from mialab.dp_sgd.fit import fit_private
from mialab.dp_sgd.fit_many import fit_many_private
from mialab.dp_sgd.recipe import DpSgd

__all__ = ["DpSgd", "clipped_sum", "fit_many_private", "fit_private"]
