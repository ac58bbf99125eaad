"""Noise with a promise. What is public is a field; what is secret is an argument.

Every mechanism is a frozen recipe, and its receipt (``guarantee``, ``curve``) is read off the same object.

    randomized_response.py    RandomizedResponse         a coin between a person and the survey
    noise.py                  Laplace, Gaussian          a number, or several, with real-valued noise
    discrete.py               DiscreteLaplace            a number on a grid, exact to the last bit
    discrete_gaussian.py      DiscreteGaussian           the same with lighter tails, and a δ
    floating_point.py         could_come_from            why the last bit matters
"""

# No names are gathered here: `from mialab.mechanisms import noise` keeps the name of the idea in view.
