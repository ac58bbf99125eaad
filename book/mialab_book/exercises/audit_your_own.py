"""Checkers for the page "Audit your own model"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab.audit.read_scores import read_scores
from mialab.game import Design, Outcome
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded

FEWEST = 62  # ⌈ln 0.05 / ln q⌉, q = e³/(1 + e³)
DRAWS = 600


def check_plan(fewest: int, finding: str, exit_code: int) -> Feedback:
    """Check a reading of an audit: 12 canaries in one run, all 12 guessed right, ε ≤ 3 claimed, 95 %.

    Examples
    --------
    >>> print(check_plan(fewest=62, finding="consistent", exit_code=0))
    Not yet. Consistent would mean that this audit could have refuted the claim. Could it?
    """
    objections = [
        (finding == "violated", "All right is impressive, but how likely is it if ε = 3 is true?"),
        (
            finding == "consistent",
            "Consistent would mean that this audit could have refuted the claim. Could it?",
        ),
        (finding != "uninformative", "The finding is violated, consistent or uninformative."),
        (exit_code == 0, "0 is for consistent: a build that takes 11 for 0 learns nothing, in green."),
        (exit_code != 11, "Look the finding up in the table of exit codes."),
        (
            fewest == FEWEST - 1,
            "Nearly: with one fewer than that is needed, all right is still likelier than 5 %.",
        ),
        (
            fewest == 20,
            "One in twenty is the error that is allowed, not the number of coins.",
        ),
        (fewest == 76, "That is for two-sided 2.5 %; the error of this test lies on one side."),
        (
            fewest != FEWEST,
            "Under ε = 3 a guess is right with q = e³/(1 + e³) at most. When is q^n at most 5 %?",
        ),
    ]
    return first_objection(objections, "Small audits cannot speak: ask how many before you plant them.")


def check_write_scores(write: Callable[[np.ndarray, np.ndarray, np.ndarray], str]) -> Feedback:
    """Check a function (probabilities, y, member) → the text of a CSV that the command reads.

    The score must rise with the model's confidence in the record's own label.
    """
    rng = np.random.default_rng(20261124)
    probabilities = rng.dirichlet(np.ones(3), size=60)
    y, member = rng.integers(3, size=60), rng.random(60) < 0.4
    own = probabilities[np.arange(60), y]
    truth = Outcome(own, member)

    def objections() -> Iterator[Objection]:
        text = write(probabilities.copy(), y.copy(), member.copy())
        yield not isinstance(text, str), f"Text, please; it returned {type(text).__name__}."
        try:
            read = read_scores(text.encode(), design=Design.ONE_RUN)
        except ValueError as error:
            yield True, f"The command would exit with 2: {error}."
            return
        yield len(read.score) != 60, f"There are 60 records, and {len(read.score)} in the file."
        number = int(read.member.sum())
        yield number == (~member).sum(), "Members and non-members have changed places."
        yield number != member.sum(), f"There are {member.sum()} members, and {number} in the file."
        yield (
            _same_order(read, Outcome(-own, member)),
            "A higher score means member: a loss has to be turned round.",
        )
        largest = Outcome(probabilities.max(axis=1), member)
        yield (
            _same_order(read, largest),
            "That is the confidence in the predicted label; take the record's own.",
        )
        distinct = len(np.unique(read.score))
        yield distinct <= 2, "Right or wrong alone is one bit; the confidence says more."
        yield distinct < 60, f"Only {distinct} scores are distinct: rounding makes ties, and ties cost."
        yield not _same_order(read, truth), "Scores and membership are not those of the same record."

    praise = "Any rising function of that confidence would do: only the order counts."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_visits(seed: int) -> np.ndarray:
    """Return a clinic of your own: for each record the number of the person whom it is of.

    Examples
    --------
    >>> coursework_visits(1).shape, len(np.unique(coursework_visits(1)))
    ((188,), 40)
    """
    rng = np.random.default_rng([20261124, seed])
    people = rng.choice(9000, size=40, replace=False) + 1000
    return rng.permutation(np.repeat(people, rng.integers(1, 9, size=40)))


def check_coursework(
    coins: Callable[[np.ndarray, np.random.Generator], np.ndarray], *, seed: int
) -> Feedback:
    """Grade a function (person, rng) → who is in, one bool a record, by what any right one must have."""
    person = coursework_visits(seed)
    people, first, records = np.unique(person, return_index=True, return_counts=True)

    def objections() -> Iterator[Objection]:
        given = person.copy()
        member = np.asarray(coins(given, np.random.default_rng(seed)))
        yield not np.array_equal(given, person), "It changed the array that it was given."
        yield (
            member.shape != person.shape or member.dtype != bool,
            f"One bool for each record, please; it returned {member.dtype} {member.shape}.",
        )
        again = np.asarray(coins(person.copy(), np.random.default_rng(seed)))
        yield not np.array_equal(member, again), "The same rng gave other coins: chance came from elsewhere."
        rng = np.random.default_rng([seed, 1])
        drawn = np.array([coins(person.copy(), rng) for _ in range(DRAWS)])
        yield (
            (drawn == drawn[0]).all(),
            "Who is in never changes: membership must be drawn, not read off the file.",
        )
        yield (
            any(
                (drawn[:, person == one] != drawn[:, [at]]).any()
                for one, at in zip(people, first, strict=True)
            ),
            "Records of one person were separated: that person is in and out at once.",
        )
        flips = drawn[:, first]
        share, spread = flips.mean(axis=0), flips.sum(axis=1).var() / (len(people) / 4)
        often = np.corrcoef(share, records)[0, 1] > 0.7 and np.ptp(share) > 0.3
        yield often, "Who has more records is in more often: it is one coin a person, whatever they have."
        yield spread < 0.1, "The number of people who are in never varies: these are not independent coins."
        yield (
            np.abs(share - 0.5).max() > 0.11,
            f"Somebody is in {share[np.argmax(np.abs(share - 0.5))]:.0%} of the time.",
        )
        yield spread > 2, "Some people share a coin."
        yield spread < 0.5, "The number of people who are in varies too little for independent coins."
        yield (
            abs(share.mean() - 0.5) > 0.02,
            f"People are in {share.mean():.1%} of the time: near is not fair, and the bound needs fair.",
        )
        together = np.corrcoef(flips.T)[np.triu_indices(len(people), 1)]
        yield together.max() > 0.25, "Two people are nearly always in together: they share a coin."
        yield together.min() < -0.25, "Two people are hardly ever in together: one coin decides for both."

    praise = "One fair coin a person, and of nobody else: now the audit may count people."
    return guarded(lambda: first_objection(objections(), praise))


def _same_order(one: Outcome, other: Outcome) -> bool:
    """Say whether members and non-members stand in the same order, whatever the order of the rows."""
    ranks = [outcome.member[np.argsort(outcome.score, kind="stable")] for outcome in (one, other)]
    return np.array_equal(ranks[0], ranks[1])
