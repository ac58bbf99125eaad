"""Whether membership over many models looks like coins, where each model takes its turn as the target.

The attacker sees who was in the shadows. Under independent coins that says nothing of the target. Under
another design it may: where every record is in exactly half of the models, a record that is in fewer than
half of the shadows is in the target; and so where two models hold what the other does not.
"""

import sys
import warnings

import numpy as np
from numpy import ndarray
from scipy.special import gammaln, logsumexp, xlog1py, xlogy

_LEVEL = 1e-6  # coins are accused less often than this
_MODELS = 8  # with fewer, columns repeat anyway, and groups cannot be told from a strange design
_SLOPES = np.outer([1, -1], np.geomspace(1e-3, 1e2, 60)).ravel()


def warn_unless_coins(member: ndarray) -> None:
    """Warn where membership tells more than coins would.

    Two tests, each at half of a level of 10⁻⁶, both conditional on numbers that coins leave open: how evenly
    or unevenly the numbers of models spread over the records, and how many records each two models share.
    Records that come in groups, such as those of one person, have one coin: from eight models on, equal
    columns count once where coins would leave more than twice as many. A fixed number of members in each
    model is no matter: models are drawn independently then too, and every record is as likely in the
    target whoever is in the shadows.
    """
    if not member.size:
        return
    columns = _groups(member)
    evenness, alike = log_chance_of_spread(columns), log_chance_of_overlap(columns)
    if min(evenness, alike) < np.log(_LEVEL / 2):
        what = "how many models hold each record" if evenness <= alike else "two models that share too much"
        said = f"membership is not like coins ({what}; p < {_LEVEL:g}): who was in the shadows tells"
        warnings.warn(f"{said} who is in the target, and scores may be about that", stacklevel=_outside())


def _outside() -> int:
    """Return how many calls up the user's own line is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("mialab."):
        frame, level = frame.f_back, level + 1
    return level


def _groups(member: ndarray) -> ndarray:
    """Return the different columns, if they are few for coins, else all."""
    models, records = member.shape
    packed = np.ascontiguousarray(np.packbits(member, axis=0).T)
    kept = np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True)[1]
    held, p = np.arange(models + 1), member.mean()
    chance = np.exp(xlogy(held, p) + xlogy(models - held, 1 - p))  # of each such column
    with np.errstate(divide="ignore"):  # where many models leave no chance that a float holds
        log_some = np.log(-np.expm1(xlog1py(records, -chance)))
    expected = np.exp(_log_ways(held, models) + log_some).sum()
    return member[:, kept] if models >= _MODELS and 2 * len(kept) < expected else member


def log_chance_of_spread(member: ndarray) -> float:
    """Bound the chance that coins of some one bias spread the models over the records so strangely.

    Σ(cᵣ − M·p)², where cᵣ of M models hold record r and p is the overall share, is too small or too large:
    Chernoff's bound for binomial cᵣ, divided by the chance of that overall share, which makes it
    a bound for any bias.

    Examples
    --------
    >>> round(log_chance_of_spread(np.array([[True, False] * 50, [False, True] * 50])))  # about 2⁻¹⁰⁰
    -66
    """
    models, records = member.shape
    held, possible = member.sum(axis=0), np.arange(models + 1)
    p = held.sum() / member.size
    if p in (0, 1):
        return 0.0
    unit = models * p * (1 - p)
    strange = (held - models * p) ** 2 / unit
    term = _log_binomial(possible, models, p) - np.outer(_SLOPES, (possible - models * p) ** 2 / unit)
    bound = _SLOPES * strange.sum() + records * logsumexp(term, axis=1)
    return float(np.log(2) + bound.min() - _log_binomial(held.sum(keepdims=True), member.size, p)[0])


def log_chance_of_overlap(member: ndarray) -> float:
    """Bound the chance that any two of the models share so many, or so few, records by coins.

    Given both models' numbers, n and m of R, the shared ones are hypergeometric: t away from n·m/R
    with chance 2·e^(−2t²/min(n, m, R − n, R − m)) at most (Hoeffding 1963).

    Examples
    --------
    >>> one = np.arange(100) % 3 == 0
    >>> round(log_chance_of_overlap(np.array([one, ~one])))
    -29
    """
    models, records = member.shape
    if models < 2:
        return 0.0
    number = member.sum(axis=1)
    shared = member.astype(np.float32) @ member.astype(np.float32).T
    smaller = np.minimum(number, records - number)
    drawn = np.maximum(np.minimum(smaller, smaller[:, None]), 0.5)
    bound = -2 * (shared - np.outer(number, number) / records) ** 2 / drawn
    np.fill_diagonal(bound, 0)
    return float(bound.min() + np.log(models * (models - 1)))


def _log_binomial(k: ndarray, n: int, p: float) -> ndarray:
    """Return the logarithm of the chance of k in n."""
    return _log_ways(k, n) + xlogy(k, p) + xlogy(n - k, 1 - p)


def _log_ways(k: ndarray, n: int) -> ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
