"""The recipe of a federation, which is its receipt as well."""

import math
from dataclasses import dataclass

from mialab import _check
from mialab._validation import door
from mialab.accounting.steps import check
from mialab.dp_sgd import DpSgd


@door
@dataclass(frozen=True)
class FedAvg:
    """Federated averaging (McMahan et al. 2017); with clip and noise, its private form (McMahan et al. 2018).

    In every round each client takes part with chance ``sampling_rate``, by its own coin. It starts from the
    shared weights and makes ``local_steps`` of plain SGD on its own records. What it sends is the difference
    of the weights, shortened to length ``clip`` if it is longer. The server adds Gaussian noise of standard
    deviation ``noise_multiplier · clip``, and a thousandth more for rounding, to the sum, divides by
    ``nominal_clients``, and moves the shared weights by that. Every client counts alike, however many records
    it has.

    The accountants read the object: ``accounting.privacy_loss.guarantee(recipe, delta=1e-5)``. **The promise
    is for a client**, all of its records at once, and says so; it holds against those who see the shared
    weights. The server itself sees what is sent, unless it is added up in secret.

    Attributes
    ----------
    rounds
        A whole number, at least 0.
    local_steps, batch_size, learning_rate
        What a client does in a round, as `train.Sgd` without momentum.
    nominal_clients
        What the sum is divided by: a public number, usually ``sampling_rate`` times the number of clients.
    sampling_rate
        In (0, 1]; 1 for everybody in every round.
    clip
        In 2⁻¹⁰⁰ … 2¹⁰⁰; infinite for none, which goes with no noise only.
    noise_multiplier
        σ, finite and at least 0. Zero trains, without a promise.

    Raises
    ------
    ValueError
        If a field is out of its range.

    Examples
    --------
    >>> from mialab.accounting import privacy_loss
    >>> recipe = FedAvg(rounds=100, nominal_clients=10, sampling_rate=0.01, clip=1.0, noise_multiplier=1.0)
    >>> print(privacy_loss.guarantee(recipe, delta=1e-5))
    ε ≤ 0.718037 at δ = 1e-05 (proved, add-remove one client)
    """

    rounds: int
    nominal_clients: float
    local_steps: int = 10
    batch_size: int = 16
    learning_rate: float = 0.1
    sampling_rate: float = 1.0
    clip: float = math.inf
    noise_multiplier: float = 0.0

    def __post_init__(self):
        for name, least in (("rounds", 0), ("local_steps", 1), ("batch_size", 1)):
            _check.at_least(name, getattr(self, name), least)
        _check.positive("nominal_clients", self.nominal_clients)
        _check.positive("learning_rate", self.learning_rate)
        check(self, clip=self.clip)

    @property
    def steps(self) -> int:
        """Number of releases that the accountants count: one a round."""
        return self.rounds

    @property
    def unit(self) -> str:
        """Whose part of the data the accountants' promise protects."""
        return "client"

    @property
    def server_step(self) -> DpSgd:
        """What the server does in every round, in the words of private training: a record is a client."""
        return DpSgd(self.clip, self.noise_multiplier, self.sampling_rate, self.rounds, self.nominal_clients)
