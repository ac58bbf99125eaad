"""The checkers of "Trust, but verify": two right answers pass, each named mistake gets its own hint."""

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from audits import rates
from mialab import audit
from mialab.accounting import Neighbours
from mialab.audit.rates import rate_limits
from mialab.game import Counts, Design, Outcome
from mialab.metrics import roc_curve
from mialab_book.exercises import auditing as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write it")


def odds(rate):
    return math.log(rate / (1 - rate))


@pytest.mark.usefixtures("at_the_door")
def test_ceiling():
    assert check.check_ceiling(audit.ceiling(40, 40), "uninformative").right
    assert check.check_ceiling(odds(0.05 ** (1 / 80)), "uninformative").right
    wrong = [
        (math.inf, "uninformative"),
        (odds(0.05 ** (1 / 40)), "uninformative"),
        (odds(0.025 ** (1 / 80)), "uninformative"),
        (0.05 ** (1 / 80), "uninformative"),
        (rates(Counts(40, 40, 0, 40, design=Design.RUNS), neighbours="replace-one").value, "uninformative"),
        (5.0, "uninformative"),
        (odds(0.05 ** (1 / 80)), "consistent"),
        (odds(0.05 ** (1 / 80)), "violated"),
        (odds(0.05 ** (1 / 80)), "private"),
        ("3.27", "uninformative"),
    ]
    feedbacks = [check.check_ceiling(*answer) for answer in wrong]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def by_package(true, members, false, others, delta):
    counts = Counts(true, members, false, others, design=Design.RUNS)
    return rates(counts, neighbours=Neighbours.REPLACE, delta=delta).value


def low(k, n, error):
    return beta.ppf(error, k, n - k + 1) if k else 0.0


def by_scipy(true, members, false, others, delta, each=0.025):
    tpr_low, fpr_high = low(true, members, each), 1 - low(others - false, others, each)
    tnr_low, fnr_high = 1 - fpr_high, 1 - tpr_low
    best = max((tpr_low - delta) / fpr_high, (tnr_low - delta) / fnr_high)
    return math.log(best) if best > 1 else 0.0


def one_role(t, m, f, n, d):
    return max(0.0, math.log(max(low(t, m, 0.025) - d, 1e-12) / (1 - low(n - f, n, 0.025))))


WRONG_BOUNDS = {
    "no limits": lambda t, m, f, n, d: math.log((t / m - d) / (f / n)),
    "two lower limits": lambda t, m, f, n, d: math.log((low(t, m, 0.025) - d) / low(f, n, 0.025)),
    "the whole error twice": lambda *c: by_scipy(*c, each=0.05),
    "two-sided limits": lambda *c: by_scipy(*c, each=0.0125),
    "log10": lambda *c: by_scipy(*c) / math.log(10),
    "e to the epsilon": lambda *c: math.exp(by_scipy(*c)),
    "one role": one_role,
    "delta not used": lambda t, m, f, n, d: by_scipy(t, m, f, n, 0.0),
    "delta added": lambda t, m, f, n, d: by_scipy(t, m, f, n, -d),
    "negative": lambda t, m, f, n, d: by_scipy(t, m, f, n, d) if t > f + 1 or not f else -0.3,
    "nothing accused": lambda t, m, f, n, d: by_scipy(t, m, f, n, d) if t else math.nan,
    "NaN": lambda *_: math.nan,
    "a constant": lambda *_: 1.0,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_package, by_scipy])
def test_bound_right(right):
    feedback = check.check_bound(right)
    assert feedback.right, feedback


def test_bound_wrong():
    feedbacks = {name: check.check_bound(wrong) for name, wrong in WRONG_BOUNDS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def by_split(score, member, confidence, rng):
    outcome = Outcome(score, member, design=Design.RUNS)
    terms = {"neighbours": Neighbours.REPLACE, "confidence": confidence}
    return audit.split(outcome, test="accuracy", rng=rng, **terms).value


def by_half(score, member, confidence, rng):
    """Choose the threshold of the largest advantage on half of the runs; count right verdicts on the rest."""
    choose = rng.random(score.size) < 0.5
    cuts = np.sort(score[choose])
    right = [((score[choose] >= cut) == member[choose]).mean() for cut in cuts]
    verdicts = (score[~choose] >= cuts[int(np.argmax(right))]) == member[~choose]
    grid = np.linspace(0, 6, 601)
    refuted = binom.sf(verdicts.sum() - 1, verdicts.size, 1 / (1 + np.exp(-grid))) <= 1 - confidence
    return float(grid[refuted][-1]) if refuted.any() else 0.0


def best_threshold(score, member, confidence, rng):
    roc = roc_curve(Outcome(score, member))
    sides = int(roc.members), int(roc.non_members)
    counts = np.rint(roc.tpr * sides[0]), np.rint(roc.fpr * sides[1])
    tpr, tnr = rate_limits(*counts, sides, 1 - confidence)
    with np.errstate(divide="ignore"):
        return max(0.0, float(np.max(np.log([tpr, tnr]) - np.log1p(-np.array([tnr, tpr])))))


def plugged_in(score, member, confidence, rng):
    roc = roc_curve(Outcome(score, member))
    some = (roc.fpr > 0) & (roc.tpr > 0)
    return float(np.log(roc.tpr[some] / roc.fpr[some]).max())


def mutates(score, member, confidence, rng):
    bound = by_split(score, member, confidence, rng)
    score.sort()
    return bound


WRONG_AUDITS = {
    "threshold picked on the same runs": best_threshold,
    "no limits": plugged_in,
    "confidence not used": lambda s, m, c, rng: by_split(s, m, 0.95, rng),
    "changes its input": mutates,
    "chance from elsewhere": lambda s, m, c, rng: by_split(s, m, c, np.random.default_rng()),
    "nothing, ever": lambda s, m, c, rng: 0.0,
    "infinite": lambda s, m, c, rng: math.inf,
    "negative": lambda s, m, c, rng: by_split(s, m, c, rng) - 1.0,
    "blunt": lambda s, m, c, rng: by_split(s, m, c, rng) / 4,
    "always a leak": lambda s, m, c, rng: max(0.4, by_split(s, m, c, rng)),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_split, by_half])
@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    feedbacks = {name: check.check_coursework(wrong, seed=1) for name, wrong in WRONG_AUDITS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def test_definition_a_mechanism_of_your_own_has_its_epsilon():
    """Every threshold on top is tight: TPR = e^ε · FPR."""
    score, member = check.coursework_runs(3, 200_000, rng=np.random.default_rng(0))
    epsilon = check.coursework_mechanism(3)
    for cut in (0.9, 0.8, 1 - 1 / (1 + math.exp(epsilon))):
        tpr, fpr = (score[member] >= cut).mean(), (score[~member] >= cut).mean()
        assert tpr / fpr == pytest.approx(math.exp(epsilon), rel=0.03)
