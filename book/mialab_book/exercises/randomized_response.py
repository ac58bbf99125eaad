"""Checkers for the chapter "Randomized response"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_die(epsilon: float) -> Feedback:
    """Check ε for a die: 1–4 tell the truth, 5 say "yes", 6 say "no".

    Examples
    --------
    >>> print(check_die(np.log(2)))
    Not yet. That is the odds of 4/6. But a 5 makes some people say "yes" for whom it is true.
    """
    objections = [
        (
            np.isclose(epsilon, np.log(2)),
            'That is the odds of 4/6. But a 5 makes some people say "yes" for whom it is true.',
        ),
        (np.isclose(epsilon, 5), "That is the ratio of the two probabilities; ε is its natural logarithm."),
        (
            np.isclose(epsilon, np.log2(5)) or np.isclose(epsilon, np.log10(5)),
            "The logarithm is the natural one.",
        ),
        (
            np.isclose(epsilon, np.log(4)),
            "Compare P(yes | true yes) with P(yes | true no), not with 1/6 of all throws.",
        ),
        (not np.isclose(epsilon, np.log(5)), 'What are P("yes" | true "yes") and P("yes" | true "no")?'),
    ]
    return first_objection(objections, "5/6 against 1/6: the die's truth probability is 5/6, not 4/6.")


def check_estimate(estimate: Callable[[np.ndarray, float], float]) -> Feedback:
    """Check a function (reported, truth_probability) → unbiased share of true ones; reports are 0 or 1."""

    def objections() -> Iterator[Objection]:
        p, reported = 0.8, np.repeat([1, 0], [35, 65])
        seen, right = 0.35, (0.35 - 0.2) / 0.6
        got = float(estimate(reported.copy(), p))
        yield np.isclose(got, seen), "That is the share of reports. How many of them are lies?"
        yield (
            np.isclose(got, seen / p),
            "Honest people of the other answer lie as well: take their reports away.",
        )
        yield (
            np.isclose(got, (seen - 0.2) / p),
            "Right numerator. By how much does the report rate grow from share 0 to 1?",
        )
        yield np.isclose(got, 1 - right), "That is the share of the other answer."
        yield (
            np.isclose(got, (seen - 0.1) / 0.8),
            "p is how often the report is true, not how often the first coin says so.",
        )
        yield not np.isclose(got, right), f"For 35 ones among 100 reports and p = 0.8 it returned {got:.3f}."
        other = float(estimate(reported.copy(), 0.6))
        yield (
            np.isclose(other, 0) or np.isclose(float(estimate(np.zeros(100, dtype=int), p)), 0),
            "Cut off at 0 it is no longer right on average. Let it be negative.",
        )
        yield (
            not np.isclose(other, -0.25),
            f"For 35 ones among 100 reports and p = 0.6 it returned {other:.3f}.",
        )

    praise = "(share − (1 − p))/(2p − 1): right on average, and it has to go below 0 now and then for that."
    return guarded(lambda: first_objection(objections(), praise))


def check_attacker(guess: Callable[[np.ndarray, float, float], np.ndarray]) -> Feedback:
    """Check the best attacker: (reported, truth_probability, prior) → guessed answers, all of them 0 or 1.

    ``prior`` is the share of people whose true answer is 1.
    """

    def objections() -> Iterator[Objection]:
        reported = np.array([0, 1, 1, 0])
        fair = np.asarray(guess(reported.copy(), 0.75, 0.5))
        yield fair.shape != reported.shape, f"One guess for each report, please; the shape is {fair.shape}."
        yield not np.isin(fair, [0, 1]).all(), "Guesses are 0 or 1, not probabilities."
        yield np.array_equal(fair, 1 - reported), "It believes the opposite of what people say."
        yield not np.array_equal(fair, reported), "At even odds, what somebody says is the best guess."
        rare = np.asarray(guess(reported.copy(), 0.75, 0.01))
        yield (
            np.array_equal(rare, reported),
            "If one in a hundred has it, most reports of 1 are lies: use the prior.",
        )
        yield rare.any(), "At a prior of 0.01 and p = 0.75 a report of 1 is still more likely a lie."
        common = np.asarray(guess(reported.copy(), 0.75, 0.99))
        yield not common.all(), "At a prior of 0.99 and p = 0.75 even a report of 0 is more likely a lie."
        near = np.asarray(guess(reported.copy(), 0.75, 0.3))
        yield (
            not np.array_equal(near, reported),
            "Compare p·prior with (1 − p)·(1 − prior), not the prior with ½.",
        )

    praise = "Where the prior is more certain than the coin, the best attacker does not listen at all."
    return guarded(lambda: first_objection(objections(), praise))


Respond = Callable[[np.ndarray, int, float, np.random.Generator], np.ndarray]


def coursework_survey(seed: int) -> tuple[int, float]:
    """Return the number of answers and the ε of your own survey.

    Examples
    --------
    >>> coursework_survey(1) == coursework_survey(1), coursework_survey(1) != coursework_survey(2)
    (True, True)
    """
    rng = np.random.default_rng([20261124, seed])
    return int(rng.integers(3, 8)), float(np.round(rng.uniform(0.6, 1.8), 2))


def check_coursework(respond: Respond, *, seed: int) -> Feedback:
    """Grade a mechanism (truth, answers, epsilon, rng) → reported, by what any right one must have.

    Right ones keep your ε and use all of it, lie evenly, throw coins for each person anew, take all of their
    chance from ``rng``, and leave the truth as it was.
    """
    answers, epsilon = coursework_survey(seed)
    people = 60_000
    truth = np.random.default_rng(seed).integers(0, answers, size=people)
    p = np.exp(epsilon) / (np.exp(epsilon) + answers - 1)

    def objections() -> Iterator[Objection]:
        given = truth.copy()
        reported = np.asarray(respond(given, answers, epsilon, np.random.default_rng([seed, 1])))
        yield not np.array_equal(given, truth), "It changed the array of true answers."
        yield (
            reported.shape != truth.shape,
            f"One report for each person, please; the shape is {reported.shape}.",
        )
        yield not np.isin(reported, np.arange(answers)).all(), f"A report is not one of 0 … {answers - 1}."
        again = respond(truth.copy(), answers, epsilon, np.random.default_rng([seed, 1]))
        yield (
            not np.array_equal(again, reported),
            "The same rng gave other reports: chance came from elsewhere.",
        )
        lies = (reported - truth) % answers
        lied = lies > 0
        alike = (
            lied.all() or not lied.any() or abs(np.corrcoef(lied[1:], lied[:-1])[0, 1]) > 5 / np.sqrt(people)
        )
        yield alike, "People share coins: who lies tells who else does."
        shares = np.bincount(lies, minlength=answers) / people
        spread = 4 * np.sqrt(shares * (1 - shares) / people) + 1e-9
        over_all = p + (1 - p) / answers
        yield (
            abs(shares[0] - over_all) < spread[0],
            "Liars pick among all answers, the true one too: it is said too often.",
        )
        two = np.exp(epsilon) / (1 + np.exp(epsilon))
        yield abs(shares[0] - two) < spread[0], "That truth probability is for two answers."
        yield (
            shares[0] > p + spread[0],
            f"The truth is reported in {shares[0]:.1%} of the cases, which breaks your ε.",
        )
        yield (
            shares[0] < p - spread[0],
            f"The truth is reported in {shares[0]:.1%} of the cases; your ε allows more.",
        )
        yield (
            bool((np.abs(shares[1:] - (1 - p) / (answers - 1)) > spread[1:]).any()),
            "Some lies are likelier than others.",
        )

    praise = "It keeps its promise, and spends all of it."
    return guarded(lambda: first_objection(objections(), praise))
