"""The built pages in a real browser: what a reader sees, with nothing from elsewhere.

Each page is opened once, in a browser that has never been here, and looked at in light and dark, wide and
narrow. A page with every flaw planted shows that each look can see something.
"""

import functools
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import nbformat
import pytest
from bs4 import BeautifulSoup

import address
import notebooks
import pages

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build/html"
PAGES = [*pages.names(), "genindex", "search"]
NOTEBOOKS = [name for name in pages.names() if (ROOT / f"{name}.ipynb").exists()]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever comes from elsewhere does not come
]
KINDS = ("console", "outside", "maths", "figures", "sideways", "axe")
LOOKS = [("light", 1300), ("dark", 1300), ("dark", 390), ("light", 390)]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SETTLED = """async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  // Brought to their ends, not waited for: one that nobody can see need not come to it.
  for (const animation of document.getAnimations()) animation.finish();
}"""
FIGURES = """() => [...document.querySelectorAll('article img, article svg[role=img]')].map(figure => ({
  name: figure.getAttribute('src') || figure.id || figure.tagName,
  alt: figure.getAttribute('alt') || (figure.querySelector('desc') || {}).textContent || '',
  drawn: figure.tagName == 'IMG' ? figure.complete && figure.naturalWidth > 0 : figure.clientWidth > 0,
}))"""

OPENED = "localStorage.setItem('mialab-book-code', 'open')"
FORBIDDEN = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('forbidden') }})"
WIDE_CODE = """() => [...document.querySelectorAll('article pre')].filter(
  pre => !pre.closest('.cell_output') && pre.scrollWidth > pre.clientWidth
).map(pre => pre.innerText.slice(0, 60))"""
NO_CUE = """() => [...document.querySelectorAll('article .cell_output pre')].filter(pre =>
  pre.scrollWidth > pre.clientWidth && !getComputedStyle(pre).backgroundImage.includes('gradient')
).map(pre => pre.innerText.slice(0, 60))"""

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium found: install chromium to test the pages"),
    pytest.mark.skipif(not (SITE / ".built").exists(), reason="no site: `make book` builds it"),
]


class Quiet(SimpleHTTPRequestHandler):
    """Serve files, and log nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


def serve(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site():
    yield from serve(SITE)


def listen(page, base: str, seen: dict[str, list[str]]):
    """Write down what the console says and what is asked for."""
    ours = (base, "data:")
    page.on("console", lambda said: said.type in ("error", "warning") and seen["console"].append(said.text))
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(ours) or seen["outside"].append(asked.url))
    page.on("response", lambda got: got.status >= 400 and seen["console"].append(f"{got.status} {got.url}"))


def look_once(page, seen: dict[str, list[str]]):
    """See what does not depend on colours or width: maths and figures."""
    maths, rendered = page.locator(".math").count(), page.locator("mjx-container").count()
    if maths != rendered or page.locator("mjx-merror, [data-mjx-error]").count():
        seen["maths"].append(f"{rendered} of {maths} formulas are rendered")
    for figure in page.evaluate(FIGURES):
        if not figure["drawn"] or len(figure["alt"]) < 30:
            seen["figures"].append(f"{figure['name']}: alt text {figure['alt']!r}, drawn: {figure['drawn']}")


def look_again(page, scheme: str, width: int, seen: dict[str, list[str]]):
    """See what does: the width of the page, and axe's rules."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    if page.viewport_size["width"] != width:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)  # the theme waits too, before it says anew what can be scrolled
    page.wait_for_function(f"(document.documentElement.dataset.theme || '{scheme}') == '{scheme}'")
    page.evaluate(SETTLED)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        seen["sideways"].append(f"{wide} px wide at {width} px")
    page.evaluate(AXE)
    result = page.evaluate("axe.run({preload: false, resultTypes: ['violations']})")
    for rule in result["violations"]:
        where = rule["nodes"][0]["html"][:200]
        seen["axe"].append(f"{rule['id']} ({rule['impact']}) in {scheme} at {width} px: {where}")


def visit(browser, base: str, name: str, *, looks=LOOKS, script: str = "") -> dict[str, list[str]]:
    """Open a page as a first visitor, after a script, and return what is wrong with it, kind by kind."""
    seen: dict[str, list[str]] = {
        key: [] for key in ("console", "outside", "maths", "figures", "sideways", "axe")
    }
    with browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        context.add_init_script(script)
        page = context.new_page()
        listen(page, base, seen)
        page.goto(f"{base}{name}.html", wait_until="load")
        page.evaluate(SETTLED)
        look_once(page, seen)
        for scheme, width in looks:
            look_again(page, scheme, width, seen)
    return seen


@pytest.mark.parametrize("name", PAGES)
def test_definition_nothing_is_wrong_with_the_page(browser, site, name):
    assert {kind: said for kind, said in visit(browser, site, name).items() if said} == {}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_definition_nothing_is_wrong_with_the_page_when_its_code_is_open(browser, site, name):
    seen = visit(browser, site, name, looks=LOOKS[::2], script=OPENED)
    assert {kind: said for kind, said in seen.items() if said} == {}


BAD = """<!doctype html><html lang="en"><head><title>Bad</title></head><body><main><h1>Bad</h1><article>
<script>console.warn("look out"); undefined_name()</script>
<img src="http://elsewhere.invalid/x.png" alt="x.png"><span class="math">x</span>
<p style="width: 2000px; color: #ddd; background: #fff">Wide and pale.</p></article></main></body></html>"""


def test_coverage_each_look_sees_its_flaw(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    for base in serve(tmp_path):
        seen = visit(browser, base, "bad")
    assert [kind for kind, said in seen.items() if not said] == []
    assert {line.split()[0] for line in seen["axe"]} == {"color-contrast"}


def test_definition_formulas_and_figures_were_there_to_look_at(browser, site):
    """A page without any would pass the looks above."""
    with browser.new_context() as context:
        page = context.new_page()
        for name in ("book/index", *NOTEBOOKS):
            page.goto(f"{site}{name}.html")
            page.evaluate(SETTLED)
            assert page.locator("article mjx-container").count() >= 1, name
            assert len(page.evaluate(FIGURES)) >= 1, name


@pytest.mark.parametrize("name", pages.names())
def test_definition_notebooks_and_only_they_open_in_colab(name):
    page = BeautifulSoup((SITE / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    slug = address.slug(address.address())
    colab = f"https://colab.research.google.com/github/{slug}/blob/main/{name}.ipynb"
    buttons = page.select("a[href*='colab.research.google.com']")
    assert [button["href"] for button in buttons] == ([colab] if name in NOTEBOOKS else [])


def links(name: str) -> set[str]:
    """Collect a page's links to the site itself: each a file, perhaps with a place in it."""
    page = BeautifulSoup((SITE / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    said = [tag[key] for key in ("href", "src") for tag in page.select(f"[{key}]")]
    return {urljoin(f"{name}.html", link) for link in said if not re.match(r"\w+:", link)}


@functools.cache
def places(file: str) -> set[str]:
    page = BeautifulSoup((SITE / file).read_text(encoding="utf-8"), "html.parser")
    return {tag["id"] for tag in page.select("[id]")}


@pytest.mark.parametrize("name", pages.names())
def test_definition_links_inside_the_book_lead_somewhere(name):
    lost = []
    for link in links(name):
        file, place = urldefrag(unquote(link).split("?")[0])
        exists = (SITE / file).is_file()
        if not exists or (place and file.endswith(".html") and place not in places(file)):
            lost.append(link)
    assert lost == []


def test_definition_search_finds_a_word(browser, site):
    with browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{site}book/index.html")
        page.locator(".search-button-field:visible").click()
        page.keyboard.type("advantage")
        page.keyboard.press("Enter")
        page.wait_for_selector("#search-results li a")
        found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("book/1_leaks/overfitting.html" in link for link in found)
    assert any("book/glossary.html" in link for link in found)


def test_definition_the_menu_works_on_a_phone(browser, site):
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True) as context:
        page = context.new_page()
        page.goto(f"{site}book/index.html")
        page.locator("button.primary-toggle:visible").tap()
        page.get_by_role("link", name="Glossary").first.tap()
        page.wait_for_url("**/book/glossary.html")
        assert page.locator("article h1:visible").inner_text().startswith("Glossary")


def titles(name: str) -> list[str]:
    """Return the titles of a chapter's folded cells."""
    cells = nbformat.read(ROOT / f"{name}.ipynb", as_version=4).cells
    return [title for cell in cells if (title := notebooks.title(cell))]


def summaries(source: str) -> list[str]:
    """Say what each fold of a page is called, as it is read aloud; one with a label says nothing else."""
    folds = BeautifulSoup(source, "html.parser").select("details.hide > summary")
    return [
        fold.get("aria-label") or " ".join(fold.select_one(".collapsed").stripped_strings) for fold in folds
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_definition_every_title_stands_in_its_summary(name):
    source = (SITE / f"{name}.html").read_text(encoding="utf-8")
    said = [re.sub(r" \d+ lines?$", "", line) for line in summaries(source)]
    assert said == [f"Show code: {title}" for title in titles(name)]
    assert "@title" not in source


def test_coverage_a_summary_with_a_label_is_seen():
    fold = '<details class="hide"><summary{}><p class="collapsed">Show code: Draw</p></summary></details>'
    assert summaries(fold.format("")) == ["Show code: Draw"]
    assert summaries(fold.format(' aria-label="Toggle"')) == ["Toggle"]


def folds_open(page) -> list[bool]:
    return page.locator("details.hide").evaluate_all("folds => folds.map(fold => fold.open)")


def test_definition_one_switch_opens_all_code_by_keyboard_and_is_remembered(browser, site):
    first, second, *_ = NOTEBOOKS
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}{first}.html")
        switch = page.get_by_role("button", name="Show all code")
        assert not any(folds_open(page))
        assert switch.get_attribute("aria-pressed") == "false"
        switch.focus()
        page.keyboard.press("Space")
        assert all(folds_open(page))
        assert switch.get_attribute("aria-pressed") == "true"
        page.goto(f"{site}{second}.html")
        assert all(folds_open(page))
        assert switch.get_attribute("aria-pressed") == "true"
        page.locator("article .fold-all button").press("Enter")
        assert not any(folds_open(page))
        page.reload()
        assert not any(folds_open(page))


def test_limit_the_switch_works_where_storage_is_forbidden(browser, site):
    with browser.new_context() as context:
        context.add_init_script(FORBIDDEN)
        page = context.new_page()
        page.goto(f"{site}{NOTEBOOKS[0]}.html")
        page.get_by_role("button", name="Show all code").click()
        assert all(folds_open(page))


def test_definition_one_fold_opens_by_keyboard(browser, site):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}{NOTEBOOKS[0]}.html")
        page.locator("details.hide > summary").nth(1).press("Enter")
        assert [i for i, is_open in enumerate(folds_open(page)) if is_open] == [1]
        assert page.locator("details.hide > summary").nth(1).inner_text().startswith("Hide code: ")


def test_definition_pages_without_folded_code_have_no_switch(browser, site):
    with browser.new_context() as context:
        page = context.new_page()
        for name in pages.names():
            page.goto(f"{site}{name}.html")
            assert page.locator(".fold-all").count() == (name in NOTEBOOKS), name


def test_definition_code_wraps_and_wide_output_shows_that_it_goes_on(browser, site):
    with browser.new_context(viewport={"width": 390, "height": 900}) as context:
        context.add_init_script(OPENED)
        page = context.new_page()
        wide = 0
        for name in NOTEBOOKS:
            page.goto(f"{site}{name}.html")
            page.wait_for_timeout(500)  # the theme waits, before it says what can be scrolled
            assert page.evaluate(WIDE_CODE) == [], name
            assert page.evaluate(NO_CUE) == [], name
            wide += page.locator("article .cell_output pre[tabindex='0']").count()
            page.add_style_tag(
                content="article pre {white-space: pre !important; background: none !important}"
            )
            assert page.evaluate(WIDE_CODE), name  # the first look can see something
        assert wide
        assert page.evaluate(NO_CUE)  # and so can the second


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_definition_what_is_open_is_printed_on_light_paper(browser, site, scheme):
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(f"{site}{NOTEBOOKS[0]}.html")
        page.locator("details.hide > summary").nth(1).click()
        page.emulate_media(media="print", color_scheme=scheme)
        shown = page.locator("details.hide").evaluate_all("folds => folds.map(fold => fold.offsetHeight > 0)")
        assert [i for i, is_shown in enumerate(shown) if is_shown] == [1]
        assert page.locator(".fold-all").is_hidden()
        colours = "getComputedStyle(document.querySelector('article p')).color"
        assert page.evaluate(colours) == "rgb(35, 41, 46)"
