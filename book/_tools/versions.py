"""The package goes with old versions: a fresh environment of them, and the tests.

python book/_tools/versions.py oldest            the lowest versions that pyproject.toml declares, Python 3.11
python book/_tools/versions.py colab             what Colab has (tests/colab.txt), Python 3.13
    --python PYTHON      another interpreter, by version or path
    --with torch==2.13   one version instead of what was said; may be repeated
    --all                the book, its tools and the built site are tested, too (`make book` comes first)
    PYTEST ARGUMENTS     whatever else is given, such as tests/test_noise.py or -k noise

Needs uv, which the environment variables UV_TORCH_BACKEND (`cpu`) and UV_FIND_LINKS tell where torch is.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
PYTHON = {"oldest": "3.11", "colab": "3.13"}
OF_THE_BOOK = ("book", "colab", "site", "tools")
READ_BY_TESTS = ("beautifulsoup4", "nbformat", "pyyaml")
# Old releases warn of new ones, and that is no fault of ours.
PYTEST = ("-q", "-o", "filterwarnings=", "-p", "no:cacheprovider")


def name_of(pin: str) -> str:
    """Return the package that a requirement is about."""
    return re.split(r"[\[<>=!~; ]", pin, maxsplit=1)[0].lower()


def environment(folder: Path, python: str) -> Path:
    """Make an empty environment, and return its interpreter; uv fetches a Python that is not there."""
    subprocess.run([UV, "venv", "--quiet", "--python", python, folder / "venv"], check=True)
    return folder / "venv/bin/python"


def lowest(inside: Path, project: Path = ROOT) -> list[str]:
    """Resolve the dependencies to the lowest versions that are declared."""
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ask = [UV, "pip", "compile", project / "pyproject.toml", "--resolution", "lowest-direct", "--quiet"]
    ask += ["--no-header", "--no-annotate", "--python", inside]
    found = subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    ours = {name_of(line) for line in declared["dependencies"]}
    return [pin for pin in found if name_of(pin) in ours]


def colabs(project: Path = ROOT) -> list[str]:
    """Read what Colab has."""
    lines = (project / "tests/colab.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def instead(pins: list[str], others: list[str]) -> list[str]:
    """Put other pins in the place of those about the same packages."""
    said = {name_of(pin) for pin in others}
    return [pin for pin in pins if name_of(pin) not in said] + others


def install(inside: Path, pins: list[str], tools: str = "test") -> None:
    """Install the package and its tests' tools, with these versions of what is pinned."""
    wanted = inside.with_name("wanted.txt")
    wanted.write_text("\n".join(pins), encoding="utf-8")
    ask = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        inside,
        "--constraint",
        wanted,
        "-e",
        f"{ROOT}[{tools}]",
    ]
    subprocess.run([*ask, *READ_BY_TESTS], check=True)


def installed(inside: Path, pins: list[str]) -> list[str]:
    """Ask an environment which versions it has of the packages that are pinned."""
    ask = [UV, "pip", "freeze", "--quiet", "--python", inside]
    found = subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [line for line in found if name_of(line) in set(map(name_of, pins))]


def main(arguments: list[str]) -> int:
    """Try one set of versions, and say whether the tests pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("which", choices=PYTHON)
    parser.add_argument("--python")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="PIN")
    parser.add_argument("--all", action="store_true")
    asked, rest = parser.parse_known_args(arguments)
    python = asked.python or PYTHON[asked.which]
    skip = [] if asked.all else [f"--ignore=tests/test_{name}.py" for name in OF_THE_BOOK]
    with tempfile.TemporaryDirectory() as folder:
        inside = environment(Path(folder), python)
        pins = instead(lowest(inside) if asked.which == "oldest" else colabs(), asked.others)
        install(inside, pins, "book,test" if asked.all else "test")
        code = subprocess.run(
            [inside, "-m", "pytest", *PYTEST, *skip, *rest], cwd=ROOT, check=False
        ).returncode
        had = ", ".join(installed(inside, pins))
    print(f"{asked.which}: {'the tests FAIL' if code else 'the tests pass'} with Python {python}, {had}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
