"""Training together without pooling records: clients send updates, a server averages them.

recipe.py    FedAvg            what is done in every round; with clip and noise, DP-FedAvg and its receipt
rounds.py    federate          many federations as one tensor program
trace.py     Trace             what each seat at the table sees: server, other client, outsider
"""

from mialab.federated.recipe import FedAvg
from mialab.federated.rounds import federate
from mialab.federated.trace import Trace

__all__ = ["FedAvg", "Trace", "federate"]
