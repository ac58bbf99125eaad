"""What somebody finds with a keyboard: completion, a version, types, a command."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mialab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_definition_completion_shows_every_package_and_nothing_else():
    found = {path.stem for path in (ROOT / "mialab").glob("[!_]*") if path.suffix in ("", ".py")}
    assert {name for name in dir(mialab) if not name.startswith("_")} == found | {"BOOK"}
    assert all(getattr(mialab, name).__name__ == f"mialab.{name}" for name in found)


def test_limit_what_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match="module 'mialab' has no attribute 'audits'"):
        _ = mialab.audits
    assert not hasattr(mialab, "__wrapped__")


def test_definition_a_package_comes_when_it_is_named_and_torch_does_not():
    code = (
        "import sys, mialab; before = [one for one in sys.modules if one.startswith('mialab.')];"
        "heavy = {'torch', 'matplotlib', 'sklearn'};"
        "mialab.audit.lower_bound; print(before, *sorted(heavy & set(sys.modules)))"
    )
    assert python(code).stdout == "[]\n"


def test_definition_the_version_is_the_projects():
    assert mialab.__version__ == PROJECT["version"]


PROGRAM = """
import numpy as np
import mialab
from mialab import audit
from mialab.accounting import Guarantee, Neighbours
from mialab.game import Counts, Design, Outcome

counts = Counts(60, 100, 5, 100, design=Design.RUNS)
bound = audit.lower_bound(counts, neighbours=Neighbours.REPLACE)
verdict = audit.refute(counts, Guarantee(1.0, 0.0, Neighbours.REPLACE))
value: float = bound.value
said: str = str(verdict.finding)
outcome = Outcome(np.array([0.9, 0.2]), np.array([True, False]), design=Design.COINS)
print(mialab.__version__, value, said, outcome.at(0.5).members)
"""


@pytest.mark.parametrize(
    ("old", "new", "clean"),
    [("", "", True), ("value: float", "value: str", False), ("60, 100", "'60', 100", False)],
)
def test_definition_a_users_program_type_checks(tmp_path, old, new, clean):
    """The types that are declared are seen from outside, and a wrong program is."""
    (tmp_path / "program.py").write_text(PROGRAM.replace(old, new), encoding="utf-8")
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"]}}', encoding="utf-8")
    check = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "program.py"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == clean, done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--version"], 0, f"mialab {PROJECT['version']}"),
        (["--help"], 0, "usage: mialab audit"),
        ([], 2, ""),
        (["audits"], 2, ""),
        (["audit", "nowhere.csv"], 2, ""),
        (["audit", "--help"], 0, "usage: mialab audit"),
    ],
)
def test_definition_the_command(arguments, code, says):
    done = python("from mialab.command import console; console()", *arguments)
    assert done.returncode == code
    assert done.stdout.startswith(says)
    assert bool(done.stderr) == (code > 0)


def test_definition_the_command_is_installed():
    assert PROJECT["scripts"] == {"mialab": "mialab.command:console"}
    installed = Path(sys.executable).with_name("mialab")
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mialab ")
