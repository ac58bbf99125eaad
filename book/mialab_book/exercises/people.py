"""Checkers for the chapter "People"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab import tradeoff
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_register(accused: float, under_epsilon: float) -> Feedback:
    """Check two beliefs at a prior of .001: after an accusation (TPR .8, FPR .01), and at most under ε = 1.

    Examples
    --------
    >>> check_register(accused=0.8, under_epsilon=0.0027)
    Not yet. 0.8 is how many members are accused; asked is how many of the accused are members.
    """
    return guarded(lambda: first_objection(_objections_to_register(accused, under_epsilon), REGISTER_PRAISE))


REGISTER_PRAISE = "Ninety-three accusations in a hundred are wrong, by an attack that sounds strong."


def _objections_to_register(accused: float, under: float) -> Iterator[Objection]:
    yield accused > 1 or under > 1, "Give chances as shares, not in per cent."
    yield (
        np.isclose(accused, 0.8),
        "0.8 is how many members are accused; asked is how many of the accused are members.",
    )
    yield (
        np.isclose(accused, 0.99, atol=0.003),
        "That would be so if half of all people were in it.",
    )
    yield np.isclose(accused, 0.0008, atol=1e-5), "Members who are accused, yes: as a share of *all accused*."
    right = tradeoff.posterior(0.001, 0.01, 0.8)
    yield (
        abs(accused - right) > 0.002,
        "Of a million people, count the accused: members, and others.",
    )
    yield np.isclose(under, 0.7311, atol=0.002), "That is the limit at even odds; here the prior is .001."
    yield np.isclose(under, 0.001 * np.exp(2), atol=1e-4), "One release, one factor e^ε on the odds."
    yield (
        abs(under - tradeoff.posterior_bound(0.001, 1.0)) > 5e-5,
        "The odds were 1 to 999. What is the most that they become?",
    )


def check_posterior(posterior: Callable[[float, float, float], float]) -> Feedback:
    """Check a function (prior, fpr, tpr) → probability that an accused person is a member."""

    def objections() -> Iterator[Objection]:
        got, right = float(posterior(0.02, 0.1, 0.6)), tradeoff.posterior(0.02, 0.1, 0.6)
        yield np.isclose(got, 0.6 / 0.7), "Where does the prior enter?"
        yield np.isclose(got, 0.02 * 0.6), "Divide by all who are accused."
        yield (
            np.isclose(got, 0.02 * 0.6 / 0.1),
            "All who are accused: members and others, with their shares.",
        )
        yield np.isclose(got, tradeoff.posterior(0.02, 0.6, 0.1)), "The two rates have changed places."
        yield not np.isclose(got, right), f"For prior .02, FPR .1 and TPR .6 it returned {got:.4f}."
        sure, none = float(posterior(1.0, 0.5, 0.5)), float(posterior(0.0, 0.5, 0.5))
        yield not (np.isclose(sure, 1) and np.isclose(none, 0)), "Priors of 0 and 1 stay what they are."

    return guarded(lambda: first_objection(objections(), "Bayes' rule, by counting."))


def check_posterior_bound(posterior_bound: Callable[[float, float], float]) -> Feedback:
    """Check a function (prior, ε) → the most that anybody can come to believe."""

    def objections() -> Iterator[Objection]:
        got, right = float(posterior_bound(0.3, 1.0)), tradeoff.posterior_bound(0.3, 1.0)
        yield np.isclose(got, 0.3 * np.e), "e^ε multiplies the odds, not the probability."
        yield np.isclose(got, 0.3 / 0.7 * np.e), "Those are the odds; turn them back into a probability."
        yield np.isclose(got, 0.3), "Where does ε enter?"
        yield np.isclose(got, np.e / (1 + np.e)), "Where does the prior enter?"
        yield not np.isclose(got, right), f"For prior .3 and ε = 1 it returned {got:.4f}."
        yield not np.isclose(float(posterior_bound(0.3, 0.0)), 0.3), "At ε = 0 nothing can be learnt."
        large = float(posterior_bound(1e-4, 8.0))
        yield not np.isclose(large, tradeoff.posterior_bound(1e-4, 8.0)), "At small priors it is off."

    return guarded(lambda: first_objection(objections(), "The definition, divided through."))


def coursework_answers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right answers of plain and of private models (12 models, 300 records), and every record's group.

    Groups 0, 1 and 2 are of very different sizes. Which one pays most, and how much, depends on the seed.
    """
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat([0, 1, 2], [220, 60, 20]))
    before = rng.uniform(0.6, 0.95, 3)
    after = before - rng.permutation([0.02, 0.1, 0.3]) * rng.uniform(0.8, 1.2)
    plain, private = (rng.random((12, 300)) < rates[group] for rates in (before, after))
    return plain, private, group


def check_coursework(
    who_pays: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[int, float]], seed: int
) -> Feedback:
    """Grade a function (plain, private, group) → (the group that loses most accuracy, its loss)."""

    def objections() -> Iterator[Objection]:
        for other in range(seed, seed + 30):
            plain, private, group = coursework_answers(other)
            name, loss = who_pays(plain.copy(), private.copy(), group.copy())
            rates = [(plain[:, group == g].mean(), private[:, group == g].mean()) for g in range(3)]
            losses = [before - after for before, after in rates]
            worst = int(np.argmax(losses))
            whole = [
                (plain[:, group == g].sum() - private[:, group == g].sum()) / plain.size for g in range(3)
            ]
            yield np.isclose(loss, -losses[worst]), "A loss is counted as a positive number here."
            yield (
                np.isclose(loss, max(whole)) and not np.isclose(loss, losses[worst]),
                "Divide by the records of the group, not by all: the average hides the few.",
            )
            yield (
                name == int(np.argmin([after for _, after in rates])) and name != worst,
                "That is the group with the lowest accuracy. Who *lost* most?",
            )
            yield (
                not (name == worst and np.isclose(loss, losses[worst])),
                f"For the answers of seed {other} it returned {name, round(float(loss), 4)}.",
            )

    praise = "Right on thirty tables. Before it is a finding: an interval that resamples models and records."
    return guarded(lambda: first_objection(objections(), praise))
