"""The package goes with what Colab has: the two resolve together, and a clash is seen."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


def resolve(project: Path, *how: str) -> subprocess.CompletedProcess:
    """Resolve a project against Colab's versions, for its Python; nothing is installed."""
    command = [UV, "pip", "compile", project / "pyproject.toml", "--constraint", ROOT / "tests/colab.txt"]
    command += ["--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", *how]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def answer(project: Path) -> subprocess.CompletedProcess:
    """Ask uv's cache; where it does not know enough, the package index; where nobody answers, skip."""
    done = resolve(project, "--offline")
    if "network was disabled" in done.stderr:
        done = resolve(project)
        if done.returncode and "No solution found" not in done.stderr:
            pytest.skip("no network, and not enough in uv's cache: not resolved against Colab's versions")
    return done


def test_definition_it_resolves_with_what_colab_has():
    done = answer(ROOT)
    assert done.returncode == 0, done.stderr
    pins = (ROOT / "tests/colab.txt").read_text(encoding="utf-8").splitlines()
    ours = ("torch==", "numpy==", "scipy==", "scikit-learn==", "matplotlib==")
    assert {pin for pin in pins if pin.startswith(ours)} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("wish", ["ipywidgets>=8", "torch>=2.12"])
def test_coverage_a_clash_is_seen(tmp_path, wish):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    project = tmp_path / "pyproject.toml"
    asked = project.read_text().replace('"jaxtyping', f'"{wish}",\n  "jaxtyping', 1)
    project.write_text(asked)
    done = answer(tmp_path)
    assert done.returncode != 0
    assert f"{wish.split('>')[0]}==" in done.stderr
    assert wish in done.stderr


def test_definition_nothing_is_pinned_or_capped():
    """Every hard pin in a companion package became an outage for somebody's readers."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [line for line in wanted if "==" in line or "<" in line or "~=" in line] == []
