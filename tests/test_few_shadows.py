"""Few shadows: the fits find what was planted, the limits are the plain attacks, and it pays."""

from functools import partial

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import multivariate_normal, norm, t

from mialab import metrics
from mialab.attacks import few_shadows, lira
from mialab.attacks.shadow_stats import ShadowStats, leave_one_out, shadow_stats
from mialab.game import Observations, flip_coins


def world(rng, models, records, freedom=6.0, covariance=((6.0, 4.0), (4.0, 8.0))):
    """Draw records whose variances and pairs of means come from the model that the attack supposes."""
    member = flip_coins(models, records, rng=rng)
    means = rng.multivariate_normal([3, 0], covariance, size=records).T
    spreads = np.sqrt([scale * freedom / rng.chisquare(freedom, size=records) for scale in (0.5, 2.0)])
    mean, spread = (np.where(member, pair[0], pair[1]) for pair in (means, spreads))
    return Observations(mean + spread * rng.normal(size=member.shape), member)


def test_definition_the_inverse_of_the_trigamma_function():
    values = np.array([1e-6, 0.1, 0.5, 3.0, 4.9, 1e4, 1e9])
    np.testing.assert_allclose(polygamma(1, few_shadows.inverse_trigamma(values)), values, rtol=1e-8)
    assert few_shadows.inverse_trigamma(np.array([0.0, -1.0])).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("freedom", [4.0, 15.0])
def test_oracle_the_fit_finds_the_planted_degrees_of_freedom(rng, freedom):
    target, shadows = world(rng, 12, 20_000, freedom=freedom).leave_out(0)
    for side in shadow_stats(target, shadows):
        variance, known = few_shadows.shrunk_variance(side)
        borrowed = known - side.freedom
        assert np.ptp(borrowed) == pytest.approx(0, abs=1e-9)
        assert borrowed[0] == pytest.approx(freedom, rel=0.15)
        alone = side.freedom == 0  # nothing of its own: the prior itself
        assert np.all(variance[alone] == pytest.approx(variance[alone][0]))


def test_limit_records_that_are_all_alike_share_one_variance_and_gaussians(rng):
    scatter = np.full(50, 2.0)
    variance, freedom = few_shadows.shrunk_variance(ShadowStats(np.full(50, 4.0), np.zeros(50), scatter))
    assert np.isinf(freedom).all()
    assert np.ptp(variance) == 0


def test_definition_the_two_means_given_everything_by_integration():
    """The posterior of one record's pair of means, against brute force."""
    count_in, count_out = np.array([2.0, 1, 3, 5]), np.array([1.0, 4, 2, 3])
    mean_in, mean_out = np.array([2.0, 4, -1, 6]), np.array([0.5, 1, -2, -0.5])
    inside, outside = ShadowStats(count_in, mean_in, np.ones(4)), ShadowStats(count_out, mean_out, np.ones(4))
    own_in, own_out = np.full(4, 1.5), np.full(4, 0.8)
    got = few_shadows.shrunk_means(inside, own_in, outside, own_out)
    centre = np.array([mean_in.mean(), mean_out.mean()])
    a = np.mean((mean_in - centre[0]) ** 2 - 1.5 / count_in)
    c = np.mean((mean_out - centre[1]) ** 2 - 0.8 / count_out)
    b = np.mean((mean_in - centre[0]) * (mean_out - centre[1]))
    prior = multivariate_normal(centre, [[a, b], [b, c]])

    def weight(m_out, m_in):
        seen = norm.pdf(2.0, m_in, np.sqrt(1.5 / 2)) * norm.pdf(0.5, m_out, np.sqrt(0.8 / 1))
        return seen * prior.pdf(np.stack([m_in, m_out], axis=-1))

    grid_in, grid_out = np.meshgrid(np.linspace(-6, 10, 801), np.linspace(-6, 6, 601))
    density = weight(grid_out, grid_in)

    def integral(of):
        return np.sum(of(grid_in, grid_out) * density)

    total = integral(lambda i, o: 1.0)
    expected = [integral(lambda i, o: i) / total, integral(lambda i, o: o) / total]
    variance_in = integral(lambda i, o: (i - expected[0]) ** 2) / total
    np.testing.assert_allclose([got[0][0][0], got[1][0][0]], expected, atol=1e-4)
    np.testing.assert_allclose(got[0][1][0], variance_in, atol=1e-4)


def test_limit_a_record_without_shadows_on_a_side_gets_what_the_other_side_predicts(rng):
    target, shadows = world(rng, 6, 4000).leave_out(0)
    inside, outside = shadow_stats(target, shadows)
    own_in, own_out = few_shadows.shrunk_variance(inside)[0], few_shadows.shrunk_variance(outside)[0]
    (mean_in, error_in), _ = few_shadows.shrunk_means(inside, own_in, outside, own_out)
    missing = inside.count == 0
    assert missing.any()
    slope = np.polyfit(outside.mean[missing], mean_in[missing], 1)[0]
    assert 0.3 < slope < 0.7  # 4/8 was planted, less what noise in the mean takes
    assert error_in[missing].mean() > error_in[~missing].mean()


def test_definition_the_density_is_students(rng):
    distance, variance = rng.normal(size=5), rng.uniform(0.5, 2, size=5)
    freedom = np.array([1.0, 2.5, 10, 300, np.inf])
    got = few_shadows._log_t(distance, variance, freedom)
    want = t.logpdf(distance / np.sqrt(variance), freedom) - np.log(variance) / 2
    np.testing.assert_allclose(np.diff(got - want), 0, atol=1e-9)


def test_limit_with_many_shadows_it_is_the_plain_attack(rng):
    target, shadows = world(rng, 600, 300).leave_out(0)
    plain, shrunk = lira.online(target, shadows), few_shadows.shrunken_t(target, shadows)
    assert np.corrcoef(plain, shrunk)[0, 1] > 0.99
    assert np.median(np.abs(plain - shrunk)) < 0.05


@pytest.mark.parametrize("shadows", [4, 8, 16])
def test_it_is_no_worse_than_the_better_of_per_record_and_pooled(rng, shadows):
    attacks = {
        "student": few_shadows.shrunken_t,
        "per record": lira.online,
        "pooled": partial(lira.online, spread="pooled"),
    }
    worlds = [world(rng, shadows + 1, 1500) for _ in range(8)]
    area = {
        name: np.array([metrics.pooled_roc(leave_one_out(attack, one)).auc for one in worlds])
        for name, attack in attacks.items()
    }
    better = max(area["per record"], area["pooled"], key=np.mean)
    difference = area["student"] - better
    assert difference.mean() > 2 * difference.std(ddof=1) / np.sqrt(len(worlds))  # here it is better, clearly


def test_two_shadows_are_enough(rng):
    fleet = world(rng, 3, 4000)
    assert metrics.pooled_roc(leave_one_out(few_shadows.shrunken_t, fleet)).auc > 0.65


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    target, shadows = world(rng, 5, 50).leave_out(0)
    with pytest.raises(ValueError, match="the number of shadows must be at least 2, got 1"):
        few_shadows.shrunken_t(target, Observations(shadows.signal[:1], shadows.member[:1]))
    never = np.broadcast_to(np.arange(50) % 2 == 0, shadows.member.shape)
    with pytest.raises(
        ValueError, match=r"hold some record in one model and not in another, got none .* record 0"
    ):
        few_shadows.shrunken_t(target, Observations(shadows.signal, never))
