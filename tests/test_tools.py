"""The tools that keep the book clean, find its pages and know its address."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement

import address
import notebooks
import pages
import versions

ROOT = Path(__file__).parents[1]


def verdict(source: str = "print('holds: yes')"):
    return new_code_cell(source, metadata={"tags": [notebooks.VERDICT]}, id="verdict")


@pytest.fixture
def stored(tmp_path):
    """Store a notebook as an editor would: with outputs, counts, timings and its own metadata."""
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("x = 1; print('drifts', x)", id="first", metadata={"execution": {"t": "now"}}),
        new_code_cell("", id="empty"),
        verdict("print('holds:', end=' '); print('yes')"),
    ]
    cells[1].outputs = [new_output("stream", name="stdout", text="drifts 7\n")]
    cells[1].execution_count = 41
    notebook = new_notebook(cells=cells, metadata={"widgets": {}})
    path = tmp_path / "chapter.ipynb"
    nbformat.write(notebook, path)
    return path


def rewrite(path: Path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    path.write_text(notebooks.text_of(notebook), encoding="utf-8")


def test_definition_clean_keeps_the_verdict_and_nothing_else(stored):
    assert notebooks.clean(stored) is True
    notebook = nbformat.read(stored, as_version=4)
    _, first, empty, last = notebook.cells
    assert (first.outputs, first.execution_count, first.metadata) == ([], None, {})
    assert (empty.outputs, empty.execution_count) == ([], None)
    assert (notebooks.printed(last), last.execution_count) == ("holds: yes\n", 2)
    assert [cell.id for cell in notebook.cells] == ["title", "first", "empty", "verdict"]
    assert notebook.metadata == notebooks.METADATA
    assert notebooks.complaints(stored) == []


def test_limit_cleaning_twice_writes_once(stored):
    notebooks.clean(stored)
    before = stored.read_bytes(), stored.stat().st_mtime_ns
    assert notebooks.clean(stored) is False
    assert (stored.read_bytes(), stored.stat().st_mtime_ns) == before


def test_definition_a_notebook_that_fails_is_not_written(stored):
    rewrite(stored, lambda notebook: notebook.cells.append(new_code_cell("assert False", id="claim")))
    before = stored.read_bytes()
    with pytest.raises(Exception, match="AssertionError"):
        notebooks.clean(stored)
    assert stored.read_bytes() == before


def titled(notebook):
    """Title the first code cell, and mark the verdict, which has no title."""
    notebook.cells[1].source = "# @title Print x\n" + notebook.cells[1].source
    notebook.cells[-1].metadata.update(cellView="form", jupyter={"source_hidden": True})
    notebook.cells[-1].metadata["tags"].insert(0, notebooks.FOLD)


@pytest.mark.parametrize("tool", [notebooks.clean, notebooks.fold])
def test_definition_the_title_decides_what_is_folded(stored, tool):
    rewrite(stored, titled)
    assert tool(stored) is True
    _, first, empty, last = nbformat.read(stored, as_version=4).cells
    assert first.metadata == {"tags": [notebooks.FOLD], **notebooks.MARKS}
    assert empty.metadata == {}
    assert last.metadata == {"tags": [notebooks.VERDICT]}
    assert tool(stored) is False


def test_definition_a_verdict_may_be_folded_and_keeps_its_text(stored):
    rewrite(stored, lambda notebook: notebook.cells[-1].update(source="# @title Say yes\nprint('yes')"))
    notebooks.clean(stored)
    last = nbformat.read(stored, as_version=4).cells[-1]
    assert last.metadata["tags"] == [notebooks.FOLD, notebooks.VERDICT]
    assert (notebooks.printed(last), last.execution_count) == ("yes\n", 2)
    assert notebooks.complaints(stored) == []


def test_limit_folding_runs_nothing_and_keeps_the_verdict(stored):
    notebooks.clean(stored)
    before = stored.read_bytes()
    rewrite(stored, lambda notebook: notebook.cells[1].update(source="# @title Fail\nassert False"))
    notebooks.fold(stored)
    assert notebooks.complaints(stored) == []
    rewrite(stored, lambda notebook: notebook.cells[1].update(source="x = 1; print('drifts', x)"))
    notebooks.fold(stored)
    assert stored.read_bytes() == before


def strip_the_verdict(notebook):
    notebook.cells[-1].update(outputs=[], execution_count=None)


def keep_an_output(notebook):
    notebook.cells[1].update(outputs=[new_output("stream", name="stdout", text="drifts 7\n")])


PLANTED = [
    ("an output was kept", keep_an_output, "keeps an output or a count"),
    (
        "a count was kept",
        lambda notebook: notebook.cells[1].update(execution_count=1),
        "keeps an output or a count",
    ),
    ("the verdict was stripped", strip_the_verdict, "has no printed text"),
    (
        "the verdict's count is off",
        lambda notebook: notebook.cells[-1].update(execution_count=7),
        "is counted 7",
    ),
    (
        "the verdict's count is gone",
        lambda notebook: notebook.cells[-1].update(execution_count=None),
        "is counted None",
    ),
    ("the verdict is gone", lambda notebook: notebook.cells.pop(), "the chapter has no verdict"),
    (
        "the tag is gone",
        lambda notebook: notebook.cells[-1].metadata.pop("tags"),
        "the chapter has no verdict",
    ),
    (
        "a title has no marks",
        lambda notebook: notebook.cells[1].update(source="# @title Print x\nx = 1"),
        "marks are not those of its title",
    ),
    (
        "a mark has no title",
        lambda notebook: notebook.cells[1].metadata.update(cellView="form"),
        "marks are not those of its title",
    ),
    (
        "Colab wrote its name",
        lambda notebook: notebook.metadata.update(colab={}),
        "differs from its clean form",
    ),
]


def test_coverage_check_speaks_up(stored):
    notebooks.clean(stored)
    clean = stored.read_bytes()
    missed = []
    for flaw, plant, complaint in PLANTED:
        stored.write_bytes(clean)
        rewrite(stored, plant)
        if complaint not in "; ".join(notebooks.complaints(stored)):
            missed.append(flaw)
    assert missed == []


def test_coverage_check_exits_with_an_error(stored, capsys):
    assert notebooks.main("check", str(stored)) == 1
    assert "`make clean-notebooks` runs and strips it" in capsys.readouterr().out
    notebooks.clean(stored)
    assert notebooks.main("check", str(stored)) == 0


def test_definition_pages_are_read_from_the_table_of_contents():
    toc = {
        "root": "book/index",
        "parts": [
            {"caption": "A", "chapters": [{"file": "a", "sections": [{"file": "b"}]}]},
            {"chapters": []},
        ],
    }
    assert list(pages.listed(toc)) == ["book/index", "a", "b"]


def test_coverage_a_missing_page_and_a_traceback_are_seen(tmp_path):
    (tmp_path / "good.html").write_text("<p>traceback is only a word here</p>")
    (tmp_path / "bad.html").write_text("<pre>Traceback (most recent call last)</pre>")
    (tmp_path / "red.html").write_text('<div class="output traceback highlight-ipythontb">')
    assert pages.complaints(["good"], tmp_path) == []
    found = pages.complaints(["good", "bad", "red", "gone"], tmp_path)
    assert [line.split(":")[0] for line in found] == ["bad", "red", "gone"]
    assert pages.complaints([], tmp_path)


@pytest.fixture
def fork(tmp_path):
    """Copy the files that say the address."""
    for path in address.files():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


def test_definition_one_command_changes_the_address_everywhere(fork):
    old = address.address(fork)
    (fork / "README.md").write_text(f"{old}s {old}. {address.pages_address(old)}/book/index.html {old}-fork")
    changed = {
        path.relative_to(fork).as_posix() for path in address.change("https://github.com/me/my-course", fork)
    }
    assert address.address(fork) == "https://github.com/me/my-course"
    assert {
        "_config.yml",
        "CITATION.cff",
        "README.md",
        "book/_tools/setup_cell.ipy",
        "book/index.md",
    } <= changed
    assert address.strangers(fork) == []
    # Another repository whose name only begins like ours is left alone.
    expected = (
        f"{old}s https://github.com/me/my-course. https://me.github.io/my-course/book/index.html {old}-fork"
    )
    assert (fork / "README.md").read_text() == expected


def test_coverage_a_stranger_is_seen(fork):
    assert address.strangers(fork) == []
    readme = fork / "README.md"
    readme.write_text("git clone https://github.com/somebody/else.git and https://github.com/pytorch/opacus")
    assert address.strangers(fork) == ["README.md: somebody/else"]


@pytest.mark.parametrize(
    "wrong", ["me/my-course", "http://github.com/me/x", "https://github.com/me", "https://github.com/me/x/"]
)
def test_definition_an_address_must_look_like_one(fork, wrong):
    with pytest.raises(ValueError, match="the address must look like"):
        address.change(wrong, fork)


SETUP = (ROOT / "book/_tools/setup_cell.ipy").read_text(encoding="utf-8")


def in_ipython(*lines: str, folder: Path = ROOT) -> str:
    """Run lines in a fresh IPython, `SETUP` among them, and return what it says."""
    told = "get_ipython().register_magic_function(lambda line: print('pip', line), magic_name='pip')"
    run = f"get_ipython().run_cell({SETUP!r}).raise_error()"
    code = "\n".join([told, *(run if line == "SETUP" else line for line in lines)])
    command = [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", code]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    environment.pop("MIALAB_SCALE", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_definition_the_setup_cell_installs_nothing_elsewhere_and_may_run_twice():
    assert in_ipython("SETUP", "SETUP", "print(device in ('cpu', 'cuda'), SCALE)") == "True quick\n"


def test_definition_the_setup_cell_installs_by_the_address_on_colab():
    missing = ["import sys, importlib.util as u", "sys.modules['google.colab'] = sys", "found = u.find_spec"]
    said = in_ipython(*missing, "u.find_spec = lambda name: None", "SETUP", "u.find_spec = found", "SETUP")
    assert said == f'pip install -q "mialab-book @ git+{address.address()}"\n'


def test_coverage_the_setup_cell_refuses_the_unrelated_package(tmp_path):
    (tmp_path / "mialab.py").write_text("")
    assert "another package with the same name" in in_ipython("SETUP", folder=tmp_path)


def test_coverage_nbval_refuses_a_verdict_that_no_longer_holds(stored):
    """The command that `make test` runs passes a true verdict and fails a changed one."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.findall(r"^NBVAL := (.*)$", makefile, re.MULTILINE)[0].split()
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", str(stored)]
    notebooks.clean(stored)
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
    rewrite(stored, lambda notebook: notebook.cells[-1].outputs[0].update(text="holds: no\n"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "holds: no" in done.stdout


def test_definition_what_colab_has_is_read_and_may_be_replaced():
    pins = versions.colabs()
    assert {"numpy==2.1.3", "scikit-learn==1.6.1", "torch==2.11.0"} <= set(pins)
    changed = versions.instead(pins, ["torch==2.13.0", "Pooch[http]>=1.8 ; extra"])
    assert [pin for pin in changed if versions.name_of(pin) == "torch"] == ["torch==2.13.0"]
    assert {versions.name_of(pin) for pin in changed} == {versions.name_of(pin) for pin in pins} | {"pooch"}
    assert set(pins) - set(changed) == {"torch==2.11.0"}


@pytest.mark.parametrize(("code", "word"), [(0, "pass"), (1, "FAIL")])
def test_coverage_versions_that_fail_fail_the_command(monkeypatch, capsys, tmp_path, code, word):
    asked = []

    def run(command, **_):
        asked.append([str(part) for part in command])
        return subprocess.CompletedProcess(
            command, code if "pytest" in command else 0, "numpy==2.1.3\nx==1\n"
        )

    monkeypatch.setattr(versions.subprocess, "run", run)
    monkeypatch.setattr(versions, "environment", lambda *_: tmp_path / "python")
    assert versions.main(["colab", "--with", "torch==2.13.0", "-k", "noise"]) == code
    assert f"the tests {word} with Python 3.13, numpy==2.1.3\n" in capsys.readouterr().out
    (tests,) = [command for command in asked if "pytest" in command]
    assert tests[-2:] == ["-k", "noise"]
    assert "--ignore=tests/test_site.py" in tests


def test_definition_the_licence_is_an_expression_that_the_builder_reads():
    """A table in its place ends in 2027, and setuptools reads an expression from version 77 on."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert canonicalize_license_expression(whole["project"]["license"]) == whole["project"]["license"]
    assert all((ROOT / name).is_file() for name in whole["project"]["license-files"])
    (builder,) = map(Requirement, whole["build-system"]["requires"])
    assert "76.1" not in builder.specifier
    assert "77.0.3" in builder.specifier
