"""Folded cells on the page: their title stands in the line that opens them, and is read aloud."""

import json
import re

TITLE = re.compile(r"# @title (\S.*)\n")
LINES = re.compile(r" \((\d+ lines?)\)(?=</p>\n)")


def move_titles(app, docname, source):
    """Take each title out of its cell's code, and put it into the cell's prompts with the number of lines."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and (title := TITLE.match(code)):
            cell["source"] = code = code[title.end() :]
            number = len(code.splitlines())
            words = f"code: {title[1]} ({number} line{'s' * (number > 1)})"
            prompts = {"code_prompt_show": f"Show {words}", "code_prompt_hide": f"Hide {words}"}
            cell["metadata"].setdefault("mystnb", {}).update(prompts)
    source[0] = json.dumps(notebook)


def readable_summaries(app, pagename, templatename, context, doctree):
    """Drop the label that hides a summary's words from screen readers, and set its number apart."""
    if "body" in context:
        body = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")
        context["body"] = LINES.sub(r' <span class="lines">\1</span>', body)


def setup(app):
    app.connect("source-read", move_titles)
    app.connect("html-page-context", readable_summaries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
