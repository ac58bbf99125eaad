"""The number of right verdicts: is 65 per cent against 60 a smoking gun, or luck."""

from functools import lru_cache

from scipy.special import bdtr

from mialab import _check
from mialab._validation import door
from mialab.audit import one_run
from mialab.audit.claims import Claim, Family, wrong_rate
from mialab.audit.evidence import Guesses, Rule
from mialab.audit.result import largest_refuted
from mialab.game import Design


def p_value(rule: Rule, claim: Claim) -> float:
    """Return at most how likely so many right verdicts are, of a rule fixed in advance.

    Half of the records being members, nobody is right more often than the claim's curve allows; under (ε, δ)
    that is (e^ε + δ)/(1 + e^ε) (Kairouz, Oh & Viswanath 2015). So the right verdicts are compared with that
    many coins.

    * Independent runs, as many with the record as without. The two rates may differ, but their mean is
      bounded, and of all independent trials with the same mean those with the same rate reach most
      often any number that is one or more above the expected one (Hoeffding 1956). It is a joint test
      of both rates, exact where they are equal.
    * Coins: all verdicts are guesses, and the test is that of one run, on its conditions.
    """
    if rule.design != Design.RUNS:
        return one_run.p_value(rule.guesses(), claim)
    if rule.members != rule.non_members:
        sides = f"{rule.members} and {rule.non_members}"
        _check.refuse("independent runs", "be as many on both sides for accuracy", sides)
    wrong, trials = wrong_rate(claim), sum(rule.sides)
    if rule.right < trials * (1 - wrong) + 1:  # where Hoeffding's theorem is silent
        return 1.0
    return float(bdtr(trials - rule.right, trials, wrong))


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def bound(rule: Rule, family: Family, error: float) -> float:
    """Return the largest number of the family that is refuted."""
    if rule.design != Design.RUNS:
        return one_run.bound(rule.guesses(), family, error)
    return largest_refuted(lambda number: p_value(rule, family.claim(number)) <= error)


@door
def binomial_p_value(right: int, trials: int, *, allowed: float) -> float:
    """Return how likely at least ``right`` of ``trials`` are, if each is right with probability ``allowed``.

    Raises
    ------
    ValueError
        If more trials are right than there are, or ``allowed`` is not in [0, 1].

    Examples
    --------
    >>> round(binomial_p_value(65, 100, allowed=0.6), 3), round(binomial_p_value(650, 1000, allowed=0.6), 5)
    (0.179, 0.00065)
    """
    _check.probability("allowed", allowed)
    _check.at_least("trials", trials, 1)
    _check.within("right", right, trials, "trials")
    Guesses(right, trials, trials)  # refuses more than can be counted
    return float(bdtr(trials - right, trials, 1 - allowed))
