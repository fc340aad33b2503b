"""The lessons as pages, in a real browser and as files: `python -m pytest tests/test_site_lessons.py`.

The oracles are the notebooks in git: their prose, their outputs, and what the helpers write for a cell's seed.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from site_browsers import open_browser
from site_pages import serving

from helpers import OPENING_LINE
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate
from tools import lessons, site, teaching
from tools.project import ROOT, colab_address

PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.browser,
    pytest.mark.xdist_group("test_site_lessons"),
]
EDITIONS = {"ja": "lessons/", "en": "lessons/en/"}
NAMES = [source.stem for source in lessons.lesson_sources()]
# Each stands in a lesson; a character, a word of two kinds of script, one that is part of others.
WORDS = [
    "温度",
    "語彙",
    "くじ",
    "確率",
    "トークン",
    "種",
    "上位",
    "学習",
    "生成",
    "文の生成",
    "シード",
    "雪国",
]


class Content(HTMLParser):
    """A page's text, the ids in it, and the addresses it names: what the browser asks for, and what a reader may click."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.text, self.ids, self.asked, self.links = "", {"top"}, [], []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        addresses = self.links if tag == "a" or "search" in values.get("rel", "") else self.asked
        addresses += [values[name] for name in ("href", "src", "action") if name in values]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    kit = tmp_path_factory.mktemp("teaching")
    for name in ("worksheet.ja.pdf", "worksheet.en.key.pdf"):
        (kit / name).write_bytes(b"%PDF")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "BUILT", kit)
        yield site.build(site=tmp_path_factory.mktemp("built") / "site", with_lessons=True)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(site.server(0, folder, "127.0.0.1")) as address:
        yield address


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[Path, Content]:
    return {page: Content(page) for page in sorted((folder / "lessons").rglob("*.html"))}


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens pages of the site. Having asked another host is a fault, as an error on the page is."""
    contexts, faults = [], []

    def open_page(start: str, width: int = 1366, **options) -> Page:
        start = start if ":" in start else address + start
        context = browser.new_context(viewport={"width": width, "height": 844}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        own = "file:" if start.startswith("file:") else address
        page.on(
            "request",
            lambda request: (
                request.url.startswith((own, "data:", "blob:")) or faults.append(request.url)
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(start)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def notebook(name: str, edition: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / lessons.notebook_path(Path(name), edition), as_version=4)


def prose(name: str) -> str:
    """A Japanese lesson's prose, without what a page has not: words of pictures, and the lines of links around it."""
    cells = [cell.source for cell in notebook(name, "ja").cells if cell.cell_type == "markdown"]
    without = r"!\[.*?\]|^.*Colab で開く.*$|^.*(前へ|次へ): .*$"
    return re.sub(without, "", "\n".join(cells), flags=re.MULTILINE)


# As files


def test_each_lesson_is_there_with_its_prose_and_its_committed_outputs(folder, pages):
    for edition, place in EDITIONS.items():
        for name in NAMES:
            text = " ".join(pages[folder / f"{place}{name}.html"].text.split())
            cells = notebook(name, edition).cells
            printed = [
                output.text if output.output_type == "stream" else re.sub("<[^>]+>", "\n", html)
                for cell in cells
                for output in cell.get("outputs", [])
                if (html := output.get("data", {}).get("text/html", "")) or "text" in output
            ]
            headings = re.findall(r"^#+ (\w+)$", "\n".join(c.source for c in cells), re.MULTILINE)
            for line in [*headings, *"\n".join(printed).splitlines()]:
                # An entity stands for a character, and a page's text has the character.
                if (words := " ".join(line.split())) and "&" not in words:
                    assert words in text, (edition, name)


def test_pages_ask_for_their_own_files_and_links_lead_somewhere(folder, pages):
    for page, content in pages.items():
        for asked in content.asked:
            assert not re.match("[a-z]*:?//", asked), (page, asked)
        for target in [*content.asked, *content.links]:
            if target.startswith(("data:", "https://")) or not target:
                continue
            path, place = urldefrag(target)
            path = path.partition("?")[0]
            file = (page.parent / unquote(path)).resolve() if path else page
            assert file.is_file(), (page, target)
            if place and file in pages and not place.startswith("lang="):
                assert unquote(place) in pages[file].ids, (page, target)


def test_a_lesson_links_its_copy_to_do_the_lab_the_teachers_page_and_its_own_edition(folder, pages):
    for edition, place in EDITIONS.items():
        for name in NAMES:
            page = folder / f"{place}{name}.html"
            links = pages[page].links
            assert colab_address(lessons.notebook_path(Path(name), edition, start=True)) in links
            paths = [urldefrag(link)[0] for link in links if ":" not in link]
            files = {(page.parent / path).resolve() for path in paths if path}
            assert {folder / "index.html", page.parent / "teacher.html"} <= files
            others = {file for file in files if file.parent != page.parent} - {
                folder / "index.html"
            }
            # Of the other edition it knows its counterpart alone.
            assert [file.name for file in others] == [page.name]
        teacher = pages[folder / place / "teacher.html"].links
        assert [link for link in teacher if link.startswith("teaching/")] == [
            "teaching/worksheet.ja.pdf" if edition == "ja" else "teaching/worksheet.en.key.pdf"
        ]


def test_the_lab_alone_stays_small_and_the_zip_has_the_lessons(folder):
    worker = (folder / "service-worker.js").read_text(encoding="utf-8")
    listed = json.loads(worker.split("const FILES = ")[1].split(";")[0])
    assert not any(name.startswith("lessons") for name in listed)
    with zipfile.ZipFile(folder / site.ZIP) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    assert {
        "index.html",
        *(f"{place}{name}.html" for place in EDITIONS.values() for name in NAMES),
    } <= names
    links = Content(folder / "index.html").links
    assert "lessons/index.html" in links


# In a browser


def found(page: Page, start: str, word: str) -> set[str]:
    """The pages that the search names, once it is done. Opened for each word, the page would read its whole index again."""
    if page.url != f"{start}search.html":
        page.goto(f"{start}search.html")
    page.evaluate(
        "word => { document.getElementById('search-results').replaceChildren(); Search.performSearch(word); }",
        word,
    )
    result = page.locator("#search-results")
    expect(result.locator("h2")).to_have_text(re.compile("検索結果|Search Results"))
    expect(result.locator(".search-summary")).not_to_be_empty()
    links = result.locator("li a").evaluate_all("links => links.map((a) => a.pathname)")
    return {link.rpartition("/")[2].partition(".")[0] for link in links}


def test_the_search_finds_japanese_words(opened, folder):
    """From files: over HTTP each result's page would be fetched for its summary."""
    start = f"{folder.as_uri()}/{EDITIONS['ja']}"
    page = opened(f"{start}index.html")
    for word in WORDS:
        expected = {name for name in NAMES if word in prose(name)}
        assert expected and expected <= found(page, start, word), word
    assert found(page, start, "冷蔵庫") == set()
    for typed, meant in (("ｼｰﾄﾞ", "シード"), ("ｔｏｐ＿ｋ", "top_k")):
        assert found(page, start, typed) == found(page, start, meant) != set()


@pytest.mark.parametrize("way", ["http", "file"])
def test_a_word_that_is_typed_beside_a_lesson_is_marked_on_the_page_that_is_opened(
    opened, address, folder, way
):
    start = f"{address if way == 'http' else folder.as_uri() + '/'}{EDITIONS['ja']}"
    page = opened(f"{start}02_setup.html")
    page.get_by_role("textbox", name="検索", exact=True).first.fill("語彙")
    page.keyboard.press("Enter")
    result = page.locator("#search-results")
    if way == "http":
        expect(result.locator(".context").first).to_contain_text("語彙")
    result.locator("a", has_text="02 ").first.click()
    expect(page.locator("article .highlighted").first).to_have_text("語彙")


def test_the_english_search_knows_stems_and_japanese(opened, folder):
    start = f"{folder.as_uri()}/{EDITIONS['en']}"
    page = opened(f"{start}index.html")
    assert "03_generate" in found(page, start, "temperatures")
    assert "02_setup" in found(page, start, "雪国")
    assert found(page, start, "refrigerator") == set()


@pytest.mark.parametrize("name", ["firefox", "webkit"])
def test_other_browsers_find_a_word_and_show_the_lab_in_its_frame(folder, name):
    with open_browser(name) as browser:
        browser.goto((folder / "lessons" / "search.html").as_uri() + f"?q={quote('温度')}")
        links = "return [...document.querySelectorAll('#search-results li a')].map((a) => a.pathname).join()"
        assert "03_generate" in browser.wait_for(links)
        browser.goto((folder / "lessons" / "00_lab.html").as_uri())
        browser.evaluate("document.querySelector('iframe').scrollIntoView()")
        browser.wait_for("return document.querySelector('iframe').contentWindow.length === 0")


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_lab_is_in_the_lesson_and_writes_the_cells_text(opened, folder, edition):
    seed = the_labs_seed("00_lab", edition)
    run = generate(
        load_model("aozora-mini", device="cpu"), OPENING_LINE, SamplingSettings(seed=seed)
    )
    expected = [sequence.token_ids for sequence in run.sequences]
    page = opened((folder / EDITIONS[edition] / "00_lab.html").as_uri())
    page.locator("iframe.lab").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe.lab")
    button = {"ja": "続きを書く", "en": "Continue"}[edition]
    expect(frame.get_by_role("button", name=button, exact=True)).to_be_visible(timeout=PATIENCE)
    (lab,) = page.frames[1:]
    for _ in range(PATIENCE // 100):
        ids = lab.evaluate(
            "globalThis.lab?.run && !lab.writing && lab.run.sequences.every((s) => s.stopped)"
            " && lab.run.sequences.map((s) => [...s.tokenIds])"
        )
        if ids:
            break
        page.wait_for_timeout(100)
    assert ids == expected
    page.goto((folder / EDITIONS[edition] / "03_generate.html").as_uri())
    other = the_labs_seed("03_generate", edition)
    expect(page.locator("iframe.lab")).to_have_attribute("src", re.compile(f"seed={other}$"))


def the_labs_seed(name: str, edition: str) -> int:
    """The seed that a lesson's own lab has."""
    (cell,) = [c for c in notebook(name, edition).cells if re.search(r"^lab = ", c.source, re.M)]
    return int(re.search(r"SamplingSettings\(seed=(\d+)\)", cell.source).group(1))


def test_every_page_fits_a_phone_and_has_no_serious_fault(opened, address, folder):
    for scheme, edition in (("light", "ja"), ("dark", "en")):
        page = opened(f"{EDITIONS[edition]}index.html", width=390, color_scheme=scheme)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        for file in sorted((folder / EDITIONS[edition]).glob("*.html")):
            page.goto(address + file.relative_to(folder).as_posix())
            assert page.evaluate("document.documentElement.scrollWidth") == 390, file
            # One of each kind; with all lessons this would be the longest test of the site.
            if file.stem not in ("index", "03_generate", "teacher", "search"):
                continue
            violations = Axe().run(page).response["violations"]
            serious = [
                f"{violation['id']}: {node['html']}"
                for violation in violations
                if violation["impact"] in ("serious", "critical")
                for node in violation["nodes"]
            ]
            assert serious == [], file


def test_on_paper_there_is_the_lesson_alone(opened):
    page = opened("lessons/03_generate.html")
    page.emulate_media(media="print")
    for selector in ("iframe.lab", ".sidebar-drawer", ".toc-drawer"):
        expect(page.locator(selector)).to_be_hidden()
    expect(page.locator("article h1")).to_be_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_page_that_was_read_opens_without_a_network(opened, address):
    page = opened("lessons/en/index.html")
    for _ in range(PATIENCE // 100):
        if page.evaluate("Boolean(navigator.serviceWorker?.controller)"):
            break
        page.wait_for_timeout(100)
    page.goto(f"{address}lessons/02_setup.html")
    page.context.set_offline(True)
    page.goto("about:blank")
    page.goto(f"{address}lessons/02_setup.html")
    expect(page.locator("article h1")).to_contain_text("02")
    assert page.evaluate(
        "[...document.images].every((image) => !image.complete || image.naturalWidth > 0)"
    )
    page.context.set_offline(False)
