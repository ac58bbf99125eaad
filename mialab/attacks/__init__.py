"""Attacks: what the attacker owns goes in, one score per record comes out; higher means "member".

What an attacker knows is exactly what its function takes. No attack takes the target's membership.
"""
