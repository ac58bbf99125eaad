"""The repository's address has one home, `repository: url:` in _config.yml. This changes it everywhere.

python book/_tools/address.py                                 show it, and where it is said
python book/_tools/address.py https://github.com/OWNER/NAME   change it in every file
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "*.cff", "*.toml", "_config.yml", "Makefile", ".github/workflows/*.yml")
BOOK_PLACES = ("*.md", "*.ipynb", "*.ipy", "*.bib", "*.html")
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w-]+")
# Whatever stands in these places is this repository, whoever owns it.
OURS = re.compile(
    r"(?:git\+https://github\.com/|colab\.research\.google\.com/github/|git clone https://github\.com/"
    r'|repository-code: "?https://github\.com/)([\w.-]+/[\w-]+)'
)


def files(root: Path = ROOT) -> list[Path]:
    """Name the files in which the address may stand."""
    found = {path for place in PLACES for path in root.glob(place)}
    found |= {path for place in BOOK_PLACES for path in (root / "book").rglob(place)}
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def address(root: Path = ROOT) -> str:
    """Read the address from its home."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    return re.findall(rf"^repository:\n  url: ({ADDRESS.pattern})$", config, re.MULTILINE)[0]


def slug(url: str) -> str:
    """Return `owner/name`."""
    return url.removeprefix("https://github.com/")


def pages_address(url: str) -> str:
    """Return where GitHub Pages shows the site of a repository."""
    owner, name = slug(url).split("/")
    return f"https://{owner}.github.io/{name}"


def strangers(root: Path = ROOT) -> list[str]:
    """Say where a file names another repository as its own."""
    ours = slug(address(root))
    return [
        f"{path.relative_to(root)}: {said}"
        for path in files(root)
        for said in OURS.findall(path.read_text(encoding="utf-8"))
        if said.removesuffix(".git") != ours
    ]


def change(new: str, root: Path = ROOT) -> list[Path]:
    """Put the new address in place of the old one, the site's address too; return the changed files."""
    if not ADDRESS.fullmatch(new):
        raise ValueError(f"the address must look like https://github.com/OWNER/NAME, got {new}")
    old, changed = address(root), []
    pairs = [(pages_address(old), pages_address(new))]
    pairs += [(f"{site}/{slug(old)}", f"{site}/{slug(new)}") for site in ("github.com", "google.com/github")]
    for path in files(root):
        text = path.read_text(encoding="utf-8")
        said = text
        for before, after in pairs:
            said = re.sub(rf"{re.escape(before)}(?![\w-])", after, said)
        if said != text:
            path.write_text(said, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print("\n".join(str(path.relative_to(ROOT)) for path in change(sys.argv[1])))
    print(f"The repository is {address()}, its site {pages_address(address())}")
    sys.exit("\n".join(strangers()) or 0)
