"""Training one model, or many at once.

`fit` is the loop that everybody knows. `fit_many` trains a whole fleet of models as one tensor
program: the models never see each other, each has its own records, its own initial weights and its own
order of batches, and member ``i`` of the fleet is the model that `fit` would have trained alone.

    recipe.py      Sgd                 what is done at every step
    batching.py                        which records are seen at which step
    fit.py         fit                 one model, the plain loop
    fit_many.py    fit_many            many models, in shards, with checkpoints
    steps.py                           one step of a whole shard, in two ways
    vectorize.py                       whether one tensor program is right; else models are trained one by one
    hidden.py                          what a module holds besides parameters and buffers
    fleet.py       Fleet, predict      the trained models and their logits
    checkpoint.py                      files that are whole or absent
"""

from mialab.train.fit import fit
from mialab.train.fit_many import fit_many
from mialab.train.fleet import Fleet, predict
from mialab.train.recipe import Sgd

__all__ = ["Fleet", "Sgd", "fit", "fit_many", "predict"]
