"""An install must add packages and replace none: readers' other notebooks live in the same environment.

python book/_tools/untouched.py > before.txt    name every package
python book/_tools/untouched.py before.txt      say which of them are others now, or gone
"""

import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def installed() -> list[str]:
    """Name every package with its version: of two with one name, the one that is imported."""
    found: dict[str, str] = {}
    for one in metadata.distributions():
        if one.name:  # else the remains of one
            found.setdefault(one.name, one.version)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def replaced(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """Say which packages are others now, or gone; what is new is welcome."""
    now = dict(pin.split("==", 1) for pin in after)
    pairs = [pin.split("==", 1) for pin in before if pin]
    return [f"{name} was {old}, now {now.get(name, 'gone')}" for name, old in pairs if now.get(name) != old]


def main(arguments: list[str]) -> int:
    """Print the packages, or compare them with a file."""
    if not arguments:
        print("\n".join(installed()))
        return 0
    before = Path(arguments[0]).read_text(encoding="utf-8").splitlines()
    wrong = replaced(before, installed())
    print("\n".join(wrong) or f"{len(before)} packages, none was replaced")
    return int(bool(wrong) or not before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
