"""What may import what. The contract stands in pyproject.toml, and is shown to be able to fail."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]
TORCH_FREE = next(contract for contract in CONTRACTS if contract["type"] == "forbidden")
HEAVY = TORCH_FREE["forbidden_modules"]


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = Path(sys.executable).with_name("lint-imports")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(folder / "book")])}
    return subprocess.run(
        [command, "--no-logo"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def came_along(module: str, folder: Path) -> list[str]:
    """Import a module in a fresh process, and name the heavy packages that came with it."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(folder / "book")])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture
def copy(tmp_path):
    """Copy the packages, to plant a mistake in them."""
    for package in ("mialab", "book/mialab_book"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(module: Path, line: str):
    module.write_text(f"{module.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_definition_each_layer_imports_only_those_below():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("from mialab import plots", "mialab.game -> mialab.plots"),
        ("import matplotlib", "mialab.game -> matplotlib"),
        ("import mialab.train", "mialab.game -> mialab.train"),
        ("import mialab_book.exercises", "mialab.game -> mialab_book.exercises"),
    ],
)
def test_coverage_an_import_from_above_is_seen(copy, line, says):
    plant(copy / "mialab/game.py", line)
    done = lint_imports(copy)
    assert done.returncode == 1
    assert says in done.stdout


def outside_the_contract(folder: Path) -> list[str]:
    """Name the modules that have no layer: they could import anything."""
    layers = " | ".join(layer for contract in CONTRACTS for layer in contract.get("layers", [])).split(" | ")
    inside = {
        f"{package.name}.{path.stem}"
        for package in (folder / "mialab", folder / "book/mialab_book")
        for path in package.glob("[!_]*")
        if path.suffix in ("", ".py")
    }
    return sorted(inside - set(layers))


def test_definition_every_module_has_its_layer():
    assert outside_the_contract(ROOT) == []


def test_coverage_a_module_without_a_layer_is_seen(copy):
    (copy / "mialab/utils.py").touch()
    assert outside_the_contract(copy) == ["mialab.utils"]


@pytest.mark.parametrize("module", TORCH_FREE["source_modules"])
def test_definition_it_imports_without_torch(module):
    assert find_spec(module), f"{module} is in the contract and not in the package"
    assert came_along(module, ROOT) == []


def test_coverage_torch_is_seen_when_it_comes_along(copy):
    plant(copy / "mialab/_check.py", "from mialab import models")
    assert "torch" in came_along("mialab.game", copy)
