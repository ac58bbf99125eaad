"""Our federation against Flower's: the same weights without chance, one more draw of the same with it.

Needs `pip install -e ".[flower]"` in an environment of its own. Nearly all of the time, half a minute to a
minute a run, is Flower starting its processes.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("flwr", reason="Flower is optional: pip install -e '.[flower]'")
pytest.importorskip("ray", reason="Flower's simulator needs ray: pip install -e '.[flower]'")
pytest.importorskip("dp_accounting", reason="Flower's accountant needs it: pip install -e '.[flower]'")

from mialab import models
from mialab.accounting import renyi
from mialab.federated import FedAvg, federate
from mialab.train import predict
from mialab_book import data

ROOT = Path(__file__).parent.parent
APP = ROOT / "book/4_world/flower"
BIN = Path(sys.executable).parent
QUIET = {  # nothing of this goes to the network
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# Clients have 40, 60 or 120 records: such a batch is all of them, once or more, without any chance.
EVERYTHING = 120


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("federation", APP / "federation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def flower(tmp_path_factory):
    """Start Flower's server for runs, and return a function from settings to what the app left."""
    home = tmp_path_factory.mktemp("flower")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = (
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    (home / "config.toml").write_text(address)
    search = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = os.environ | QUIET | {"FLWR_HOME": str(home), "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    superlink = [BIN / "flower-superlink", "--insecure", "--simulation", "--host", "127.0.0.1"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*superlink, "--port", str(port)], env=env, stdout=log, stderr=log, start_new_session=True
        )
    wait_for(port, process, home / "log")

    def run(supernodes=None, **settings):
        found = home / f"{time.monotonic_ns()}.npz"
        words = {name.replace("_", "-"): value for name, value in settings.items()}
        told = " ".join(f"{name}={value!r}" for name, value in (words | {"save-to": str(found)}).items())
        federation = f"num-supernodes={supernodes or settings['clients']} client-resources-num-cpus=1"
        command = [BIN / "flwr", "run", APP, "--stream", "-c", told, "--federation-config", federation]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert found.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        with np.load(found, allow_pickle=False) as left:
            return dict(left)

    yield run
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


def wait_for(port, process, log):
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        with socket.socket() as knock:
            if not knock.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise TimeoutError(log.read_text())


def starting_at(weights):
    """Return a maker of one and the same network."""

    def make():
        network = models.mlp(64, (32,), 10)
        torch.nn.utils.vector_to_parameters(torch.from_numpy(weights), network.parameters())
        return network

    return make


def ours(app, start, recipe, *, seed, times=1, watch=()):
    """Run `federate` on the app's digits from the app's weights, with batches of its own."""
    digits = data.digits()
    owner, member = app.deal(5, 0)
    rows = np.repeat(member[None], times, axis=0)
    rng = np.random.default_rng(seed)
    trace = federate(starting_at(start), digits.x, digits.y, owner, rows, recipe, rng=rng, watch=watch)
    accuracy = (predict(trace.shared(recipe.rounds), digits.x).argmax(axis=2) == digits.y)[:, ~member]
    return trace, accuracy.mean(axis=1)


def strangeness(found, others):
    """Return how many standard deviations a value lies from the mean of others."""
    return abs(found - others.mean()) / others.std(ddof=1)


def test_oracle_without_chance_flower_goes_through_the_same_weights(flower):
    runs = flower(clients=5, rounds=3, local_steps=2, learning_rate=0.5, batch_size=EVERYTHING)
    assert np.abs(runs["federate"][3] - runs["federate"][0]).max() > 0.01  # it went somewhere
    np.testing.assert_allclose(runs["flower"], runs["federate"], rtol=0, atol=1e-5)


def test_oracle_with_chance_flower_is_one_more_draw_of_the_same_federation(flower, app):
    runs = flower(clients=5, rounds=6, learning_rate=0.3)
    recipe = {"rounds": 6, "nominal_clients": 5, "learning_rate": 0.3}
    trace, accuracy = ours(app, runs["flower"][0], FedAvg(**recipe), seed=1, times=100)
    ends = trace.weights[-1].numpy()
    assert strangeness(runs["accuracy"][-1, 1], accuracy) < 5
    far = np.linalg.norm(ends - ends.mean(axis=0), axis=1)
    assert strangeness(np.linalg.norm(runs["flower"][-1] - ends.mean(axis=0)), far) < 5
    # ... which would find a client that makes one local step too few
    short, _ = ours(app, runs["flower"][0], FedAvg(**recipe, local_steps=9), seed=2)
    assert strangeness(np.linalg.norm(short.weights[-1, 0].numpy() - ends.mean(axis=0)), far) > 5


def test_oracle_flower_clips_adds_noise_of_our_size_and_promises_the_same(flower, app):
    settings = {"local_steps": 2, "batch_size": EVERYTHING, "clip": 0.02}
    runs = flower(clients=5, rounds=1, noise_multiplier=3.0, **settings)
    trace, _ = ours(app, runs["flower"][0], FedAvg(1, 5, **settings), seed=1, watch=[0])
    assert trace.updates[0].norm(dim=2).min() > 0.02  # the clip had something to do
    noise = runs["flower"][1] - trace.weights[1, 0].numpy()
    announced = 3.0 * 0.02 / 5
    assert abs(noise.std() / announced - 1) < 5 / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 5 * announced / np.sqrt(noise.size)
    promise = renyi.guarantee(FedAvg(1, 5, noise_multiplier=3.0, **settings), delta=1e-5)
    assert runs["epsilon"] == pytest.approx(promise.epsilon, rel=1e-4)


def test_definition_flowers_own_weighting_lets_a_large_client_move_more_than_its_share(flower, app):
    """The noise of the wrapper, sized for equal weights, is too small then: so the app counts clients."""
    by_records = {"weighted_by": "num-examples", "clip": 0.02}
    runs = flower(clients=5, rounds=1, local_steps=2, batch_size=EVERYTHING, **by_records)
    recipe = FedAvg(1, 5, local_steps=2, batch_size=EVERYTHING, clip=0.02)
    trace, _ = ours(app, runs["flower"][0], recipe, seed=1, watch=[0])
    clipped = torch.nn.functional.normalize(trace.updates[0][0], dim=1).numpy() * 0.02
    share = np.array([40, 60, 120, 40, 60]) / 320
    np.testing.assert_allclose(runs["flower"][1] - runs["flower"][0], share @ clipped, rtol=0, atol=1e-6)
    assert np.linalg.norm(share[2] * clipped[2]) > 1.8 * 0.02 / 5


def test_a_federation_of_another_size_than_announced_says_so(flower):
    with pytest.raises(AssertionError, match="num-supernodes must be 3, the number of clients"):
        flower(supernodes=4, clients=3, rounds=1)
