"""Audits by one test each, for tests that compare them, and results that nobody computed."""

from functools import partial
from typing import Any

from mialab.audit import AuditResult, lower_bound
from mialab.audit.claims import Epsilon
from mialab.audit.result import AuditTest
from mialab.game import Design
from mialab.metrics import Estimate

accuracy = partial(lower_bound, test="accuracy")
rates = partial(lower_bound, test="rates")
joint = partial(lower_bound, test="joint")
mu = partial(lower_bound, family="mu")


def result(value: float = 1.0, delta: float = 0.0, ceiling: float = 5.0, **other: Any) -> AuditResult:
    """Return a bound on ε, or with ``of`` on something else, with terms that are all made up."""
    test = AuditTest("some test", object, (Design.RUNS,), "nothing", lambda *_: 1.0, lambda *_: 0.0)
    rank = Estimate(0.5, 0.0, 1.0, 0.95, "none")
    fields = {
        "value": value,
        "ceiling": ceiling,
        "reach": ceiling,
        "turned": 0.0,
        "of": Epsilon(delta),
        "confidence": 0.95,
        "test": test,
        "neighbours": "replace-one",
        "unit": "record",
        "design": "runs",
        "trials": 100,
        "name": "AUC",
        "rank": rank,
    }
    return AuditResult(**fields | other)
