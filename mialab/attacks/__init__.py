"""Attacks: what the attacker owns goes in, one score per record comes out; higher means "member".

What an attacker knows is exactly what its function takes. No attack takes the target's membership.
"""

# No names are gathered here: `from mialab.attacks import threshold` keeps the name of the idea in view.
