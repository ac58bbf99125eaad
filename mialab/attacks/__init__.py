"""Attacks: what the attacker owns goes in, one score per record comes out; higher means "member".

What an attacker knows is exactly what its function takes: the target's signals, and the shadow models with
their membership. No attack takes the target's membership.

    threshold.py     choose_threshold, per_class    accuse what is easy
    learned.py       logistic                       let a classifier learn how members look
    label_only.py    by_count                       the answer alone, on altered copies
    difficulty.py    calibrated                     easy is not a member: compare with models without it
    lira.py          online, offline                the likelihood ratio of two Gaussians
    few_shadows.py   student                        the same, honest about what few shadows know
    rmia.py          online, offline, choose_a      a record against the population

    in_turn.py       in_turn                        every model the target once, all at once
    sides.py                                        the shadows with a record, and those without it
    priors.py                                       what stands in where a record has too few
"""

# No names are gathered here: `from mialab.attacks import threshold` keeps the name of the idea in view.
