"""Slow, obvious twins and small stand-ins that several test files use."""

import numpy as np
from scipy.stats import multivariate_normal


def log_likelihood_ratio(released, candidates, mean, covariance, n):
    """Return log p(released mean of n | candidate in) − log p(… | an unknown one instead), one by one."""
    out = multivariate_normal.logpdf(released, mean, covariance / n)
    with_it = [mean + (x - mean) / n for x in candidates]
    inside = [multivariate_normal.logpdf(released, one, covariance * (n - 1) / n**2) for one in with_it]
    return np.array(inside) - out
