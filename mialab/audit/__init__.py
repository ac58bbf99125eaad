"""Lower bounds on ε that hold: what an attacker proved. NumPy and SciPy only.

    result.py            AuditResult, Method           a bound never travels alone
    evidence.py          Evidence                      which way it ranks, and how far it reaches
    ranks.py             Ranks                         sorted scores, and what is surely among the highest
    clopper_pearson.py   fixed_threshold               two rates of a rule fixed in advance
    joint.py             joint                         the two of them at once: sharper, slower
    accuracy.py          accuracy, luck                how often the attacker was right: 65 against 60
    split.py             split                         choose the threshold here, test it there
    any_threshold.py     any_threshold                 no threshold fixed: a few cuts share the error
    one_run.py           guess, one_run, p_value       many canaries in one training run
    biased.py            p_value_of_biased             coins whose bias is known: p_in
    curve.py             curve_at, CurveTest           a whole trade-off curve on trial, at fixed thresholds
    curve_ranks.py       curve_anywhere                the same at all thresholds: the scores set the cuts
    gaussian.py          gaussian_rates, _joint, …     a bound on the one number of Gaussian DP
    one_run_curve.py     curve_in_one_run, …           a curve on trial in one training run
    power.py             ceiling_of_any, trials_for_…  what this audit could have seen
    sequential.py        Betting                       look as often as you like, stop when you are sure
    credible.py          credible                      what a Bayesian believes: no bound
    verdict.py           Verdict, Finding              against what was promised
    read_scores.py       read_scores                   CSV, Parquet, .npz, for ``python -m mialab.audit``

How membership was decided is the first question. Each method is proved for some designs, and refuses others:

    ===============  =================  ===========  ===========  =====
    method           runs               coins        one-run      fixed
    ===============  =================  ===========  ===========  =====
    fixed_threshold  yes                no           no           no
    joint            yes                no           no           no
    accuracy         as many in as out  yes          yes          no
    one_run          no                 yes          yes          no
    curve_at, …      yes                no           no           no
    gaussian_…       yes                no           no           no
    …_in_one_run     no                 yes          yes          no
    split            as its test        as its test  as its test  no
    any_threshold    yes                yes          yes          no
    Betting          with fair coins    δ = 0        δ = 0        no
    ===============  =================  ===========  ===========  =====

Of the unknown no bound is possible. There is no way from scores to a bound but through a threshold, or
numbers of guesses, that were fixed in advance, through `split` or `any_threshold`, or through
`curve_anywhere` and `gaussian_anywhere`, whose p-values pay for all the cuts that they look at.
"""

from mialab.audit.accuracy import accuracy, luck
from mialab.audit.any_threshold import any_threshold
from mialab.audit.clopper_pearson import ceiling_of_rates, fixed_threshold
from mialab.audit.credible import CredibleInterval, credible
from mialab.audit.curve import CurveTest, curve_at
from mialab.audit.curve_ranks import curve_anywhere
from mialab.audit.evidence import Evidence
from mialab.audit.gaussian import GaussianBound, gaussian_anywhere, gaussian_joint, gaussian_rates
from mialab.audit.joint import joint
from mialab.audit.one_run import Guesses, ceiling_of_one_run, guess, one_run, p_value
from mialab.audit.one_run_curve import curve_in_one_run, gaussian_in_one_run, p_value_of_curve
from mialab.audit.power import ceiling_of_any, trials_for_evidence, trials_for_power
from mialab.audit.result import AuditResult, Method
from mialab.audit.sequential import Betting
from mialab.audit.split import split
from mialab.audit.verdict import Finding, Verdict

__all__ = [
    "AuditResult",
    "Betting",
    "CredibleInterval",
    "CurveTest",
    "Evidence",
    "Finding",
    "GaussianBound",
    "Guesses",
    "Method",
    "Verdict",
    "accuracy",
    "any_threshold",
    "ceiling_of_any",
    "ceiling_of_one_run",
    "ceiling_of_rates",
    "credible",
    "curve_anywhere",
    "curve_at",
    "curve_in_one_run",
    "fixed_threshold",
    "gaussian_anywhere",
    "gaussian_in_one_run",
    "gaussian_joint",
    "gaussian_rates",
    "guess",
    "joint",
    "luck",
    "one_run",
    "p_value",
    "p_value_of_curve",
    "split",
    "trials_for_evidence",
    "trials_for_power",
]
