"""Per-example gradients: what `dp_sgd` and `leaks.gradients` share. Nothing of it is public.

rounding.py    norms and sums of floats, with a limit to what rounding can do to them
layers.py      the kinds of layers, and what their per-example gradients are made of
capture.py     run a model once, and keep what every layer saw and got back
gradients.py   per-example gradients, and whether a model is one for `capture`

Per-example gradients come in two ways. `gradients.by_record` asks for one record at a time, by `vmap` or in a
loop: that is the definition, for any model. `capture` needs one forward and one backward pass for the whole
batch, where every layer's kind is known and every weight is used once, through its layer.
"""

__all__: list[str] = []
