"""One federation twice: by `mialab.federated.federate` and by Flower, from one start, on the same records.

`flwr run` starts it. The settings, and what they are unless you say otherwise, are in pyproject.toml.
"""

import math

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, NeighboringRelation, PrivacyConfig, RdpAccountant, SamplingMethod, ServerApp
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg
from torch import nn

from mialab import federated, models, train
from mialab.accounting import renyi
from mialab.train.batching import batches
from mialab_book import data

SIZES = 40, 60, 120  # records of clients 0, 1, 2; then from the front again
DELTA = 1e-5

client = ClientApp()
server = ServerApp()


def make() -> nn.Module:
    """Return a fresh network."""
    return models.mlp(64, (32,), 10)


def deal(clients: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the owner of every digit, and whether it is in the federation at all: (records,) both."""
    sizes = [SIZES[number % len(SIZES)] for number in range(clients)]
    records = len(data.digits().y)
    dealt = np.random.default_rng(seed).permutation(records)[: sum(sizes)]
    owner, member = np.zeros(records, dtype=int), np.zeros(records, dtype=bool)
    owner[dealt], member[dealt] = np.repeat(np.arange(clients), sizes), True
    return owner, member


@client.train()
def local_training(message: Message, context: Context) -> Message:
    """Make plain SGD steps on a client's own records, from the weights that came with the message."""
    settings, number = context.run_config, context.node_config["partition-id"]
    round_ = message.content["config"]["server-round"]
    owner, member = deal(settings["clients"], settings["seed"])
    x, y = (torch.from_numpy(all_[member & (owner == number)]) for all_ in (data.digits().x, data.digits().y))
    if not len(y):
        raise ValueError(f"client {number} holds no record")
    model = make()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    descent = torch.optim.SGD(model.parameters(), lr=settings["learning-rate"])
    rng = np.random.default_rng([settings["seed"], round_, number])
    for batch in batches(len(y), settings["local-steps"], settings["batch-size"], rng=rng):
        descent.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        descent.step()
    answer = {
        "arrays": ArrayRecord(model.state_dict()),
        "metrics": MetricRecord({"clients": 1, "num-examples": len(y)}),
    }
    return Message(RecordDict(answer), reply_to=message)


@server.main()
def compare(grid: Grid, context: Context) -> None:
    """Run both, and print how they went."""
    settings = context.run_config
    owner, member = deal(settings["clients"], settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    digits, recipe = data.digits(), our_recipe(settings)
    trace = federated.federate(make, digits.x, digits.y, owner, member[None], recipe, rng=rng)
    flower, accuracy = [], []

    def look(round_: int, arrays: ArrayRecord) -> MetricRecord:
        if round_ and len(list(grid.get_node_ids())) != settings["clients"]:
            raise ValueError(f"num-supernodes must be {settings['clients']}, the number of clients")
        model = make()
        model.load_state_dict(arrays.to_torch_state_dict())
        flower.append(nn.utils.parameters_to_vector(model.parameters()).detach())
        pair = [correct(one, digits, ~member) for one in (trace.shared(round_)[0], model)]
        accuracy.append(pair)
        return MetricRecord({"federate": pair[0], "flower": pair[1]})

    start, strategy = ArrayRecord(trace.shared(0)[0].state_dict()), their_strategy(settings)
    strategy.start(grid, start, num_rounds=settings["rounds"], evaluate_fn=look)
    apart = (torch.stack(flower) - trace.weights[:, 0]).abs().amax(dim=1)
    print("round  accuracy: federate  Flower  largest difference of a weight")
    for round_, (pair, far) in enumerate(zip(accuracy, apart.tolist(), strict=True)):
        print(f"{round_:5}  {pair[0]:18.3f}  {pair[1]:6.3f}  {far:.1e}")
    found = {"federate": trace.weights[:, 0], "flower": torch.stack(flower), "accuracy": accuracy}
    if settings["noise-multiplier"]:
        found["epsilon"] = strategy.privacy_spent().epsilon
        print("This book:", renyi.guarantee(recipe, delta=DELTA))
        print(f"Flower:    ε ≤ {found['epsilon']:.6g} at δ = {DELTA}")
    if settings["save-to"]:
        np.savez(settings["save-to"], **found)


def our_recipe(settings) -> federated.FedAvg:
    """Say it in this book's words."""
    return federated.FedAvg(
        rounds=settings["rounds"],
        nominal_clients=settings["clients"],
        local_steps=settings["local-steps"],
        batch_size=settings["batch-size"],
        learning_rate=settings["learning-rate"],
        clip=settings["clip"],
        noise_multiplier=settings["noise-multiplier"],
    )


def their_strategy(settings) -> FedAvg | DifferentialPrivacyServerSideFixedClipping:
    """Say it in Flower's."""
    clients = settings["clients"]
    average = FedAvg(
        fraction_evaluate=0.0,
        min_train_nodes=clients,
        min_available_nodes=clients,
        weighted_by_key=settings["weighted-by"],
    )
    if math.isinf(settings["clip"]):
        return average
    promise = PrivacyConfig(
        DELTA, clients, NeighboringRelation.ADD_OR_REMOVE_ONE, SamplingMethod.NO_AMPLIFICATION
    )
    return DifferentialPrivacyServerSideFixedClipping(
        average,
        settings["noise-multiplier"],
        settings["clip"],
        num_sampled_clients=clients,
        accountant=RdpAccountant(promise) if settings["noise-multiplier"] else None,
    )


def correct(model: nn.Module, records: data.Records, chosen: np.ndarray) -> float:
    """Return the share of the chosen records that a model gets right."""
    return float((train.predict(model, records.x[chosen]).argmax(axis=1) == records.y[chosen]).mean())
