"""The robust attack of Zarifzadeh et al. 2024: a record against the population.

How much more likely does the target find this record than other models do? And is that ratio large *for
this target*: larger, by a factor gamma, than those of how many records of the population?

Signals are log-probabilities of the label: `signals.loss`. Everything stays in logarithms.
"""

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.attacks.shadow_stats import LeaveOneOut, Shadows, Signals, average_record, fill_either, log_means
from mialab.game import Observations

Population = Bool[ndarray, "records"]


@door
def online(
    target: Signals, shadows: Shadows, *, gamma: float = 1.0, population: Population | None = None
) -> Signals:
    """Score each record by the share of the population that its likelihood ratio dominates.

    Zarifzadeh et al. 2024, the Bayesian form: with Pr(x) the mean of the average probabilities of x under
    the shadows with and without it, r(x) = Pr(x | target)/Pr(x), and the score is the share of records
    z with r(x)/r(z) ≥ gamma.

    Where a record has no shadow on a side, the logarithm of its average there is the one on the other
    side, moved by the average difference.

    Parameters
    ----------
    target
        The target's log-probabilities (records,).
    shadows
        The attacker's own models, some with and some without each record.
    gamma
        At least 1. For one target and one population, the score is a rising function of r whatever
        gamma is: all that gamma decides is how many records are tied at 0, and 1 ties the fewest. The
        paper uses 2.
    population
        Which records stand for z; all of them if not given.

    Returns
    -------
    Scores (records,) in [0, 1].

    Raises
    ------
    ValueError
        If numbers of records differ, a signal is above 0, ``gamma`` is below 1, the population is empty,
        or the rule above finds no record to take an average of.

    Examples
    --------
    >>> from mialab.game import Observations
    >>> shadows = Observations(np.log([[0.9, 0.2], [0.3, 0.6]]), np.array([[True, False], [False, True]]))
    >>> online(np.log([0.9, 0.1]), shadows)
    array([1. , 0.5])
    """
    _check_signals(target)
    log_in, log_out = fill_either(*log_means(target, shadows))
    return _dominated(target - np.logaddexp(log_in, log_out) + np.log(2), gamma, population)


@door
def offline(
    target: Signals,
    shadows: Shadows,
    *,
    a: float,
    gamma: float = 1.0,
    population: Population | None = None,
) -> Signals:
    """Score as `online` does, but ask of each record only the shadows without it.

    Zarifzadeh et al. 2024, the offline form: the unknown average with the record is taken for
    a·Pr(x)_out + (1 − a), so that Pr(x) = ((1 + a)·Pr(x)_out + (1 − a))/2.

    A record without a shadow that lacks it is taken for an average record.

    Parameters
    ----------
    target, shadows, gamma, population
        As for `online`.
    a
        In [0, 1]: 1 if models do not change by seeing a record, 0 if they become certain of what they
        have seen. `choose_a` chooses it on the shadows.

    Returns
    -------
    Scores (records,) in [0, 1].

    Raises
    ------
    ValueError
        As for `online`, or if ``a`` is not in [0, 1].

    Examples
    --------
    >>> from mialab.game import Observations
    >>> shadows = Observations(np.log([[0.2, 0.2]]), np.array([[False, False]]))
    >>> offline(np.log([0.9, 0.1]), shadows, a=0.5)
    array([1. , 0.5])
    """
    _check_signals(target)
    _check.probability("a", a)
    _, log_out = log_means(target, shadows)
    log_out = np.where(np.isnan(log_out), average_record(log_out)[0], log_out)
    rest = np.log1p(-a) if a < 1 else -np.inf
    return _dominated(target - np.logaddexp(np.log1p(a) + log_out, rest) + np.log(2), gamma, population)


@door
def choose_a(shadows: Observations, *, candidates: tuple[float, ...] = (0, 0.2, 0.4, 0.6, 0.8, 1)) -> float:
    """Choose the ``a`` that serves `offline` best when each shadow is attacked by the others.

    The attacker knows who is a member of the shadows, and nothing of the target is looked at.

    Parameters
    ----------
    shadows
        At least two models of the attacker's own.
    candidates
        What to choose from.

    Returns
    -------
    The candidate with the largest sum of the areas under the shadows' ROC curves.

    Raises
    ------
    ValueError
        If there is no candidate, `offline` refuses one or the shadows, or a shadow has no members or no
        non-members.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((8, 500)) < 0.5
    >>> hard = rng.uniform(0.1, 0.9, size=500) * rng.uniform(0.8, 1.1, size=(8, 500))
    >>> choose_a(Observations(np.log(1 - np.where(member, 0.6, 1) * hard), member))
    0.6
    """
    _check.at_least("the number of candidates", len(candidates), 1)
    _check.at_least("the number of shadows", len(shadows), 2)
    for member in shadows.member:
        _check.both_kinds("shadows.member", member)

    def area(a: float) -> float:
        scores = offline(shadows.signal, LeaveOneOut(shadows), a=a)
        return sum(map(_area, scores, shadows.member))

    return max(candidates, key=area)


def _area(score: Signals, member: ndarray) -> float:
    """Return the share of pairs in the right order: metrics lie above attacks, so it is written out."""
    outside = np.sort(score[~member])
    below, up_to = (np.searchsorted(outside, score[member], side=side) for side in ("left", "right"))
    return float(np.mean(below + up_to) / (2 * len(outside)))


def _check_signals(target: Signals) -> None:
    """Refuse signals that are not logarithms of probabilities."""
    if np.max(target, initial=-np.inf) > 0:
        _check.refuse("target", "be log-probabilities, at most 0 (use signals.loss)", np.max(target))


def _dominated(log_ratio: Signals, gamma: float, population: Population | None) -> Signals:
    """Return, for each record, the share of the population whose ratio it exceeds gamma times."""
    if not 1 <= gamma < np.inf:
        _check.refuse("gamma", "be a finite number of at least 1", gamma)
    chosen = np.ones(log_ratio.shape[-1], dtype=bool) if population is None else population
    if not chosen.any():
        _check.refuse("population", "hold at least one record", "none")
    flat = log_ratio.reshape(-1, log_ratio.shape[-1])
    shares = [np.searchsorted(np.sort(row[chosen]), row - np.log(gamma), side="right") for row in flat]
    return np.reshape(shares, log_ratio.shape) / chosen.sum()
