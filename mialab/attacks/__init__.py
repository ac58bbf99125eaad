"""Attacks: what the attacker owns goes in, one score per record comes out; higher means "member".

What an attacker knows is exactly what its function takes: the target's signals, and the shadow models with
their membership. No attack takes the target's membership.

    threshold.py     choose_threshold, calibrated   accuse what is easy, or easier than for other models
    learned.py       logistic                       let a classifier learn how members look
    label_only.py    by_count                       the answer alone, on altered copies
    lira.py          online, offline                the likelihood ratio of two Gaussians
    few_shadows.py   shrunken_t                     the same, honest about what few shadows know
    rmia.py          online, offline, choose_a      a record against the population

    shadow_stats.py  leave_one_out                  every model the target once, all at once
                     shadow_stats                   the shadows with a record, and those without it
"""

# No names are gathered here: `from mialab.attacks import threshold` keeps the name of the idea in view.
