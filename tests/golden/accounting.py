"""Upper bounds on ε and δ, composition, and trade-off curves."""

import numpy as np

from golden.cases import Area
from mialab import accounting, tradeoff
from mialab.accounting import privacy_loss, renyi

AREA = Area()
add = AREA.add

RECIPES = [
    (4.0, 0.01, 10_000),
    (1.0, 1.0, 1),
    (1.0, 1.0, 10),
    (0.5, 0.1, 1),
    (2.0, 0.5, 100),
    (20.0, 1e-3, 1000),
    (0.02, 1.0, 1),
    (1.0, 1e-4, 1),
]


def said(recipe: tuple[float, float, int]) -> str:
    return "noise {}, rate {}, {} steps".format(*recipe)


def steps(recipe: tuple[float, float, int]) -> accounting.SampledGaussian:
    return accounting.SampledGaussian(*recipe)


# The accountants.


def loss_epsilon(recipes, delta):
    return privacy_loss.guarantee(*map(steps, recipes), delta=delta).epsilon


def loss_delta(recipe, epsilon):
    return privacy_loss.delta(steps(recipe), epsilon=epsilon)


def loss_least(recipe, delta):
    return privacy_loss.least_epsilon(steps(recipe), delta=delta)


def loss_curve(recipe):
    return privacy_loss.curve(steps(recipe)).tpr(np.array([0.0, 1e-3, 0.01, 0.1, 0.5, 1.0]))


def renyi_epsilon(recipes, delta):
    return renyi.guarantee(*map(steps, recipes), delta=delta).epsilon


def mironov_epsilon(recipe, delta):
    return renyi.guarantee_mironov2017(steps(recipe), delta=delta).epsilon


def renyi_divergence(recipe, orders):
    return renyi.divergence(steps(recipe), orders=np.array(orders))


def renyi_least(recipe, delta):
    return renyi.least_epsilon(renyi.divergence(steps(recipe)), delta=delta)


def gdp_mu(recipe):
    return accounting.gdp_approximation(steps(recipe)).mu


for recipe in RECIPES:
    for delta in (1e-5, 1e-9):
        name = f"epsilon of the privacy loss, {said(recipe)}, delta {delta}"
        add(name, "upper", loss_epsilon, [recipe], delta)
        add(
            f"epsilon from Renyi moments, {said(recipe)}, delta {delta}",
            "upper",
            renyi_epsilon,
            [recipe],
            delta,
        )
    for epsilon in (0.0, 1.0, 4.0):
        name = f"delta of the privacy loss, {said(recipe)}, epsilon {epsilon}"
        add(name, "upper", loss_delta, recipe, epsilon)
    add(f"curve of the privacy loss, {said(recipe)}", "upper", loss_curve, recipe)
    add(f"least epsilon of the privacy loss, {said(recipe)}", "exact", loss_least, recipe, 1e-5)
    add(f"epsilon by Mironov 2017, {said(recipe)}", "upper", mironov_epsilon, recipe, 1e-5)
    add(f"least epsilon of the moments, {said(recipe)}", "upper", renyi_least, recipe, 1e-5)
    for order in (1.5, 2.0, 32.0, 256.0):
        name = f"Renyi divergence of order {order}, {said(recipe)}"
        add(name, "exact", renyi_divergence, recipe, [order])
    add(f"mu of the central limit, {said(recipe)}", "exact", gdp_mu, recipe)
add("epsilon of the privacy loss, delta 0 is refused", "upper", loss_epsilon, [RECIPES[1]], 0.0)
add("epsilon from Renyi moments, delta 0 is refused", "upper", renyi_epsilon, [RECIPES[1]], 0.0)
add("epsilon of the privacy loss, two phases", "upper", loss_epsilon, [RECIPES[1], RECIPES[4]], 1e-5)
add("epsilon from Renyi moments, two phases", "upper", renyi_epsilon, [RECIPES[1], RECIPES[4]], 1e-5)


def noise_for(epsilon, delta, rate, number):
    target = accounting.Guarantee(epsilon, delta, accounting.Neighbours.ADD_REMOVE)
    return accounting.smallest_noise(target, sampling_rate=rate, steps=number)


for epsilon, delta, rate, number in [(1.0, 1e-5, 0.01, 1000), (8.0, 1e-5, 1.0, 10), (0.3, 1e-6, 1.0, 1)]:
    name = f"smallest noise for epsilon {epsilon}, delta {delta}, rate {rate}, {number} steps"
    add(name, "upper", noise_for, epsilon, delta, rate, number)


# Composition.


def promise(epsilon, delta, replace=False) -> accounting.Guarantee:
    neighbours = accounting.Neighbours.REPLACE if replace else accounting.Neighbours.ADD_REMOVE
    return accounting.Guarantee(epsilon, delta, neighbours)


def basic(one, times):
    made = accounting.basic(*times * [promise(*one)])
    return made.epsilon, made.delta


def advanced(one, times, slack):
    made = accounting.advanced(promise(*one), times, slack=slack)
    return made.epsilon, made.delta


def group(one, size):
    made = accounting.group(promise(*one), size)
    return made.epsilon, made.delta


def parallel(ones, fixed_parts):
    promises = [promise(epsilon, delta, fixed_parts) for epsilon, delta in ones]
    made = accounting.parallel(*promises, fixed_parts=fixed_parts)
    return made.epsilon, made.delta


def replace_one(one):
    made = accounting.replace_one(promise(*one))
    return made.epsilon, made.delta


for one in [(0.1, 0.0), (1.0, 1e-6), (0.0, 0.0)]:
    named = "epsilon {}, delta {}".format(*one)
    for times in (1, 10, 1000):
        add(f"basic composition, {times} times {named}", "upper", basic, one, times)
        add(f"advanced composition, {times} times {named}, slack 1e-6", "upper", advanced, one, times, 1e-6)
    for size in (1, 3, 20):
        add(f"group of {size}, {named}", "upper", group, one, size)
    add(f"replace one instead of add or remove, {named}", "upper", replace_one, one)
for fixed in (False, True):
    add(f"parallel composition, fixed parts {fixed}", "upper", parallel, [(0.5, 1e-6), (2.0, 0.0)], fixed)


# Trade-off curves.

FPR = np.array([0.0, 1e-3, 0.01, 0.1, 0.5, 0.9, 1.0])
EPSILON = np.array([-1.0, 0.0, 0.5, 1.0, 3.0, 20.0])

CURVES = {
    "Gaussian, mu 1": lambda: tradeoff.GaussianCurve(1.0),
    "Gaussian, mu 0": lambda: tradeoff.GaussianCurve(0.0),
    "Gaussian, mu 3 times mu 4": lambda: tradeoff.GaussianCurve(3.0) * tradeoff.GaussianCurve(4.0),
    "Laplace, epsilon 1": lambda: tradeoff.LaplaceCurve(1.0),
    "pure, epsilon 1": lambda: tradeoff.pure(1.0),
    "pure, epsilon 0": lambda: tradeoff.pure(0.0),
    "pure, epsilon 0.1, 50 times": lambda: tradeoff.pure(0.1) ** 50,
    "approximate, epsilon 1, delta 0.1": lambda: tradeoff.approximate(1.0, 0.1),
    "randomized response, epsilon 1": lambda: tradeoff.randomized_response(1.0),
    "randomized response, epsilon 1, 4 answers": lambda: tradeoff.randomized_response(1.0, 4),
    "pair of three outputs": lambda: tradeoff.DominatingPair(
        np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.3, 0.2])
    ),
    "pair of three outputs, swapped": lambda: tradeoff.DominatingPair(
        np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.3, 0.0])
    ).swapped(),
    "polygon around the Gaussian, mu 1": lambda: tradeoff.outer_polygon(
        tradeoff.GaussianCurve(1.0).delta, np.linspace(-6, 6, 61)
    ),
    "polygon within the Gaussian, mu 1": lambda: tradeoff.DominatingPair(
        np.diff(tradeoff.GaussianCurve(1.0).tpr(np.array([0.0, 0.01, 0.1, 0.5, 1.0])), prepend=0.0),
        np.array([0.0, 0.01, 0.09, 0.4, 0.5]),
    ),
}


def curve_tpr(name):
    return [CURVES[name]().tpr(FPR), CURVES[name]().tpr(0.05)]


def curve_delta(name):
    return [CURVES[name]().delta(EPSILON), CURVES[name]().delta(0.3)]


def curve_area(name):
    return CURVES[name]().auc, CURVES[name]().largest_loss


def curve_advantage(name):
    return tradeoff.advantage(CURVES[name]())


def curve_accuracy(name):
    return [tradeoff.accuracy(CURVES[name](), prior=prior) for prior in (0.5, 0.1, 0.9)]


def curve_epsilon(name, delta):
    return tradeoff.epsilon_at(CURVES[name](), delta)


for name in CURVES:
    add(f"TPR of a curve, {name}", "exact", curve_tpr, name)
    add(f"delta of a curve, {name}", "exact", curve_delta, name)
    add(f"area and largest loss of a curve, {name}", "exact", curve_area, name)
    add(f"advantage of a curve, {name}", "exact", curve_advantage, name)
    add(f"accuracy of a curve, {name}", "exact", curve_accuracy, name)
    for delta in (0.0, 1e-5, 0.05, 1.0):
        add(f"epsilon of a curve, {name}, delta {delta}", "upper", curve_epsilon, name, delta)


def epsilon_of_rates(fpr, tpr, delta):
    return tradeoff.epsilon_from_rates(fpr, tpr, delta=delta)


def epsilon_of_accuracy(share, delta):
    return tradeoff.epsilon_from_rates(1 - share, share, delta=delta)


def epsilon_of_advantage(advantage, delta):
    return tradeoff.epsilon_from_rates((1 - advantage) / 2, (1 + advantage) / 2, delta=delta)


def posterior(prior, fpr, tpr):
    return tradeoff.posterior(prior, fpr, tpr)


def posterior_bound(prior, epsilon):
    return tradeoff.posterior_bound(prior, epsilon)


for delta in (0.0, 0.01):
    for fpr, tpr in [(0.01, 0.1), (0.0, 0.1), (0.5, 0.5), (0.9, 0.99), (0.3, 0.1)]:
        add(f"epsilon from rates {fpr} and {tpr}, delta {delta}", "exact", epsilon_of_rates, fpr, tpr, delta)
    for share in (0.5, 0.6, 0.999, 1.0):
        add(f"epsilon from accuracy {share}, delta {delta}", "exact", epsilon_of_accuracy, share, delta)
    for advantage in (0.0, 0.5, 1.0):
        name = f"epsilon from advantage {advantage}, delta {delta}"
        add(name, "exact", epsilon_of_advantage, advantage, delta)
for prior, fpr, tpr in [(0.01, 0.001, 0.08), (0.5, 0.0, 0.1), (0.5, 0.3, 0.3)]:
    add(f"posterior of membership, prior {prior}, rates {fpr} and {tpr}", "exact", posterior, prior, fpr, tpr)
for prior, epsilon in [(0.01, 1.0), (0.5, 0.0), (0.001, 20.0)]:
    add(f"largest posterior, prior {prior}, epsilon {epsilon}", "exact", posterior_bound, prior, epsilon)
