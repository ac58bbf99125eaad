"""Look at the built site: a build that exits 0 is not a book yet.

python book/_tools/pages.py     every page of _toc.yml is there, and none shows a traceback
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
TRACEBACK = re.compile(r'class="[^"]*\btraceback\b|Traceback \(most recent call last\)')


def listed(entry: object) -> Iterator[str]:
    """Walk a table of contents and yield the name of each page, in order."""
    if isinstance(entry, dict):
        yield from (str(entry[key]) for key in ("root", "file") if key in entry)
        for key in ("parts", "chapters", "sections"):
            yield from listed(entry.get(key))
    for child in entry if isinstance(entry, list) else ():
        yield from listed(child)


def names(root: Path = ROOT) -> list[str]:
    """Name the pages of the book, such as `book/1_leaks/overfitting`."""
    return list(listed(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def complaints(pages: list[str], site: Path) -> list[str]:
    """Say which pages are missing and which show a traceback."""
    found = [] if pages else ["_toc.yml lists no page"]
    for name in pages:
        page = site / f"{name}.html"
        if not page.exists():
            found.append(f"{name}: no page was written")
        elif TRACEBACK.search(page.read_text(encoding="utf-8")):
            found.append(f"{name}: the page shows a traceback")
    return found


if __name__ == "__main__":
    wrong = complaints(names(), SITE)
    print("\n".join(wrong) or f"{len(names())} pages, all there, no traceback")
    sys.exit(len(wrong) > 0)
