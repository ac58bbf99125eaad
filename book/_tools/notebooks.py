"""Notebooks are stored clean: no outputs and no counts, except in verdict cells.

A verdict cell carries the tag `nbval-check-output` and prints what must hold on every machine. Its text and
its count stay in the file, and nbval compares them with a fresh run.

A cell whose first line is `# @title Words` is folded: readers see the words, what the cell prints and what it
draws, and open the code if they want to. The title alone decides. The three marks that fold a cell, on the
page, in Colab and in Jupyter, are written after it, and taken off where there is no title.

    python book/_tools/notebooks.py clean [NOTEBOOK ...]    run, then strip
    python book/_tools/notebooks.py fold [NOTEBOOK ...]     write the marks of the titles, without a run
    python book/_tools/notebooks.py check [NOTEBOOK ...]    only look, and say what is not clean
"""

import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
VERDICT = "nbval-check-output"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"mystnb", "tags"}
TITLE = re.compile(r"# @title (\S.*)")
FOLD = "hide-input"
MARKS = {"cellView": "form", "jupyter": {"source_hidden": True}}


def all_notebooks() -> list[Path]:
    """List every notebook of the book."""
    found = (ROOT / "book").rglob("*.ipynb")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def is_verdict(cell: NotebookNode) -> bool:
    """Say whether this cell's text is kept and compared."""
    return cell.cell_type == "code" and VERDICT in cell.metadata.get("tags", [])


def title(cell: NotebookNode) -> str | None:
    """Return the title of a folded cell, or None where the code is to be seen."""
    found = TITLE.match(cell.source) if cell.cell_type == "code" else None
    return found[1] if found else None


def metadata(cell: NotebookNode) -> dict[str, Any]:
    """Return what a cell's metadata should be: what we use of it, and marks where there is a title."""
    kept = {key: value for key, value in cell.metadata.items() if key in CELL_METADATA}
    tags = [tag for tag in kept.pop("tags", []) if tag != FOLD]
    if title(cell):
        tags, kept = [FOLD, *tags], deepcopy(MARKS) | kept
    return kept | {"tags": tags} if tags else kept


def printed(cell: NotebookNode) -> str:
    """Return what the cell wrote to stdout."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """Yield the code cells, each with its count in a run from the top; one without code is not counted."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    count = 0
    for cell in cells:
        count += bool(cell.source.strip())
        yield count, cell


def strip(notebook: NotebookNode) -> NotebookNode:
    """Return a copy as it is stored: outputs, counts and metadata gone where they do not belong."""
    clean = deepcopy(notebook)
    clean.metadata = NotebookNode(deepcopy(METADATA))
    for cell in clean.cells:
        cell.metadata = metadata(cell)
        cell.pop("attachments", None)
    for _, cell in code_cells(clean):
        text = printed(cell) if is_verdict(cell) else ""
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)] if text else []
        cell.execution_count = cell.execution_count if text else None
    return clean


def text_of(notebook: NotebookNode) -> str:
    """Return the notebook as the file says it."""
    return nbformat.writes(notebook) + "\n"


def run(path: Path) -> NotebookNode:
    """Run a notebook from the top in its own folder; the first error stops it."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def clean(path: Path) -> bool:
    """Run and strip one notebook; write it if that changes the file, and return whether it did."""
    return write(strip(run(path)), path)


def fold(path: Path) -> bool:
    """Do the same without a run, for titles that were added or taken away."""
    return write(strip(nbformat.read(path, as_version=4)), path)


def write(notebook: NotebookNode, path: Path) -> bool:
    """Write a notebook if that changes the file, and return whether it did."""
    text = text_of(notebook)
    if text == path.read_text(encoding="utf-8"):
        return False
    path.write_text(text, encoding="utf-8")
    return True


def complaints(path: Path) -> list[str]:
    """Say what is not clean in a stored notebook; an empty list means that it is."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    verdicts = [(count, cell) for count, cell in code_cells(notebook) if is_verdict(cell)]
    found = []
    for count, cell in code_cells(notebook):
        if not is_verdict(cell) and (cell.outputs or cell.execution_count):
            found.append(f"code cell {count} keeps an output or a count")
        if cell.metadata != metadata(cell):
            found.append(f"code cell {count}: its marks are not those of its title (`fold` writes them)")
    for count, cell in verdicts:
        if not printed(cell):
            found.append(f"the verdict in code cell {count} has no printed text")
        elif cell.execution_count != count:
            found.append(f"the verdict in code cell {count} is counted {cell.execution_count}")
    if not verdicts:
        found.append(f"no cell has the tag {VERDICT}: the chapter has no verdict")
    if not found and text != text_of(strip(notebook)):
        found.append("the file differs from its clean form (metadata, or how it is written)")
    return found


def main(command: str, *names: str) -> int:
    """Clean, fold or check the named notebooks, or all of them; return the exit code."""
    change = {"clean": clean, "fold": fold}.get(command)
    wrong = 0
    for path in [Path(name).resolve() for name in names] or all_notebooks():
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if change:
            print(f"{shown}: {'written' if change(path) else 'clean already'}", flush=True)
        for complaint in complaints(path):
            wrong += 1
            print(f"{shown}: {complaint}; `make clean-notebooks` runs and strips it")
    return int(wrong > 0)


if __name__ == "__main__":
    if sys.argv[1:2] not in (["clean"], ["fold"], ["check"]):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
