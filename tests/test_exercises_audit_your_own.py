"""The checkers of "Audit your own model": two right answers pass, each named mistake gets its own hint."""

import csv
import io
import math

import numpy as np
import pytest

from mialab.audit import Guesses, lower_bound
from mialab_book.exercises import audit_your_own as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write scores_csv(probabilities, y, member)")


def ceiling(canaries):
    return lower_bound(Guesses(canaries, canaries, canaries, "one-run"), neighbours="add-remove").value


def test_oracle_the_fewest_is_where_the_ceiling_passes_the_claim():
    assert ceiling(check.FEWEST) > 3.0 > ceiling(check.FEWEST - 1)
    assert ceiling(12) < 3.0, "the question's twelve canaries cannot refute its claim"


def test_plan():
    q = math.exp(3) / (1 + math.exp(3))
    assert check.check_plan(62, "uninformative", 11).right
    assert check.check_plan(math.ceil(math.log(0.05) / math.log(q)), "uninformative", 11).right
    wrong = [
        *((62, "violated", 10), (62, "consistent", 0), (62, "private", 0), (62, "uninformative", 0)),
        *((62, "uninformative", 10), (61, "uninformative", 11), (20, "uninformative", 11)),
        *((math.ceil(math.log(0.025) / math.log(q) - 1e-9), "uninformative", 11), (12, "uninformative", 11)),
    ]
    feedbacks = [check.check_plan(*answer) for answer in wrong]
    assert not any(feedback.right for feedback in feedbacks), feedbacks
    assert hints_differ(feedbacks), feedbacks


def own(p, y):
    return p[np.arange(len(y)), y]


def table(score, member, header="score,member", word=lambda m: str(int(m))):
    return "\n".join([header, *(f"{s!r},{word(m)}" for s, m in zip(score.tolist(), member, strict=True))])


def with_the_csv_module(p, y, member):
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow(["id", "member", "score"])
    order = np.argsort(y)  # another order of the rows, a column more
    writer.writerows(
        (i, m, s) for i, m, s in zip(order, member[order], np.log(own(p, y))[order], strict=True)
    )
    return held.getvalue()


WRONG_FILES = {
    "a loss": lambda p, y, m: table(-np.log(own(p, y)), m),
    "the predicted label": lambda p, y, m: table(p.max(axis=1), m),
    "right or wrong": lambda p, y, m: table((p.argmax(axis=1) == y) * 1.0, m),
    "rounded": lambda p, y, m: table(own(p, y).round(2), m),
    "in and out": lambda p, y, m: table(own(p, y), m, word=lambda m: "in" if m else "out"),
    "turned membership": lambda p, y, m: table(own(p, y), ~m),
    "no header": lambda p, y, m: table(own(p, y), m).partition("\n")[2],
    "sorted by themselves": lambda p, y, m: table(np.sort(own(p, y)), m),
    "members only": lambda p, y, m: table(own(p, y)[m], m[m]),
    "half of the records": lambda p, y, m: table(own(p, y)[:30], m[:30]),
    "everybody": lambda p, y, m: table(own(p, y), m | (y == 0)),
    "no text": lambda p, y, m: own(p, y),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [lambda p, y, m: table(own(p, y), m), with_the_csv_module])
def test_write_scores_right(right):
    feedback = check.check_write_scores(right)
    assert feedback.right, feedback


def test_write_scores_wrong():
    feedbacks = {name: check.check_write_scores(wrong) for name, wrong in WRONG_FILES.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def by_inverse(person, rng):
    people, place = np.unique(person, return_inverse=True)
    return (rng.random(len(people)) < 0.5)[place]


def by_dictionary(person, rng):
    heads = {one: bool(rng.integers(2)) for one in dict.fromkeys(person.tolist())}
    return np.array([heads[one] for one in person.tolist()])


def of_people(flip):
    def coins(person, rng):
        people, place, records = np.unique(person, return_inverse=True, return_counts=True)
        return np.asarray(flip(len(people), records, rng), dtype=bool)[place]

    return coins


def two_share(people, _, rng):
    coins = rng.random(people) < 0.5
    coins[3] = coins[7]
    return coins


def either_or(people, _, rng):
    coins = rng.random(people) < 0.5
    coins[3] = ~coins[7]
    return coins


def changes(person, rng):
    member = by_inverse(person, rng)
    person.sort()
    return member


WRONG_COINS = {
    "a coin a record": lambda person, rng: rng.random(len(person)) < 0.5,
    "the first half": lambda person, rng: np.arange(len(person)) < len(person) // 2,
    "exactly half": of_people(lambda n, _, rng: rng.permutation(n) < n // 2),
    "any of their coins": of_people(lambda n, records, rng: rng.random(n) < 1 - 0.5**records),
    "an unfair coin": of_people(lambda n, _, rng: rng.random(n) < 0.7),
    "a coin of 0.55": of_people(lambda n, _, rng: rng.random(n) < 0.55),
    "a coin for two": of_people(two_share),
    "one or the other": of_people(either_or),
    "one coin for all": of_people(lambda n, _, rng: np.full(n, rng.random() < 0.5)),
    "nearly half": of_people(lambda n, _, rng: rng.permutation(n) < n // 2 + rng.integers(-3, 4)),
    "chance from elsewhere": lambda person, rng: by_inverse(person, np.random.default_rng()),
    "numbers": lambda person, rng: by_inverse(person, rng).astype(int),
    "changes its argument": changes,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_inverse, by_dictionary])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    feedbacks = {name: check.check_coursework(wrong, seed=1) for name, wrong in WRONG_COINS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks
