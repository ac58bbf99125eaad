"""What batch statistics give away of a batch.

Batch normalisation makes each output depend on all records of the batch, the record's batch-mates:

    y = (x − m)/√(v + ϵ),    m, v: mean and variance over the n records of the batch, feature by feature.

**The probe**: a known record in the batch, whose normalised output tells about its batch-mates.

The batch holds the probe p and n − 1 batch-mates, with mean a and sum of squares S about a. Its own mean and
variance are m = (p + (n − 1)a)/n and v = S/n + (n − 1)(p − a)²/n², so the probe's output is, exactly,

    y = (n − 1)/n · (p − a)/√(v + ϵ).

For ϵ = 0 that is a one-to-one function of Student's t for "the mates' mean is p":
y² = (n − 1)t²/(n(n − 2) + t²). One number per feature, and never more than √(n − 1) in size.

How does y move with one of the mates? Let μ and σ² be the population's mean and variance, and q the
mean of (x − μ)² over the mates, so that S = (n − 1)(q − (a − μ)²). Around a = μ and q = σ², where y = y₀
and v + ϵ = s²,

    ∂y/∂a = −(n − 1 − y₀²)/(n s),        ∂y/∂q = −y₀ (n − 1)/(2n s²),

so that, to first order, y − y₀ is the mean over the n − 1 mates of the influence function

    φ(x) = ∂y/∂a · (x − μ) + ∂y/∂q · ((x − μ)² − σ²).

The probe has released a mean, and `mialab.leaks.aggregates` traces it: the typical power is
Φ(Φ⁻¹(α) + √(r/(n − 1))), r the rank of φ's covariance. For independent features that is their number,
whatever the probe: another probe shows another mixture of mean and variance, not more of them. Two probes
in one batch show two mixtures, so both mean and variance: for independent Gaussian features 2r.

For a wide linear layer over few inputs the features' own rank is that of the inputs, and so is φ's if the
probe is at the mean, where y₀ = 0 and only the linear part is left. Any other probe sees a variance in
each direction that the layer looks in, and squares of many projections are linearly independent: there
the rank of φ goes on growing with the width.

**Running statistics**: moving averages of the means and variances of batches, kept in the model's file.

After every training batch with mean m, and with a share ρ that torch calls momentum,

    r_new = (1 − ρ) r_old + ρ m.

So the batch k steps back has weight ρ(1 − ρ)^k. Weights wₖ average as well
as 1/Σwₖ² batches of equal weight, which is (2 − ρ)/ρ: 19 batches at torch's default of 0.1. For tracing, a
record k steps back among batches of B is a member of a mean over B(2 − ρ)/ρ records, in which it counts
(2 − ρ)(1 − ρ)^k times; put both into `aggregates.expected_tpr`.

Two files, one step apart, give the batch itself: m = (r_new − (1 − ρ) r_old)/ρ, with their rounding
divided by ρ.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from mialab import _check
from mialab._validation import door
from mialab.leaks.aggregates import Candidates, Features, Population, Release, Scores, z_score

EPS = 1e-5  # what torch's layers add to the variance


@door
def probe_output(
    probe: Release, mates: Float[ndarray, "*batches mates features"], *, eps: float = EPS
) -> Float[ndarray, "*batches features"]:
    """Return the probe's output of a batch-norm layer in training mode, before its weight and bias.

    Parameters
    ----------
    probe
        Its input (features,).
    mates
        The rest of the batch, or of many batches; at least one record.
    eps
        What the layer adds to the variance.

    Raises
    ------
    ValueError
        If there are no mates, a number is not finite, the numbers of features differ, or ``eps`` is negative.

    Examples
    --------
    >>> probe_output(np.array([3.0]), np.array([[1.0], [2.0]]), eps=0).round(4)
    array([1.2247])
    """
    if mates.shape[-2] < 1:
        _check.refuse("mates", "hold records", "none")
    _check.all_squares(probe=probe, mates=mates)
    _check.not_negative("eps", eps)
    batch = np.concatenate([np.broadcast_to(probe, (*mates.shape[:-2], 1, len(probe))), mates], axis=-2)
    return (probe - batch.mean(axis=-2)) / np.sqrt(batch.var(axis=-2) + eps)


@door
def known_mates_score(
    output: Release,
    probe: Release,
    mates: Float[ndarray, "mates features"],
    candidates: Candidates,
    *,
    eps: float = EPS,
) -> Scores:
    """Score candidates for the one unknown place in a batch whose other records are known.

    Nothing is left to chance: the score is minus the largest gap, over features, between the output and
    what it would be with the candidate in that place. It is 0 up to rounding for who is there, and for
    nobody else whose features differ from theirs.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or ``eps`` is negative.

    Examples
    --------
    >>> probe, mates, candidates = np.array([0.5]), np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]])
    >>> output = probe_output(probe, np.array([[1.0], [3.0], [4.0]]))
    >>> known_mates_score(output, probe, mates, candidates).round(2)
    array([-0.04,  0.  ])
    """
    _check.all_squares(output=output, mates=mates, candidates=candidates)
    _check.hold("candidates", candidates, 1, "records")
    with_each = np.stack([np.vstack([mates, one]) for one in candidates])
    gap = np.abs(probe_output(probe, with_each, eps=eps) - output)
    return 0.0 - gap.max(axis=-1)


@door
@dataclass(frozen=True, eq=False)
class LinearizedProbe:
    """A probe's output to first order in its batch-mates: a baseline, and the mean of their influences.

    Attributes
    ----------
    mean
        μ, float (features,).
    variance
        σ², float (features,).
    baseline
        y₀: the output if the mates were average.
    by_mean, by_square
        ∂y/∂a and ∂y/∂q.
    """

    mean: Release
    variance: Release
    baseline: Release
    by_mean: Release
    by_square: Release

    @classmethod
    @door
    def of(
        cls, probe: Release, mean: Release, variance: Release, n: int, *, eps: float = EPS
    ) -> "LinearizedProbe":
        """Linearize a probe's output around the population, for a batch of n.

        Raises
        ------
        ValueError
            If n is below 2 (in a batch of one the output is 0 whatever the record), or a feature has
            no variance: its output tells nothing.

        Examples
        --------
        >>> linear = LinearizedProbe.of(np.zeros(1), np.zeros(1), np.ones(1), n=5, eps=0)
        >>> linear.influence(np.array([[1.0]])).round(4)  # a probe at the mean sees the mean alone
        array([[-0.8944]])
        """
        _check.count("n", n, 2)
        _check.not_negative("eps", eps)
        _check.all_squares(probe=probe, mean=mean, variance=variance, eps=np.asarray(eps))
        if not (variance > 0).all():
            _check.refuse("variance", "be above 0 in every feature", variance.min())
        s = np.sqrt((n - 1) / n * (variance + (probe - mean) ** 2 / n) + eps)
        baseline = (n - 1) / n * (probe - mean) / s
        return cls(
            mean, variance, baseline, -(n - 1 - baseline**2) / (n * s), -baseline * (n - 1) / (2 * n * s**2)
        )

    @door
    def influence(self, x: Features) -> Features:
        """Return φ(x): the probe's output is about the baseline and the mean of this over mates."""
        _check.squares("x", x, twice=True)
        away = x - self.mean
        return self.by_mean * away + self.by_square * (away**2 - self.variance)


@door
def probe_z_score(
    output: Release,
    probe: Release,
    candidates: Candidates,
    reference: Features,
    n: int,
    *,
    eps: float = EPS,
) -> Scores:
    """Score candidates by the likelihood-ratio test for one probe in a batch of n.

    Parameters
    ----------
    output, probe
        The probe's output and input (features,).
    candidates
        Who might be among the n − 1 mates; an unknown record is in their place if they are not.
    reference
        Records of the same population, of which the attacker knows that they are not in the batch.
    n
        Records in the batch, the probe included.

    Returns
    -------
    Standard deviations; N(0, 1) for those who are not there, in the limit of large n.

    Raises
    ------
    ValueError
        As for `LinearizedProbe.of` and `aggregates.z_score`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> probe, mates, strangers = np.zeros(50), rng.normal(size=(9, 50)), rng.normal(size=(9, 50))
    >>> output, reference = probe_output(probe, mates), rng.normal(size=(500, 50))
    >>> score = probe_z_score(output, probe, np.concatenate([mates, strangers]), reference, n=10)
    >>> print(score[:9].mean().round(1), score[9:].mean().round(1))
    2.8 0.3
    """
    _check.all_squares(twice=True, output=output, candidates=candidates, reference=reference)
    _check.hold("reference", reference, 2, "records")
    if not np.ptp(reference, axis=0).all():
        _check.refuse("reference", "vary in every feature", "one that is constant")
    linear = LinearizedProbe.of(probe, reference.mean(axis=0), reference.var(axis=0, ddof=1), n, eps=eps)
    population = Population.of(linear.influence(reference))
    return z_score(output - linear.baseline, linear.influence(candidates), population, n - 1)


@door
def batch_stats_from_probes(
    probes: Float[ndarray, "2 features"], outputs: Float[ndarray, "2 features"], *, eps: float = EPS
) -> tuple[Release, Release]:
    """Return a batch's mean and variance from the outputs of two probes in it, exactly.

    p − m = y√(v + ϵ) for both: two equations, two unknowns.

    Raises
    ------
    ValueError
        If the probes agree in a feature, or the outputs can't come from one batch.

    Examples
    --------
    >>> batch = np.array([[0.0], [1.0], [5.0]])
    >>> outputs = (batch[:2] - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + 1e-5)
    >>> mean, variance = batch_stats_from_probes(batch[:2], outputs)
    >>> mean.round(6), variance.round(6)
    (array([2.]), array([4.666667]))
    """
    _check.finite("probes", probes)
    _check.finite("outputs", outputs)
    _check.not_negative("eps", eps)
    if (probes[0] == probes[1]).any():
        _check.refuse("probes", "differ in every feature", "two that agree in one")
    with np.errstate(divide="ignore"):
        spread = (probes[1] - probes[0]) / (outputs[1] - outputs[0])
    if not (np.isfinite(spread) & (spread > 0)).all():
        _check.refuse("outputs", "lie in the order of the probes", "two that do not")
    return probes[0] - outputs[0] * spread, spread**2 - eps


@door
def moments(x: Features, centre: Release) -> Float[ndarray, "records both"]:
    """Return (x − centre) beside (x − centre)²: the features behind a released mean *and* variance.

    Raises
    ------
    ValueError
        If the numbers of features differ, or a number has no finite square.
    """
    _check.all_squares(x=x, centre=centre)
    return np.concatenate([x - centre, (x - centre) ** 2], axis=-1)


@door
def mates_moments(
    mean: Release, variance: Release, known: Features, n: int, centre: Release
) -> Float[ndarray, "both"]:
    """Return the mean of `moments` over the unknown records of a batch, those that are known taken out.

    Raises
    ------
    ValueError
        If all records are known.

    Examples
    --------
    >>> mates_moments(np.array([2.0]), np.array([14 / 3]), np.array([[0.0], [1.0]]), 3, np.zeros(1))
    array([ 5., 25.])
    """
    _check.at_least("n", n, len(known) + 1)
    _check.all_squares(mean=mean, variance=variance, known=known, centre=centre)
    all_records = np.concatenate([mean - centre, variance + (mean - centre) ** 2])
    return (n * all_records - moments(known, centre).sum(axis=0)) / (n - len(known))


@door
@dataclass(frozen=True, eq=False)
class RunningStats:
    """What a batch-norm layer has stored.

    Attributes
    ----------
    mean, variance
        Float64 (features,): the running averages. Torch averages the *unbiased* variances, while it
        normalises by the biased ones.
    batches
        How many batches it has seen.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, or a variance or the number of batches is negative.

    Examples
    --------
    >>> RunningStats.of(nn.BatchNorm1d(2)).variance
    array([1., 1.])
    """

    mean: Release
    variance: Release
    batches: int

    def __post_init__(self):
        for name in ("mean", "variance"):
            _check.finite(name, getattr(self, name))
        if not np.all(self.variance >= 0):
            _check.refuse("variance", "be at least 0 in every feature", self.variance.min())
        _check.count("batches", self.batches, 0)

    @classmethod
    @door
    def of(cls, layer: nn.modules.batchnorm._BatchNorm) -> "RunningStats":
        """Read a layer's buffers.

        Raises
        ------
        ValueError
            If it keeps no running averages.
        """
        if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
            _check.refuse("layer", "keep running averages", layer)
        mean, variance, batches = (tensor.cpu().numpy().astype(np.float64) for tensor in layer.buffers())
        return cls(mean, variance, int(batches))


@door
def ema_weights(momentum: float, batches: int) -> Float[ndarray, "batches"]:
    """Return the weights ρ(1 − ρ)^k of the last batches in an exponential moving average, newest first.

    Raises
    ------
    ValueError
        If ``momentum`` is not in (0, 1] or ``batches`` is below 1.

    Examples
    --------
    >>> ema_weights(0.5, 3)
    array([0.5  , 0.25 , 0.125])
    """
    _check.rate("momentum", momentum)
    _check.at_least("batches", batches, 1)
    if batches > 2**31:
        _check.refuse("batches", "be at most 2**31, since all weights are listed", batches)
    return momentum * (1 - momentum) ** np.arange(batches)


@door
def effective_batches(momentum: float) -> float:
    """Return (2 − ρ)/ρ: as many batches of equal weight would average as well.

    Examples
    --------
    >>> effective_batches(1.0), round(effective_batches(0.1), 6)
    (1.0, 19.0)
    """
    _check.rate("momentum", momentum)
    return (2 - momentum) / momentum


@door
def batch_stats_between(
    before: RunningStats, after: RunningStats, momentum: float, n: int
) -> tuple[Release, Release]:
    """Return mean and biased variance of the one batch that lies between two running statistics.

    Parameters
    ----------
    before, after
        Running statistics one step apart, in this order.
    momentum
        The layer's share ρ of the newest batch, in (0, 1].
    n
        Values per feature in the batch: its records, times the positions of a feature map. Torch stores
        n/(n − 1) times the variance.

    Raises
    ------
    ValueError
        If a number is outside its range, they are not one step apart, or the variance comes
        out negative by more than float32 rounding explains: then they do not have this momentum.

    Examples
    --------
    >>> before = RunningStats(np.array([0.0]), np.array([1.0]), 0)
    >>> after = RunningStats(np.array([0.5]), np.array([1.1]), 1)
    >>> mean, variance = batch_stats_between(before, after, 0.1, n=4)
    >>> mean.round(6), variance.round(6)
    (array([5.]), array([1.5]))
    """
    _check.rate("momentum", momentum)
    _check.count("n", n, 2)
    if after.batches - before.batches != 1:
        _check.refuse("before and after", "be one batch apart", after.batches - before.batches)
    mean = (after.mean - (1 - momentum) * before.mean) / momentum
    unbiased = (after.variance - (1 - momentum) * before.variance) / momentum
    rounding = 4 * np.finfo(np.float32).eps * (np.abs(before.variance) + np.abs(after.variance)) / momentum
    if np.any(unbiased < -rounding):
        worst = f"a batch variance of {unbiased.min():.4g}"
        _check.refuse("before and after", f"come from a layer with momentum {momentum}", worst)
    return mean, unbiased * (n - 1) / n
