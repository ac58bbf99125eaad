"""Randomized response: a coin between a person and the survey.

Warner 1965. Each person's answer is private before it leaves the person; the survey still learns the shares.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from mialab import _check
from mialab._round import up
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.mechanisms.shares import Shares, shares_of_people, shares_on_file
from mialab.tradeoff import DominatingPair

_DIGITS = 60
_MOST = 2**31  # answers: a hundredth of one per mille of what can be drawn lies on each
_GRID = 2**53  # NumPy's uniform numbers are multiples of 1/2⁵³


@door
@dataclass(frozen=True)
class RandomizedResponse:
    """Say the true answer with a fixed probability, else one of the others at random.

    Whoever knows the seed of ``rng`` can throw the same coins and see who lied:
    pass `mialab.secure.SystemGenerator()` to release something.

    Attributes
    ----------
    truth_probability
        p in [1/k, 1): how often the reported answer is the true one.
    answers
        Number k of possible answers, at least 2; answers are the integers 0 … k − 1.

    Raises
    ------
    ValueError
        If there are fewer than two answers, or p is below 1/k (the others would be likelier than the truth)
        or 1 (nobody could deny anything).

    Examples
    --------
    >>> coins = RandomizedResponse(0.75)
    >>> print(coins.guarantee)
    ε ≤ 1.09862 at δ = 0 (proved, replace-one)
    >>> rng = np.random.default_rng(0)
    >>> truth = (rng.random(1000) < 0.3).astype(int)
    >>> reported = coins(truth, rng=rng)
    >>> print(coins.estimate(reported)[1])
    0.280 [0.219, 0.342]
    """

    truth_probability: float
    answers: int = 2

    def __post_init__(self):
        _check_number_of_answers(self.answers)
        p = self.truth_probability
        if not 1 / self.answers <= p < 1:
            _check.refuse("truth_probability", f"be in [1/{self.answers}, 1)", p)

    @classmethod
    @door
    def from_epsilon(cls, epsilon: float, answers: int = 2) -> "RandomizedResponse":
        """Return the mechanism that keeps ``epsilon``: p = e^ε/(e^ε + k − 1), rounded down to what is drawn.

        Raises
        ------
        ValueError
            If ``epsilon`` is negative or not finite, or there are fewer than two answers; or if no p that can
            be drawn is between 1/k and the one that ε allows: ε is then below about 10⁻¹⁵.

        Examples
        --------
        >>> round(RandomizedResponse.from_epsilon(1.0, 4).truth_probability, 6)
        0.475367
        """
        _check.not_negative("epsilon", epsilon)
        _check_number_of_answers(answers)
        with localcontext(prec=_DIGITS):
            allowed = int(_GRID / (1 + (answers - 1) * (-Decimal(epsilon)).exp())) / _GRID
        if allowed * answers < 1:
            _check.refuse("epsilon", f"allow a probability of at least 1/{answers}", epsilon)
        return cls(min(allowed, 1 - 1 / _GRID), answers)

    @property
    def lie_probability(self) -> float:
        """The probability of each single answer that is not the true one: (1 − p)/(k − 1)."""
        return (1 - self.truth_probability) / (self.answers - 1)

    @property
    def epsilon(self) -> float:
        """ln(p·(k − 1)/(1 − p)) at the probability with which the truth is really drawn, rounded upward."""
        drawn = Fraction(math.ceil(Fraction(self.truth_probability) * _GRID), _GRID)
        odds = drawn * (self.answers - 1) / (1 - drawn)
        with localcontext(prec=_DIGITS):
            loss = (Decimal(odds.numerator) / Decimal(odds.denominator)).ln()
        return up(max(loss, Decimal(0)))

    @property
    def guarantee(self) -> Guarantee:
        """What is promised to each person: pure ε, where one answer is replaced by another.

        Adding or removing a person has no finite ε: the number of reported answers shows it.
        """
        return Guarantee(self.epsilon, 0.0, Neighbours.REPLACE)

    @property
    def curve(self) -> DominatingPair:
        """The best that anybody can do who knows of two answers that one of them is the true one."""
        lie = self.lie_probability
        rest = 1 - self.truth_probability - lie
        pair = np.array([self.truth_probability, lie]), np.array([lie, self.truth_probability])
        return DominatingPair(*(np.append(one, rest) for one in pair))

    @door
    def __call__(
        self, truth: Int[ndarray, "*people"], *, rng: np.random.Generator
    ) -> Int[ndarray, "*people"]:
        """Return what each person reports.

        Parameters
        ----------
        truth
            Integers 0 … k − 1 of any shape; every entry gets coins of its own.
        rng
            Where the coins come from.

        Raises
        ------
        ValueError
            If an answer is not one of the k.
        """
        _check_answers("truth", truth, self.answers)
        honest = rng.random(size=truth.shape) < self.truth_probability
        shift = rng.integers(1, self.answers, size=truth.shape)
        return np.where(honest, truth, (truth + shift) % self.answers)

    @door
    def estimate(
        self, reported: Int[ndarray, "people"], *, fixed_file: bool = False, confidence: float = 0.95
    ) -> list[Shares]:
        """Return the unbiased estimate of each answer's true share, with its exact interval.

        Parameters
        ----------
        reported
            What the mechanism returned.
        fixed_file
            False: the people were drawn at random, and the truth is the share in the population they come
            from. True: these people are the whole file, and the truth is their own share; only the coins
            are random, and the interval is shorter.
        confidence
            Of each interval.

        Returns
        -------
        One `Shares` for each of the k answers. An unbiased estimate of a small share is below 0 now and
        then, and is not moved.

        Raises
        ------
        ValueError
            If nobody answered, an answer is not one of the k, p is 1/k (the reports then say nothing), or
            ``confidence`` is not in (0, 1).
        """
        _check_answers("reported", reported, self.answers)
        _check.hold("reported", reported, 1, "answers")
        if self.lie_probability >= self.truth_probability:
            _check.refuse("truth_probability", f"be above 1/{self.answers}", self.truth_probability)
        shares = shares_on_file if fixed_file else shares_of_people
        counts = np.bincount(reported, minlength=self.answers)
        rates = self.truth_probability, self.lie_probability
        return [shares(int(count), len(reported), *rates, confidence=confidence) for count in counts]

    @door
    def price(self, share: float) -> float:
        """Return how many times as many people are needed for the same standard error.

        λ(1 − λ)/((p − q)²·π(1 − π)) for people drawn at random, where λ = q + (p − q)·π is the share that
        reports an answer of true share π, and q the probability of each lie.

        Examples
        --------
        >>> round(RandomizedResponse(0.75).price(0.3), 3)
        4.571
        """
        _check.probability("share", share, open_ends=True)
        p, q = self.truth_probability, self.lie_probability
        seen = q + (p - q) * share
        return seen * (1 - seen) / (p - q) ** 2 / share / (1 - share) if p > q else np.inf


def _check_number_of_answers(answers: int) -> None:
    _check.at_least("answers", answers, 2)
    if answers > _MOST:
        _check.refuse("answers", f"be at most {_MOST}", answers)


def _check_answers(name: str, array: ndarray, answers: int) -> None:
    """Refuse what is not an answer: nobody's truth leaves by an exception's way."""
    wrong = (array < 0) | (array >= answers)
    if wrong.any():
        _check.refuse(name, f"be in 0 … {answers - 1}", f"{int(wrong.sum())} other values")
