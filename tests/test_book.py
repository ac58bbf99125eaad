"""What every chapter must be: the same set-up cell, plain text, clean, with a verdict, with its sources.

Each rule is a function that says what is wrong. The book must give it nothing to say, and a planted flaw must
make it speak.
"""

import ast
import pkgutil
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import address
import mialab
import notebooks
import pages

ROOT = Path(__file__).parents[1]
SETUP = (ROOT / "book/_tools/setup_cell.ipy").read_text(encoding="utf-8").rstrip("\n")
COMMONMARK = MarkdownIt("commonmark").enable("table")
PAPERS = {  # where a link is a citation
    *("usenix.org", "openreview.net", "proceedings.mlr.press", "proceedings.neurips.cc", "papers.nips.cc"),
    *("jmlr.org", "eprint.iacr.org", "petsymposium.org", "dl.acm.org", "ieeexplore.ieee.org"),
}

every_notebook = pytest.mark.parametrize(
    "path", notebooks.all_notebooks(), ids=lambda path: str(path.relative_to(ROOT / "book"))
)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def cells(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


# --- the rules -----------------------------------------------------------------------------------------


def other_setup(notebook) -> list[str]:
    """Compare the first code cell with the one set-up cell."""
    first = next((cell.source for cell in cells(notebook, "code")), "")
    return [] if first == SETUP else ["the first code cell is not book/_tools/setup_cell.ipy"]


def without_maths(source: str) -> str:
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", source, flags=re.DOTALL)


def raw_myst(notebook) -> list[str]:
    """Find what Colab and GitHub would show as raw text."""
    found = []
    for cell in cells(notebook, "markdown"):
        for token in COMMONMARK.parse(cell.source):
            if token.type == "fence" and token.info.startswith("{"):
                found.append(f"directive {token.info}")
            if token.type == "html_block" and re.search(r"\$|```|\]\(|\*\*", token.content):
                found.append(f"no blank line after HTML: {token.content[:40]!r}")
            if token.type == "inline":
                found += STRAY.findall(without_maths(token.content))
                found += roles(token.children or [])
        found += re.findall(r"\$\$\s*\([\w:-]+\)", cell.source)  # a numbered equation
    return found


STRAY = re.compile(
    r"""^:::                    # a directive with colons
      | ^\([\w:-]+\)=$          # a label
      | ^\+\+\+                 # a block break
      | \[\^[\w-]+\]            # a footnote
      | \[\]\(                  # a link whose text MyST would fill in
      | \{\{.*?\}\}             # a substitution
    """,
    re.VERBOSE | re.MULTILINE,
)


def roles(children) -> list[str]:
    """Find `{name}` right before code."""
    before_code = [first.content for first, second in pairwise(children) if second.type == "code_inline"]
    return [role for content in before_code for role in re.findall(r"\{[a-zA-Z][\w:-]*\}$", content)]


def hidden(notebook) -> list[str]:
    """Find tags other than the verdict's and the fold's: they hide results, or keep nbval from a cell."""
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    return sorted(tags - {notebooks.VERDICT, notebooks.FOLD})


def out_of_step(notebook) -> list[str]:
    """Find cells that are folded in one place and open in another: page, Colab, Jupyter."""
    return [cell.source[:40] for cell in notebook.cells if cell.metadata != notebooks.metadata(cell)]


def open_cells(notebook) -> list[nbformat.NotebookNode]:
    return [cell for cell in cells(notebook, "code") if notebooks.title(cell) is None]


def lines(cell) -> int:
    return len(cell.source.splitlines())


def too_much_code(notebook) -> list[str]:
    """Count the lines of code that a reader sees without asking for them."""
    seen = sum(map(lines, open_cells(notebook)))
    return [f"{seen} lines of code are open"] if seen > 250 else []


def too_long_to_read(notebook) -> list[str]:
    """Find open cells that are no ideas; what a student is to fill in may be longer."""
    ideas = [cell for cell in open_cells(notebook) if "raise NotImplementedError" not in cell.source]
    return [f"{lines(cell)} lines: {cell.source[:40]!r}" for cell in ideas if lines(cell) > 15]


def too_wide(notebook) -> list[str]:
    """Find open lines that the page would have to wrap: it holds 79 characters."""
    return [line for cell in open_cells(notebook) for line in cell.source.splitlines() if len(line) > 79]


def bad_titles(notebook) -> list[str]:
    """Find titles that are long, said twice, or written so that they fold nothing."""
    titles = [title for cell in notebook.cells if (title := notebooks.title(cell))]
    found = [title for title in titles if len(title) > 60 or titles.count(title) > 1]
    for cell in cells(notebook, "code"):
        said = re.findall(r"^\s*#\s*@title.*", cell.source, re.MULTILINE)
        found += said[notebooks.title(cell) is not None :]
    return found


def without_alt_text(notebook) -> list[str]:
    """Find cells that draw and have no caption, or no alt text that says something."""
    found = []
    for cell in cells(notebook, "code"):
        option = cell.metadata.get("mystnb", {})
        draws = cell.source != SETUP and re.search(r"\bplt\.\w+\(|\bplots\.\w+\(", cell.source)
        if draws or "figure" in option or "image" in option:
            if len(option.get("image", {}).get("alt", "")) < 30:
                found.append(f"no alt text that says something: {cell.source[:40]!r}")
            if not option.get("figure", {}).get("caption"):
                found.append(f"no caption: {cell.source[:40]!r}")
    return found


def citation(link: str) -> str | None:
    """Return what identifies a paper, or None where the link is none."""
    link = link.rstrip(".,;")
    if doi := re.search(r"doi\.org/(10\..+)", link):
        return doi[1].lower()
    if arxiv := re.search(r"arxiv\.org/(?:abs|pdf|html)/(\d{4}\.\d{4,5})", link):
        return arxiv[1]
    host = (urlparse(link).hostname or "").removeprefix("www.")
    return link.rstrip("/") if host in PAPERS else None


def uncited(source: str, bibliography: str) -> list[str]:
    """Find links to papers that references.bib does not have."""
    entries = re.findall(r"^\s*(?:doi|eprint|url)\s*=\s*\{(.*?)\}", bibliography, re.MULTILINE)
    known = {entry.lower().rstrip("/") for entry in entries}
    links = re.findall(r"https?://[^\s)>\"'\]]+", source)
    return sorted({link for link in links if (paper := citation(link)) and paper.lower() not in known})


def by_name(source: str) -> list[str]:
    """Find installs by name: they get an unrelated package, or none; the address gets ours."""
    installs = r"(?:pip3?|uv(?: pip)?|conda|poetry) (?:install|add)\b[^\n]*?[\s\"']"
    return re.findall(rf"{installs}mialab(?:(?![-\w/.])|-book(?! @ git\+))", source)


def docstring_table(source: str) -> list[tuple[str, str]]:
    lines = (ast.get_docstring(ast.parse(source)) or "").splitlines()
    rules = [i for i, line in enumerate(lines) if line.strip().startswith("====")]
    rows = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines[rules[0] + 1 : rules[1]])
    return [(word, meaning) for word, meaning in rows]


def page_table(source: str) -> list[tuple[str, str]]:
    section = source.split("## Words\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [row for row in rows if row != ("word", "meaning")]


def not_there(source: str) -> list[str]:
    """Find names in the story that `help(mialab)` tells which their package does not have."""
    missing = []
    for package, names in story(source).items():
        for name in names:
            try:
                pkgutil.resolve_name(f"mialab.{package}.{name}")
            except (AttributeError, ImportError, ValueError):
                missing.append(f"{package}.{name}")
    return missing


def story(source: str) -> dict[str, list[str]]:
    """Return the names that each line of the story gives to a package."""
    told = (ast.get_docstring(ast.parse(source)) or "").split("In the order of the story:\n")[1]
    lines = told.split("\nWords,")[0].strip().splitlines()
    columns = re.compile(r"(\w+) +(.+?)  +\S")
    matches = [columns.match(line.strip()) for line in lines]
    return {found[1]: found[2].removesuffix(", …").split(", ") for found in matches if found}


def on_the_map(source: str) -> set[str]:
    """Return the packages on the README's map."""
    package = source.split("## The map\n")[1].split("\n    book/")[0]
    return set(re.findall(r"^    [├└]── (\w+)", package, re.MULTILINE))


def letters(notebook) -> set[str]:
    """Return the letters of all formulas, in text, captions and strings, and bare Greek letters."""
    found = set()
    for said in texts(notebook):
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", said, re.DOTALL):
            formula = re.sub(r"\\(?:text|mathrm|operatorname)\{.*?\}", "", block or inline)
            found |= {sign for sign in re.findall(r"\\[A-Za-z]+|[A-Za-z]", formula) if is_letter(sign)}
        found |= {command(letter) for letter in re.findall(r"[α-ωΑ-Ω]", said)}
    return found


def texts(notebook) -> list[str]:
    found = [cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "") for cell in notebook.cells]
    found += [cell.source for cell in cells(notebook, "markdown")]
    for cell in cells(notebook, "code"):
        if cell.source != SETUP:
            python = re.sub(r"^( *)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE)
            found += [string(node) for node in ast.walk(ast.parse(python))]
    return found


def string(node: ast.AST) -> str:
    """Return the text of a string or an f-string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(string(part) or "0" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def command(greek: str) -> str:
    r"""Return the command that sets a Greek letter; ε is always `\varepsilon`."""
    _, case, _, name = unicodedata.name(greek).split(maxsplit=3)
    name = {"EPSILON": "VAREPSILON", "LAMDA": "LAMBDA"}.get(name, name)
    return "\\" + (name.capitalize() if case == "CAPITAL" else name.lower())


GREEK = {command(letter) for letter in "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"}


def is_letter(sign: str) -> bool:
    return len(sign) == 1 or sign in GREEK or sign in (r"\epsilon", r"\varphi", r"\ell")


def explained(page: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Return the letters that mean the same everywhere, and (letter, chapter) for each of the others."""
    same, others = page.split("## Letters that ")[1:]
    everywhere = set(re.findall(r"^\| \$(\S+?)\$ \|", same, re.MULTILINE))
    rows = re.findall(r"^\| \$(\S+?)\$ \| .+ \| (.+?) \|$", others, re.MULTILINE)
    return everywhere, [(letter, path) for letter, where in rows for path in re.findall(r"\((.+?)\)", where)]


def unexplained(notebook, chapter: str, page: str) -> list[str]:
    """Find letters that the notation does not have, or has for other chapters only."""
    everywhere, others = explained(page)
    here = {letter for letter, path in others if path == chapter}
    return sorted(letters(notebook) - everywhere - here)


# --- the book gives them nothing to say ----------------------------------------------------------------


RULES = [
    *(other_setup, raw_myst, hidden, without_alt_text),
    *(out_of_step, too_much_code, too_long_to_read, too_wide, bad_titles),
]


@every_notebook
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_definition_every_chapter_keeps_the_rule(path, rule):
    assert rule(nbformat.read(path, as_version=4)) == []


@every_notebook
def test_definition_every_chapter_is_clean_and_has_a_verdict(path):
    assert notebooks.complaints(path) == []


@every_notebook
def test_definition_every_chapter_is_in_the_table_of_contents(path):
    assert path.relative_to(ROOT).with_suffix("").as_posix() in pages.names()


@pytest.mark.parametrize("path", notebooks.all_notebooks() + sorted((ROOT / "book").glob("*.md")), ids=str)
def test_definition_every_paper_linked_to_is_in_the_references(path):
    source = text(path)
    if path.suffix == ".ipynb":
        source = "\n".join(cell.source for cell in nbformat.reads(source, as_version=4).cells)
    assert uncited(source, text(ROOT / "book/references.bib")) == []


def test_definition_nobody_is_told_to_install_by_name():
    sources = [*address.files(), *(ROOT / "mialab").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    told = {str(path): by_name(text(path)) for path in sources}
    assert {path: found for path, found in told.items() if found} == {}


def test_definition_the_repository_has_one_address():
    assert address.strangers() == []
    assert f"git+{address.address()}" in SETUP
    assert f"repository-code: {address.address()}" in text(ROOT / "CITATION.cff")


def test_definition_what_the_page_on_protection_names_is_there():
    page = text(ROOT / "book/protection.md")
    names = re.findall(r"`(mialab\.[\w.]+)`", page)
    files = re.findall(r"/blob/main/([\w./]+)", page)
    assert len(names) >= 7
    assert len(files) >= 7
    assert all(pkgutil.resolve_name(name) for name in names)
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_definition_the_notation_is_the_packages():
    table = docstring_table(text(ROOT / "mialab/__init__.py"))
    assert len(table) >= 9
    assert page_table(text(ROOT / "book/notation.md")) == table


def test_definition_help_names_what_is_there():
    source = text(ROOT / "mialab/__init__.py")
    assert not_there(source) == []
    assert set(story(source)) == set(mialab._PACKAGES) == on_the_map(text(ROOT / "README.md"))


@every_notebook
def test_definition_every_letter_is_in_the_notation(path):
    chapter = path.relative_to(ROOT / "book").as_posix()
    notebook, page = nbformat.read(path, as_version=4), text(ROOT / "book/notation.md")
    assert unexplained(notebook, chapter, page) == []
    everywhere, others = explained(page)
    here = [letter for letter, where in others if where == chapter]
    assert len(here) == len(set(here))  # one meaning in a chapter
    assert set(here) <= letters(notebook)
    assert not everywhere & set(here)


# --- a planted flaw makes them speak -------------------------------------------------------------------

PLANTED_TEXT = {
    "a directive": "```{note}\nLook.\n```",
    "a directive with colons": "Before.\n\n:::{note}\nLook.\n:::",
    "a role": "See {doc}`glossary`.",
    "a label": "(here)=\n# Title",
    "a footnote": "True.[^why]",
    "an empty link": "See [](glossary.md).",
    "a substitution": "In {{ year }}.",
    "a numbered equation": "$$\nx\n$$ (eq-x)",
    "maths that HTML swallows": "<details>\n<summary>Hint</summary>\nAt $x$.\n</details>",
}


@pytest.mark.parametrize("flaw", PLANTED_TEXT)
def test_coverage_raw_myst_is_seen(flaw):
    assert raw_myst(new_notebook(cells=[new_markdown_cell(PLANTED_TEXT[flaw])]))


def test_limit_plain_text_is_not_taken_for_myst():
    plain = (
        "# T\n\nThe $\\mathrm{TPR}$ `of` {a, b}, `{x}`.\n\n$$\n\\frac{{a}}{{b}}\n$$\n\n| a |\n|---|\n| $b$ |"
    )
    opens = "<details>\n<summary>Hint</summary>\n\nAt $x$, **so**.\n\n```python\nx = {}\n```\n\n</details>"
    assert raw_myst(new_notebook(cells=[new_markdown_cell(plain), new_markdown_cell(opens)])) == []


def test_coverage_another_setup_cell_is_seen():
    assert other_setup(new_notebook(cells=[new_code_cell(SETUP + "\nrng = None")]))
    assert other_setup(new_notebook(cells=[]))


@pytest.mark.parametrize("tag", ["hide-output", "remove-cell", "nbval-skip"])
def test_coverage_a_hidden_cell_is_seen(tag):
    assert hidden(new_notebook(cells=[new_code_cell("x = 1", metadata={"tags": [tag]})])) == [tag]


FOLDED = {"tags": ["hide-input"], "cellView": "form", "jupyter": {"source_hidden": True}}


def of_code(*sources, **metadata):
    return new_notebook(cells=[new_code_cell(source, metadata=metadata) for source in sources])


@pytest.mark.parametrize("mark", FOLDED)
def test_coverage_a_mark_out_of_step_is_seen(mark):
    rest = {key: value for key, value in FOLDED.items() if key != mark}
    assert out_of_step(of_code("# @title Draw\nx = 1", **rest))
    assert out_of_step(of_code("x = 1", **{mark: FOLDED[mark]}))
    assert out_of_step(of_code("# @title Draw\nx = 1", **FOLDED)) == []


def test_coverage_too_much_open_code_is_seen():
    ten = "x = 1\n" * 10
    assert too_much_code(of_code(*[ten] * 26)) == ["260 lines of code are open"]
    assert too_much_code(of_code(*[ten] * 25, "# @title Draw\n" + ten)) == []


def test_coverage_an_open_cell_that_is_too_long_is_seen():
    long = "x = 1\n" * 16
    assert too_long_to_read(of_code(long)) == [
        "16 lines: 'x = 1\\nx = 1\\nx = 1\\nx = 1\\nx = 1\\nx = 1\\nx = '"
    ]
    fine = of_code("x = 1\n" * 15, "# @title Draw\n" + long, long + "raise NotImplementedError")
    assert too_long_to_read(fine) == []


def test_coverage_an_open_line_that_is_too_wide_is_seen():
    wide = "x" * 80
    assert too_wide(of_code(wide)) == [wide]
    assert too_wide(of_code("x" * 79, "# @title Draw\n" + wide)) == []


@pytest.mark.parametrize(
    "sources",
    [
        ["# @title " + "Draw " * 13 + "\nx = 1"],
        ["# @title Draw\nx = 1", "# @title Draw\nx = 2"],
        ["#@title Draw\nx = 1"],
        ["x = 1\n# @title Draw"],
        ["# @title\nx = 1"],
        ["# @title Draw\n# @title Draw again\nx = 1"],
    ],
)
def test_coverage_a_bad_title_is_seen(sources):
    assert bad_titles(of_code(*sources))


def test_limit_a_good_title_is_fine():
    assert bad_titles(of_code("# @title Draw\nx = 1", "# @title Draw again\nx = 1", "x = 1")) == []


@pytest.mark.parametrize("source", ["plt.show()", "plots.roc(ax, curve)"])
def test_coverage_a_figure_without_alt_text_is_seen(source):
    named_by_its_file = {"mystnb": {"image": {"alt": "roc.png"}, "figure": {"caption": "A curve."}}}
    assert len(without_alt_text(new_notebook(cells=[new_code_cell(source)]))) == 2
    assert len(without_alt_text(new_notebook(cells=[new_code_cell(source, metadata=named_by_its_file)]))) == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://doi.org/10.1145/1.2",
        "https://arxiv.org/abs/1607.00133v2",
        "https://www.usenix.org/conference/usenixsecurity21/presentation/song",
    ],
)
def test_coverage_a_paper_without_an_entry_is_seen(link):
    assert uncited(f"As in [somebody]({link}).", "doi = {10.1145/1.20},") == [link]


def test_limit_a_link_to_an_entry_or_to_no_paper_is_fine():
    bibliography = "  doi = {10.1109/CSF.2018.00027},\n  eprint = {1709.01604},\n"
    source = "[a](https://doi.org/10.1109/csf.2018.00027), <https://arxiv.org/pdf/1709.01604v5>, https://python.org"
    assert uncited(source, bibliography) == []


@pytest.mark.parametrize(
    "name", ["mialab", "'mialab[book]'", "-q -U mialab", "mialab-book", '"mialab-book>=1"']
)
def test_coverage_installing_by_name_is_seen(name):
    assert by_name("run pip " + "install " + name)


@pytest.mark.parametrize(
    "what", ['-q "mialab-book @ git+https://x"', "-e '.[book,test]'", "./mialab", "numpy"]
)
def test_limit_installing_by_address_is_fine(what):
    assert by_name("run pip " + "install " + what) == []


def test_coverage_a_changed_notation_is_seen():
    table = docstring_table(text(ROOT / "mialab/__init__.py"))
    page = text(ROOT / "book/notation.md")
    assert page_table(page.replace("call a record a member", "call a record anything")) != table
    assert page_table(page.replace("| accuse |", "| accused |")) != table


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("lower_bound, refute", "lower_bounds, refute", ["audit.lower_bounds"]),
        ("flip_coins, Obs", "flip_coins; Obs", ["game.flip_coins; Observations"]),
        ("    plots  ", "    charts  ", ["charts.plot_roc", "charts.plot_curve"]),
    ],
)
def test_coverage_a_name_that_is_gone_is_seen(right, wrong, says):
    source = text(ROOT / "mialab/__init__.py")
    assert not_there(source.replace(right, wrong)) == says


@pytest.mark.parametrize(
    ("source", "letter"),
    [
        ("At $H$.", "H"),
        (r"The $\omega_2$ of $n$.", r"\omega"),
        ("$$\nH = \\text{a}\n$$", "H"),
        ("At ω = 3.", r"\omega"),
        ("At $D$.", "D"),  # known, but not in this chapter
    ],
)
def test_coverage_a_letter_without_a_meaning_is_seen(source, letter):
    page = text(ROOT / "book/notation.md")
    for cell in (new_markdown_cell(source), new_code_cell(f"Markdown(f{source!r})")):
        assert unexplained(new_notebook(cells=[cell]), "4_world/people.ipynb", page) == [letter]


def test_limit_words_and_signs_of_mathematics_are_no_letters():
    plain = r"$\text{in} \cdot \sqrt{2} \le \mathrm{TPR} \in \{0, 1\}$ costs a lot: $5."
    assert letters(new_notebook(cells=[new_markdown_cell(plain)])) == set()
