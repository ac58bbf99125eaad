"""The checkers of "Overfitting": two right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest

from mialab.attacks import threshold
from mialab.game import Observations
from mialab_book.exercises import overfitting as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


@pytest.mark.usefixtures("at_the_door")
def test_the_gap_attack():
    assert check.check_gap_attack(advantage=0.08, accuracy=0.54).right
    assert check.check_gap_attack(advantage=0.99 - 0.91, accuracy=(0.99 + 0.09) / 2).right
    wrong = [(0.99, 0.54), (8, 0.54), (0.2, 0.54), (0.08, 0.95), (0.08, 0.08), (0.08, 54), (0.08, 0.6)]
    wrong.append(("0.08", 0.54))
    feedbacks = [check.check_gap_attack(*numbers) for numbers in wrong]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def by_masks(score, member, cut):
    return (score[member] >= cut).mean() - (score[~member] >= cut).mean()


def by_counting(score, member, cut):
    accused = [s >= cut for s in score]
    hits = sum(a and m for a, m in zip(accused, member, strict=True))
    false = sum(a and not m for a, m in zip(accused, member, strict=True))
    return hits / sum(member) - false / (len(member) - sum(member))


def stub(*_):
    raise NotImplementedError("write advantage(score, member, threshold)")


WRONG_ADVANTAGES = {
    "sign turned": lambda s, m, t: by_masks(s, ~m, t),
    "strict": lambda s, m, t: (s[m] > t).mean() - (s[~m] > t).mean(),
    "accuracy": lambda s, m, t: ((s >= t) == m).mean(),
    "shares of all": lambda s, m, t: ((s >= t) & m).mean() - ((s >= t) & ~m).mean(),
    "threshold tuned on the test set": lambda s, m, _: max(by_masks(s, m, t) for t in s),
    "TPR alone": lambda s, m, t: (s[m] >= t).mean(),
    "precision": lambda s, m, t: m[s >= t].mean(),
    "balanced accuracy": lambda s, m, t: (1 + by_masks(s, m, t)) / 2,
    "no sign": lambda s, m, t: abs(by_masks(s, m, t)),
    "a constant": lambda s, m, t: 0.2,
    "fitted to the example": lambda s, m, t: by_masks(s, m, 0.5),
    "a stub": stub,
    "raises": lambda s, m, t: s["score"],
}


@pytest.mark.parametrize("right", [by_masks, by_counting])
def test_advantage_right(right):
    assert check.check_advantage(right).right


def test_advantage_wrong():
    feedbacks = [check.check_advantage(wrong) for wrong in WRONG_ADVANTAGES.values()]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def memory_by_where(correct, member):
    inside = np.nanmean(np.where(member, correct, np.nan), axis=0)
    return inside - np.nanmean(np.where(member, np.nan, correct), axis=0)


def memory_by_loop(correct, member):
    pairs = zip(correct.T, member.T, strict=True)
    return np.array([right[held].mean() - right[~held].mean() for right, held in pairs])


WRONG_MEMORIES = {
    "turned round": lambda c, m: -memory_by_loop(c, m),
    "divided by all models": lambda c, m: (c & m).mean(axis=0) - (c & ~m).mean(axis=0),
    "only members": lambda c, m: (c & m).sum(axis=0) / m.sum(axis=0),
    "against all models": lambda c, m: (c & m).sum(axis=0) / m.sum(axis=0) - c.mean(axis=0),
    "averaged over records": lambda c, m: (c & m).mean(axis=1),
    "one number": lambda c, m: np.array(0.2),
    "NaN": lambda c, m: np.full(5, np.nan),
    "something else": lambda c, m: np.zeros(5),
}


@pytest.mark.parametrize("right", [memory_by_where, memory_by_loop])
def test_memorisation_right(right):
    assert check.check_memorisation(right).right


def test_memorisation_wrong():
    feedbacks = [check.check_memorisation(wrong) for wrong in WRONG_MEMORIES.values()]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def harder_than_usual(signal, shadows):
    return signal - np.nanmean(np.where(shadows.member, np.nan, shadows.signal), axis=0)


def difficulty_rule(target, shadows, fpr):
    """Compare with what models without the record say; cut where the shadows, so treated, allow it."""
    rows = [shadows.leave_out(i) for i in range(len(shadows))]
    scores = np.stack([harder_than_usual(signal, others) for signal, others in rows])
    return harder_than_usual(target, shadows) >= threshold.choose_threshold(
        Observations(scores, shadows.member), fpr=fpr
    )


def standardised_rule(target, shadows, fpr):
    """Divide by a spread as well, and take the cut from the non-members' quantile."""
    spread = np.nanstd(np.where(shadows.member, np.nan, shadows.signal))
    rows = [shadows.leave_out(i) for i in range(len(shadows))]
    outside = np.concatenate(
        [(harder_than_usual(s, o) / spread)[~m] for (s, o), m in zip(rows, shadows.member, strict=True)]
    )
    return harder_than_usual(target, shadows) / spread >= np.quantile(outside, 1 - fpr)


def leaky_rule(target, shadows, fpr):
    """Take each record's own quantile among the shadows without it: few shadows, and no room for luck."""
    outside = np.where(shadows.member, np.nan, shadows.signal)
    return target > np.nanquantile(outside, 1 - fpr, axis=0)


WRONG_RULES = {
    "one threshold for all records": lambda t, s, fpr: t >= threshold.choose_threshold(s, fpr=fpr),
    "best advantage, whatever the FPR": lambda t, s, fpr: harder_than_usual(t, s) >= 0.3,
    "shadow leakage": leaky_rule,
    "ignores the rate": lambda t, s, _: difficulty_rule(t, s, 0.05),
    "accuses nobody": lambda t, s, fpr: np.zeros(len(t), dtype=bool),
    "far too careful": lambda t, s, fpr: difficulty_rule(t, s, fpr / 10),
    "scores instead of verdicts": lambda t, s, fpr: t,
    "one verdict": lambda t, s, fpr: np.array([True]),
    "looks at the order": lambda t, s, fpr: difficulty_rule(t, s, fpr) & (np.arange(len(t)) % 20 != 0),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [difficulty_rule, standardised_rule])
@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    feedbacks = [check.check_coursework(wrong, seed=1) for wrong in WRONG_RULES.values()]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def test_coursework_is_everybodys_own():
    first, again, other = (check.coursework_fleet(seed) for seed in (1, 1, 2))
    assert np.array_equal(first.signal, again.signal)
    assert not np.array_equal(first.member, other.member)
