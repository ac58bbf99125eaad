"""From what a test can do to what somebody ends up believing: Bayes' rule, where few are members."""

from scipy.special import expit, logit

from mialab import _check
from mialab._validation import door


@door
def belief(prior: float, fpr: float, tpr: float) -> float:
    """Return the probability that an accused record is a member.

    Bayes' rule: prior · TPR / (prior · TPR + (1 − prior) · FPR). With the best TPR that a promise allows,
    ``curve.tpr(fpr)``, it is the most that an accusation can be worth under it.

    Parameters
    ----------
    prior
        Probability, before anything is seen, that the record is a member; in [0, 1].
    fpr, tpr
        Rates of the attack, in [0, 1], not both 0: somebody must be accused.

    Raises
    ------
    ValueError
        If a number is out of its range, or nobody is ever accused.

    Examples
    --------
    >>> round(belief(0.01, fpr=0.001, tpr=0.08), 3)
    0.447
    """
    for name, value in (("prior", prior), ("fpr", fpr), ("tpr", tpr)):
        _check.probability(name, value)
    true, false = prior * tpr, (1 - prior) * fpr
    if true + false == 0:
        _check.refuse("the chance of an accusation", "be above 0", true + false)
    return true / (true + false)


@door
def most_believed(prior: float, epsilon: float) -> float:
    """Return the most that anybody can come to believe of a member under pure ε, whatever is seen.

    The odds grow by e^ε at most: it is the definition, divided through (Kasiviswanathan & Smith 2014 make it
    precise). Of one membership, whatever the others are: where several only come together, as those of a
    family may, they change at once, and the ε of the group counts.
    With δ > 0 no such limit exists: with probability δ everything may be given away. Use `belief` there.

    Parameters
    ----------
    prior
        In [0, 1].
    epsilon
        At least 0: between a data set with the record and the one without it.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> round(most_believed(0.01, 1.0), 4), most_believed(0.5, 0.0)
    (0.0267, 0.5)
    """
    _check.probability("prior", prior)
    _check.not_negative("epsilon", epsilon)
    if prior in (0.0, 1.0):
        return prior
    return float(expit(logit(prior) + epsilon))
