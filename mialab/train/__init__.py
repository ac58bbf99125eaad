"""Training, alone and in fleets.

`fit` is the loop that everybody knows. `fit_many` trains a whole fleet of models as one tensor
program: the models never see each other, each has its own records, its own initial weights and its own
order of batches, and member ``i`` of the fleet is the model that `fit` would have trained alone.

    recipe.py      Sgd                 what is done at every step
    streams.py                         which records are seen at which step
    alone.py       fit                 one model, the plain loop
    together.py    fit_many            many models, in shards, with checkpoints
    steps.py                           one step of a whole shard, two ways
    alike.py                           whether one tensor program is right; else one by one
    hidden.py                          what a module holds besides parameters and buffers
    fleet.py       Fleet, predict      the trained models and their logits
    checkpoint.py                      files that are whole or absent
"""

from mialab.train.alone import fit
from mialab.train.fleet import Fleet, predict
from mialab.train.recipe import Sgd
from mialab.train.together import fit_many

__all__ = ["Fleet", "Sgd", "fit", "fit_many", "predict"]
