"""Lower bounds on ε that hold: what an attacker proved. NumPy and SciPy only.

Whoever knows one call knows them all. **Evidence** is what an experiment left, with its design: `Counts` of
a fixed rule, an `Outcome`, whose scores are ranked, `Guesses` in one run, a `ConfidenceSequence` of calls. A
**claim** is what was promised: a `Guarantee` (ε, δ), or any curve of `mialab.tradeoff`. A **test** gives a
p-value of evidence under a claim; it names the designs that it is proved for, and what it assumes::

    lower_bound(evidence, neighbours=…)     the largest ε (or μ) that the evidence refutes
    refute(evidence, claim)                 violated, consistent or uninformative
    p_value(evidence, claim)                how likely such evidence is, if the claim is true

By default with the best test that is proved for the evidence, else with ``test=`` any other of `TESTS`.

    evidence.py    Guesses, guess               what an experiment left, and what it could have shown
    claims.py                                   (ε, δ), μ and curves, as what no attack may cross
    accuracy.py    binomial_p_value             how often the attacker was right: 65 against 60
    rates.py                                    two rates of a fixed rule: two limits, or both at once
    ranking.py                                  no threshold fixed: the cuts share the error
    one_run.py                                  many canaries in one training run
    betting.py     ConfidenceSequence           look as often as you like, stop when you are sure
    bound.py       lower_bound, refute, TESTS   evidence × test × claim
    result.py      AuditResult, Verdict         nothing travels alone
    split.py       split                        choose the threshold here, test it there
    power.py       ceiling, trials_for_…        what any audit could have seen
    credible.py    credible                     what a Bayesian believes: no bound
    read_scores.py                              CSV, Parquet, .npz, for ``mialab audit``

How membership was decided is the first question; of fixed numbers and of the unknown no bound is possible.
There is no way from scores to a bound but through a threshold, or numbers of guesses, that were fixed in
advance, through `split`, or through a test of an `Outcome`, which pays for all the cuts that it looks at.
"""

from mialab.audit.accuracy import binomial_p_value
from mialab.audit.betting import ConfidenceSequence
from mialab.audit.bound import TESTS, lower_bound, p_value, refute, table
from mialab.audit.credible import CredibleInterval, credible
from mialab.audit.evidence import Guesses, guess
from mialab.audit.power import ceiling, trials_for_evidence, trials_for_power
from mialab.audit.result import AuditResult, Finding, Verdict
from mialab.audit.split import split

__doc__ = f"{__doc__}\n{table()}\n"

__all__ = [
    "TESTS",
    "AuditResult",
    "ConfidenceSequence",
    "CredibleInterval",
    "Finding",
    "Guesses",
    "Verdict",
    "binomial_p_value",
    "ceiling",
    "credible",
    "guess",
    "lower_bound",
    "p_value",
    "refute",
    "split",
    "table",
    "trials_for_evidence",
    "trials_for_power",
]
