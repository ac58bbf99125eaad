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
    """Ask the package index; where it cannot be asked, uv's cache; where that is empty, skip."""
    done = resolve(project)
    if done.returncode and "No solution found" not in done.stderr:
        done = resolve(project, "--offline")
        if done.returncode and "network" in done.stderr.lower():
            pytest.skip("no network, and nothing in uv's cache: not resolved against Colab's versions")
    return done


def test_definition_it_resolves_with_what_colab_has():
    done = answer(ROOT)
    assert done.returncode == 0, done.stderr
    pinned = [line for line in (ROOT / "tests/colab.txt").read_text().splitlines() if "==" in line]
    chosen = done.stdout.splitlines()
    assert {pin for pin in pinned if pin.split("==")[0] in ("torch", "numpy", "scipy", "matplotlib")} <= set(
        chosen
    )


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
