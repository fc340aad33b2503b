"""The lab's page in real browsers, as a pupil meets it: `python -m pytest tests/test_site_page.py`.

The site is built first (Node and `npm ci --prefix site`: `make site` sees to both). The oracles are the Python side:
`helpers.sampling`, sentencepiece's own ids through `helpers.tokenizer`, zxing for the QR code.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest
import torch
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from lab_oracle import Percent
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from site_browsers import open_browser

from helpers import BUNDLED_PATH, masking
from helpers.models import LanguageModel, load_model
from helpers.sampling import SamplingSettings, generate, next_token_distribution
from helpers.tokenizer import load_tokenizer
from tools import site
from tools.serve_limits import Offer, checked

OPENING = "国境の長いトンネルを抜けると雪国であった。"
# A machine that is busy with other things may take long: that alone is no fault.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]
ALL_WRITTEN = (
    "return globalThis.lab?.run && !lab.writing && lab.run.sequences.every((s) => s.stopped)"
    " && lab.run.sequences.map((s) => [...s.tokenIds])"
)
CONFIG = json.loads((BUNDLED_PATH / "config.json").read_text(encoding="utf-8"))
VOCABULARY, POSITIONS = CONFIG["vocab_size"], CONFIG["n_positions"]
LENGTH = len(load_tokenizer().encode(OPENING, add_special_tokens=False))
JAPANESE = re.compile("[぀-ヿ㐀-鿿]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.build(site=tmp_path_factory.mktemp("built") / "site")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    server = site.server(0, folder, host="127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model("aozora-mini", device="cpu")


class Visits:
    """Pages of the site. Other hosts are refused, and having asked one is a fault, as an error on a page is."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address
        self.faults: list[str] = []
        self.alone: list[BrowserContext] = []
        self._shared: Page | None = None
        self._opened = 0

    def __call__(
        self,
        fragment: str = "",
        size: tuple[int, int] = (1366, 768),
        alone: bool = False,
        **options: Any,
    ) -> Page:
        """The page as a link leads to it. Most tests share one page, which goes on as after a click on a link, its
        model loaded, and is folded up again; `alone` is a first visit, as every page with `options` is.
        """
        if not (alone or options or not fragment):
            return self._followed(fragment, size)
        page = self._new_page(size, **options)
        self.alone.append(page.context)
        page.goto((options.get("start") or self.address) + fragment)
        return page

    def _followed(self, fragment: str, size: tuple[int, int]) -> Page:
        self._opened += 1
        if self._shared is None:
            self._shared = self._new_page(size)
            self._shared.goto(self.address + fragment)
            return self._shared
        page = self._shared
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(AS_AT_FIRST)
        # No field of a state: with it no link is that of the test before.
        page.goto(f"{self.address}{fragment}&visit={self._opened}")
        return page

    def _new_page(
        self,
        size: tuple[int, int],
        start: str | None = None,
        language: str = "ja-JP",
        **options: Any,
    ) -> Page:
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale=language, **options
        )
        context.set_default_timeout(PATIENCE)
        context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        page = context.new_page()
        own = re.match(r"https?://[^/]+/", start or self.address)
        ours = (own.group() if own else "file:", "data:", "blob:")

        def note(url: str) -> None:
            if not url.startswith(ours):
                self.faults.append(f"asked for {url}")

        page.on("request", lambda request: note(request.url))
        page.on("websocket", lambda socket: self.faults.append(f"asked for {socket.url}"))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        return page


AS_AT_FIRST = """() => {
    if (document.body.classList.contains("open")) document.getElementById("more").click();
    for (const pane of document.querySelectorAll("details")) pane.open = false;
    document.getElementById("notices").replaceChildren();
    document.activeElement.blur();
    lab.newSeed = true;
    lab.run = null;
}"""


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str) -> Visits:
    return Visits(browser, address)


@pytest.fixture
def opened(visits: Visits) -> Iterator[Visits]:
    yield visits
    while visits.alone:
        visits.alone.pop().close()
    faults, visits.faults = visits.faults, []
    assert not faults


def fragment(prompt: str = OPENING, **settings: Any) -> str:
    values = {
        k: str(v).lower() if isinstance(v, bool) else v
        for k, v in ({"prompt": prompt} | settings).items()
    }
    return "#" + urlencode(values, quote_via=quote)


def until(page: Page, expression: str) -> Any:
    """What an expression gives as soon as it is true. (The page forbids what `wait_for_function` would do.)"""
    for _ in range(PATIENCE // 50):
        if value := page.evaluate(expression):
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"not true within {PATIENCE / 1000:.0f} s: {expression}")


def written(page: Page) -> list[list[int]]:
    """The ids of all texts, once they are written."""
    return until(page, ALL_WRITTEN.removeprefix("return "))


def texts(page: Page) -> Locator:
    return page.locator("#texts .text")


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("spinbutton", name=name, exact=True)


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def unfold(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^(もっと|More)$")).click()


def unfold_all(page: Page) -> None:
    unfold(page)
    for pane in page.locator("details > summary").all():
        pane.click()


def kept(page: Page) -> int:
    """How many tokens the picture says are kept."""
    words = page.locator(".zones li").first.inner_text()
    return int(re.search(r": ([\d,]+)", words).group(1).replace(",", ""))


def test_the_zones_shares_have_one_number_of_decimals(opened):
    page = opened(fragment(top_k=500, top_p=0.95))
    until(page, "document.querySelectorAll('.zones li').length > 2")
    shares = re.findall(r"[\d.]+%", page.locator(".zones").inner_text())
    assert len({len(share.partition(".")[2]) for share in shares}) == 1


# The first minute


def test_untouched_the_opening_line_goes_on_and_all_of_it_fits_a_phones_first_screen(opened):
    page = opened(size=(360, 640))
    expect(texts(page).first.locator(".token").first).to_be_visible()
    written(page)
    for width, height in ((360, 800), (360, 640)):
        page.set_viewport_size({"width": width, "height": height})
        until(page, "document.querySelectorAll('.bars li').length >= 5")
        assert_the_first_screen_has_all(page, width, height)
    # All else is folded.
    expect(box(page, "temperature")).to_be_hidden()
    expect(page.locator("#panes")).to_be_hidden()
    text = texts(page).first
    assert text.inner_text().replace("\n", "").startswith(OPENING)
    colours = text.locator(".token").evaluate_all(
        "tokens => tokens.map(token => getComputedStyle(token).backgroundColor)"
    )
    assert len(set(colours)) > 2


def assert_the_first_screen_has_all(page: Page, width: int, height: int) -> None:
    in_sight = {
        "prompt": page.get_by_label("prompt", exact=True),
        "button": page.get_by_role("button", name="続きを書く", exact=True),
        "text": page.locator("#texts .card").first,
        "bars": page.locator(".bars"),
        "both cut-offs": page.locator(".zones"),
        "top_k": slider(page, "top_k"),
        "top_p": slider(page, "top_p"),
        "copy": page.get_by_role("button", name="コピー", exact=True).first,
        "picture": page.get_by_role("button", name="画像", exact=True).first,
    }
    for name, element in in_sight.items():
        place = element.bounding_box()
        assert place["x"] >= 0 and place["x"] + place["width"] <= width, name
        assert place["y"] >= 0 and place["y"] + place["height"] <= height, name
    assert in_sight["button"].bounding_box()["y"] > height * 0.8
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("scrollY") == 0


def test_a_wide_screen_has_three_texts_beside_the_controls(opened):
    page = opened(fragment())
    written(page)
    cards = [card.bounding_box() for card in page.locator("#texts .card").all()]
    assert len(cards) == 3 and len({card["y"] for card in cards}) == 1
    bars = page.locator(".bars").bounding_box()
    assert bars["x"] + bars["width"] < cards[0]["x"]
    assert cards[-1]["x"] + cards[-1]["width"] > 1300


@pytest.mark.parametrize("language", ["ja-JP", "en-US"])
def test_in_both_languages_every_screen_holds_it_and_axe_finds_nothing_serious(opened, language):
    page = opened(fragment(prompt="🍣と雪が", max_length=40, min_length=0), language=language)
    written(page)
    assert_nothing_is_wider_than_the_page(page)
    found = serious(page)
    unfold_all(page)
    expect(page.locator(".way")).to_be_visible()
    assert_nothing_is_wider_than_the_page(page)
    page.locator("#draw").click()
    expect(page.locator("#draw-note")).not_to_be_empty()
    if language == "en-US":
        assert japanese_words(page) == []
    texts(page).first.locator(".token").nth(2).click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += serious(page)
        for stage in ("tokens", "vectors", "scores", "lottery", "attention"):
            page.locator(f"#way-{stage}").click()
            found += serious(page, "#way")
    assert found == []
    if language == "en-US":
        page.get_by_role("button", name="日本語", exact=True).click()
        expect(page.get_by_role("button", name="続きを書く", exact=True)).to_be_visible()
        assert JAPANESE.search(page.title())


def assert_nothing_is_wider_than_the_page(page: Page) -> None:
    for width, height in ((360, 640), (390, 844), (768, 1024), (1366, 768)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def japanese_words(page: Page) -> list[str]:
    """Texts in Japanese that say neither that they are nor that they are quoted."""
    left = page.evaluate(
        """() => {
            const found = [], words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (words.nextNode()) {
                const parent = words.currentNode.parentElement;
                if (!parent.closest("[lang=ja], textarea, script, noscript, .chip, .way, #way-stage")) found.push(words.currentNode.data);
            }
            return found.filter((text) => /[\\u3040-\\u30ff\\u3400-\\u9fff]/.test(text));
        }"""
    )
    # What is quoted: the text at hand, and the token that was drawn.
    return [text for text in left if "“" not in text]


def serious(page: Page, part: str | None = None) -> list[str]:
    """What axe finds on the page, or in a part of it."""
    violations = Axe().run(page, context=part).response["violations"]
    return [
        f"{violation['id']}: {node['html']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


# The same as in Python


SETTINGS = [
    SamplingSettings(seed=42),
    SamplingSettings(seed=7, top_k=20, top_p=0.8, temperature=0.7, num_return_sequences=2),
    SamplingSettings(seed=3, do_sample=False, num_return_sequences=1, max_length=60),
    SamplingSettings(seed=2**32 - 1, repetition_penalty=1.3, min_length=0, max_length=70),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_seed_gives_the_text_of_the_notebook(opened, model, settings):
    values = {k: v for k, v in vars(settings).items()}
    page = opened(fragment(**values))
    expected = generate(model, OPENING, settings)
    assert written(page) == [sequence.token_ids for sequence in expected.sequences]
    for card, sequence in zip(texts(page).all(), expected.sequences, strict=True):
        assert card.text_content().strip() == sequence.text.strip()


@pytest.mark.parametrize("name", ["firefox", "webkit"])
def test_first_text_seed_and_sliders_in_other_browsers(address, folder, model, name):
    """Firefox, and WebKit in place of an iPad."""
    settings = SamplingSettings(seed=42, max_length=60)
    expected = [sequence.token_ids for sequence in generate(model, OPENING, settings).sequences]
    with open_browser(name) as browser:
        browser.goto(address + fragment(**vars(settings)))
        assert browser.wait_for(ALL_WRITTEN) == expected
        shown = "return document.querySelector('.zones li').textContent"
        before = browser.wait_for(shown)
        assert browser.evaluate("return document.querySelectorAll('#texts .token').length") > 100
        browser.press("#sliders [data-setting=top_k] input[type=range]", "\ue012" * 4)
        browser.wait_for(shown + " !== args[0]", before)
        assert browser.evaluate("return document.getElementById('top_k').value") == "200"
        browser.evaluate("document.getElementById('vertical').click()")
        mode = "return getComputedStyle(document.querySelector('#texts .text')).writingMode"
        assert browser.evaluate(mode) == "vertical-rl"
        painted = "new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))"
        browser.evaluate(f"await {painted}")
        # Opened by a double click.
        browser.goto((folder / "index.html").as_uri() + fragment(**vars(settings)))
        assert browser.wait_for(ALL_WRITTEN) == expected
        # A reload keeps what was changed, there too.
        browser.press("#sliders [data-setting=top_k] input[type=range]", "\ue012" * 4)
        browser.wait_for("return location.hash.includes('top_k=200')")
        browser.reload()
        browser.wait_for("return globalThis.lab?.run?.settings.top_k === 200 && !lab.writing")


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [("top_k", ["Home", "ArrowRight"], 1), ("top_p", ["ArrowLeft"] * 5, 0.9)],
)
def test_a_slider_moves_its_number_the_bars_and_the_cut(opened, model, name, keys, value):
    page = opened(fragment(seed=1, max_length=20, min_length=0))
    written(page)
    before = page.locator(".bars").inner_html()
    for key in keys:
        slider(page, name).press(key)
    expect(box(page, name)).to_have_value(str(value))
    settings = SamplingSettings(seed=1, max_length=20, min_length=0, **{name: value})
    expected = next_token_distribution(model, OPENING, settings)
    # "top_p = 0.9" begins "top_p = 0.91" too.
    until(page, f"/{name} = {value}(?!\\d)/.test(document.querySelector('.zones').textContent)")
    assert kept(page) == expected.kept
    assert page.locator(".bars").inner_html() != before
    if name == "top_k":
        cuts = page.locator(".bars .cut")
        expect(cuts).to_have_count(1)
        # One is kept, then comes the line.
        assert page.locator(".bars li").nth(1).get_attribute("class") == "cut"


def test_bars_are_the_notebooks(opened, model):
    page = opened(fragment(seed=1, max_length=20, min_length=0))
    written(page)
    head = next_token_distribution(
        model, OPENING, SamplingSettings(max_length=20, min_length=0)
    ).head(8)
    for row, candidate in zip(page.locator(".bars li button").all(), head, strict=False):
        label = row.get_attribute("aria-label")
        assert label.startswith(candidate.piece)
        shown = float(re.search(r"モデル ([\d.]+)%", label).group(1))
        assert shown == pytest.approx(candidate.raw * 100, rel=6e-3)
    # The column that is read at a glance: as many decimals in each row, as in the notebook's picture.
    column = page.locator(".bars .percent").all_inner_texts()
    assert len({text.partition(".")[2] and len(text.partition(".")[2]) for text in column}) == 1
    for text, candidate in zip(column, head, strict=False):
        assert text == Percent(candidate.raw if candidate.cut_by else candidate.final)


def test_every_control_is_named_as_its_setting(opened):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    unfold(page)
    for name in (
        "top_k",
        "top_p",
        "temperature",
        "repetition_penalty",
        "min_length",
        "max_length",
        "num_return_sequences",
        "seed",
    ):
        expect(box(page, name)).to_be_visible()
        expect(slider(page, name)).to_be_visible()
    expect(page.get_by_role("checkbox", name="do_sample", exact=True)).to_be_checked()


@pytest.mark.parametrize(
    ("name", "typed", "allowed"),
    [
        ("top_k", "-3", f"0 以上 {VOCABULARY} 以下"),
        ("top_p", "1.5", "1 以下"),
        ("seed", "abc", "整数"),
        ("temperature", "", "（空）"),
    ],
)
def test_a_number_that_cannot_be_is_told_and_stays(opened, name, typed, allowed):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    unfold(page)
    box(page, name).fill(typed)
    box(page, name).press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(name)
    expect(alert).to_contain_text(allowed)
    expect(box(page, name)).to_have_value(typed)
    expect(box(page, name)).to_have_attribute("aria-invalid", "true")
    # Full-width digits are what a Japanese keyboard gives.
    box(page, name).fill("１")
    box(page, name).press("Enter")
    expect(alert).to_be_empty()


def test_settings_that_contradict_are_told_before_anything_is_lost(opened):
    page = opened(fragment(max_length=20, min_length=0), alone=True)
    before = written(page)
    unfold(page)
    box(page, "min_length").fill("21")
    box(page, "min_length").press("Enter")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(
        "min_length = 21 が max_length = 20 より大きく"
    )
    assert written(page) == before


# Writing


def test_stop_ends_with_what_was_written_and_the_page_answers_meanwhile(opened):
    page = opened(fragment(max_length=500, min_length=500, num_return_sequences=8), alone=True)
    # The page as slow as an old tablet's, the worker that writes as it is: texts grow faster than they can be drawn.
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    until(page, "globalThis.lab?.run?.sequences[0].steps.length > 60")
    # While it writes, a slider's picture follows.
    slider(page, "top_k").press("Home")
    expect(box(page, "top_k")).to_have_value("0")
    assert page.evaluate("lab.writing")
    page.get_by_role("button", name="停止", exact=True).click()
    ids = written(page)
    assert LENGTH < len(ids[0]) < 500
    expect(page.locator("#texts .card").first).to_contain_text("停止")
    assert page.evaluate("lab.run.sequences[0].stopped") == "user"


def test_writing_again_takes_the_next_seed_and_the_same_seed_the_same_text(opened):
    page = opened(fragment(seed=5, max_length=30, min_length=0))
    first = written(page)
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.locator("#texts .card").first).to_contain_text("seed 6")
    assert written(page) != first
    unfold(page)
    box(page, "seed").fill("5")
    box(page, "seed").press("Enter")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.locator("#texts .card").first).to_contain_text("seed 5")
    assert written(page) == first
    # The same number typed once more asks for that seed, too.
    box(page, "seed").fill("5")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.locator("#texts .card").first).to_contain_text("seed 5")
    assert written(page) == first
    page.get_by_label("seed を 1 進める").uncheck()
    page.get_by_role("button", name="続きを書く", exact=True).click()
    assert written(page) == first


def test_a_token_shows_what_else_could_stand_there_and_the_text_goes_on_from_one(opened, model):
    page = opened(fragment(seed=42, max_length=40, min_length=0))
    ids = written(page)[0]
    texts(page).first.locator(".token").nth(4).click()
    expect(page.locator("#next h2")).to_contain_text("5 番目")
    (own,) = page.locator(".bars .own").all()
    assert own.locator(".piece").inner_text() == model.tokenizer.convert_ids_to_tokens(
        ids[LENGTH + 4]
    )
    other = page.locator(".bars li:not(.own) button").first
    piece = other.locator(".piece").inner_text()
    other.click()
    until(page, "lab.chosen.length === 5")
    new = written(page)[0]
    assert new[: LENGTH + 4] == ids[: LENGTH + 4]
    assert model.tokenizer.convert_ids_to_tokens(new[LENGTH + 4]) == piece
    unfold(page)
    page.get_by_role("button", name="戻る", exact=True).click()
    assert page.evaluate("lab.chosen") == []


def test_one_token_at_a_time_and_back(opened, model):
    page = opened(fragment(seed=42, num_return_sequences=1))
    expected = generate(model, OPENING, SamplingSettings(seed=42, num_return_sequences=1))
    ids = written(page)[0]
    unfold(page)
    for count in (1, 2, 3):
        page.get_by_role("button", name="1 トークン進める", exact=True).click()
        expect(page.locator("#chosen .chip")).to_have_count(count)
        expect(page.locator("#bars")).not_to_have_attribute("aria-busy", "true")
    # The first is what `generate` draws first with that seed.
    assert page.evaluate("lab.chosen[0]") == ids[LENGTH] == expected.sequences[0].token_ids[LENGTH]
    page.get_by_role("button", name="戻る", exact=True).click()
    expect(page.locator("#chosen .chip")).to_have_count(2)


def test_a_hundred_draws_against_a_guess(opened):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    unfold(page)
    page.get_by_label("予想: 1 位は何回？", exact=True).fill("30")
    page.get_by_role("button", name="100 回引く", exact=True).click()
    note = page.locator("#draw-note")
    expect(note).to_contain_text("予想 30 回")
    expected, seen = map(
        float, re.search(r"期待値 ([\d.]+) 回、実際 (\d+) 回", note.inner_text()).groups()
    )
    # Five standard deviations of a binomial distribution.
    assert abs(seen - expected) < 5 * (expected * (1 - expected / 100)) ** 0.5
    assert page.locator(".bars .seen").count() > 5


def test_two_settings_with_one_seed(opened, model):
    page = opened(fragment(seed=42))
    written(page)
    unfold(page)
    page.locator("#compare-pane summary").click()
    page.get_by_role("button", name="比べる", exact=True).click()
    verdict = page.locator("#compare [role=status]")
    expect(verdict).to_contain_text("最初の違い")
    both = [
        generate(model, OPENING, SamplingSettings(seed=42, num_return_sequences=1, **changes))
        for changes in ({}, {"top_k": 20, "top_p": 0.8, "temperature": 0.7})
    ]
    a, b = (run.sequences[0].token_ids for run in both)
    place = next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    pieces = model.tokenizer.convert_ids_to_tokens([a[place], b[place]])
    expect(verdict).to_have_text(
        f"最初の違い: 新しい {place - LENGTH + 1} 番目のトークン。A は「{pieces[0]}」、B は「{pieces[1]}」。"
    )


# What is typed


def test_chips_normalisation_and_unknown_characters_while_typing(opened, model):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    unfold(page)
    text = "ｶﾀｶﾅ①𠮷🍣"
    page.get_by_label("prompt", exact=True).fill(text)
    expect(page.locator("#chips")).to_contain_text("NFKC")
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    shown = page.locator("#chips .chip sub").all_inner_texts()
    assert [int(re.search(r"\d+", chip).group()) for chip in shown] == ids
    unknown = page.locator("#chips .chip.unknown")
    expect(unknown).to_have_count(ids.count(model.tokenizer.unk_token_id))
    expect(unknown.first).to_contain_text("未知")


def test_markup_that_is_typed_stays_text(opened):
    typed = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>雪が"
    page = opened(fragment(prompt=typed, max_length=90, min_length=0))
    written(page)
    unfold_all(page)
    expect(page.locator(".way")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    # The model's own form of it: normalised, unknown characters left out.
    assert "script" in texts(page).first.inner_text() or "⁇" in texts(page).first.inner_text()
    assert page.locator("main script, main img[src=x]").count() == 0


def test_a_hundred_thousand_characters_are_told_and_nothing_hangs(opened):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    pasted = "雪国の夜は長い。" * 12_500
    page.get_by_label("prompt", exact=True).fill(pasted)
    expect(page.locator("#bars")).to_contain_text(f"{POSITIONS} トークンを超えています")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(f"{POSITIONS} トークンを超えています")
    assert page.get_by_label("prompt", exact=True).input_value() == pasted
    unfold_all(page)
    expect(page.locator("#chips")).to_contain_text("先頭の 200 個を表示")
    expect(page.locator("#share")).to_contain_text("リンクにできません")
    page.get_by_label("prompt", exact=True).fill("雪が")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    assert written(page)


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_is_told(opened, prompt):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    page.get_by_label("prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("prompt が空です")


# Handing on


def test_a_link_brings_the_same_texts_and_its_qr_code_is_the_link(opened):
    page = opened(
        fragment(prompt="雪が<降る>& 100%", seed=9, top_k=30, max_length=40, min_length=0)
    )
    first = written(page)
    unfold(page)
    page.locator("#share-pane summary").click()
    link = page.get_by_label("この状態のリンク", exact=True).input_value()
    page.locator(".qr").evaluate("image => image.decode()")
    picture = Image.open(io.BytesIO(page.locator(".qr").screenshot()))
    assert zxingcpp.read_barcode(picture).text == link
    other = opened(start=link)
    assert written(other) == first
    assert other.evaluate("lab.settings.top_k") == 30


def test_a_link_carries_chosen_tokens_masking_and_vertical_writing(opened):
    page = opened(fragment(max_length=20, min_length=0, mask=1, vertical=1, chosen="471.201"))
    ids = written(page)[0]
    assert ids[LENGTH : LENGTH + 2] == [471, 201]
    assert page.evaluate("lab.masking")
    mode = texts(page).first.evaluate("e => getComputedStyle(e).writingMode")
    assert mode == "vertical-rl"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"top_k": "many"}, "top_k が読めないので、かわりに 500"),
        ({"top_p": "7"}, "top_p が読めないので、かわりに 0.95"),
        ({"seed": "-1"}, "seed が読めないので、かわりに 15"),
        ({"temperature": "1e999"}, "temperature が読めない"),
        ({"do_sample": "perhaps"}, "do_sample が読めない"),
        ({"min_length": "90", "max_length": "20"}, "矛盾している"),
        ({"chosen": "1.x"}, "選んだトークン"),
        ({"chosen": "99999"}, "選んだトークン"),
        ({"prompt": " "}, "書き出しが読めない"),
    ],
)
def test_a_broken_link_is_told_and_defaults_are_used(opened, values, told):
    page = opened(fragment(**({"max_length": 20, "min_length": 0} | values)))
    expect(page.locator("#notices")).to_contain_text(told)
    assert written(page)


def test_a_link_that_was_cut_off_is_told(opened):
    page = opened("#prompt=%E9%9B%AA%E3%8", alone=True)
    expect(page.locator("#notices")).to_contain_text("書き出しが読めない")
    assert written(page)[0][:3] != []


def test_the_code_writes_the_same_texts(opened, model):
    page = opened(
        fragment(seed=11, max_length=40, min_length=0, num_return_sequences=2), alone=True
    )
    ids = written(page)
    unfold(page)
    page.locator("#share-pane summary").click()
    code = page.get_by_label("model.generate(...) のコード", exact=True).input_value()
    found: dict[str, Any] = {}
    exec(code, found)
    output = found["output"].tolist()
    eos = found["lm"].tokenizer.eos_token_id
    cut = [row[: row.index(eos) + 1] if eos in row else row for row in output]
    assert cut == ids
    cell = page.get_by_label("ノートブックに貼るセル", exact=True).input_value()
    tree: dict[str, Any] = {}
    exec(cell, tree)
    assert tree["settings"].seed == 11 and tree["settings"].max_length == 40
    link = page.locator("#share a", has_text="00_lab")
    assert link.get_attribute("href").endswith("/notebooks/start/00_lab.ipynb")
    page.get_by_role("button", name="English", exact=True).click()
    assert link.get_attribute("href").endswith("/notebooks/start/en/00_lab.ipynb")


def test_a_text_is_copied_with_its_settings_and_seed(opened):
    page = opened(
        fragment(seed=13, max_length=30, min_length=0),
        permissions=["clipboard-read", "clipboard-write"],
    )
    written(page)
    prompt = page.get_by_label("prompt", exact=True)
    for way in ("clipboard", "plain HTTP"):
        if way == "plain HTTP":
            page.evaluate("navigator.clipboard.writeText('')")
            page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.locator("#notices").evaluate("notices => notices.replaceChildren()")
        page.get_by_role("button", name="コピー", exact=True).first.click()
        expect(page.locator("#notices")).to_contain_text("コピーしました")
        prompt.fill("")
        prompt.press("Control+V")
        pasted = prompt.input_value()
        assert pasted.startswith(OPENING), way
        assert "seed=13" in pasted and "top_k=500" in pasted and "aozora-mini" in pasted
    # Where nothing may copy, a box is shown.
    page.evaluate("document.execCommand = () => false")
    page.get_by_role("button", name="コピー", exact=True).first.click()
    box_to_copy = page.get_by_label("コピー用", exact=True)
    assert OPENING in box_to_copy.input_value()
    page.locator("#notices").get_by_role("button", name="閉じる", exact=True).click()
    expect(box_to_copy).to_have_count(0)


def test_a_text_is_saved_as_a_picture(opened):
    page = opened(fragment(seed=13, max_length=40, min_length=0), size=(360, 640))
    written(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="画像", exact=True).first.click()
    assert download.value.suggested_filename == "yukiguni-seed13-1.png"
    picture = Image.open(download.value.path()).convert("RGB")
    assert picture.width == 1080 and picture.height > 300
    assert len(picture.getcolors(1_000_000)) > 20


# 伏せ字


def test_masking_covers_listed_words_and_draws_nothing_again(opened):
    page = opened(fragment(seed=42, max_length=40, min_length=0), alone=True)
    ids = written(page)
    assert page.evaluate("house.masked.map((w) => w.word)") == list(masking.words_to_mask())
    token = texts(page).first.locator(".token").nth(3)
    word = token.inner_text().strip()
    # As if this word were on the list.
    page.evaluate("word => house.masked.push({ word, innocent: [] })", word)
    unfold(page)
    page.locator("#view-pane summary").click()
    page.get_by_label("伏せ字", exact=True).check()
    expect(token).to_have_class(re.compile("masked"))
    assert token.inner_text().strip() == "×" * len(word)
    assert token.get_attribute("aria-label") == "伏せ字。押すと見えます"
    assert word not in (token.get_attribute("title") or "")
    token.click()
    expect(token).not_to_have_class(re.compile("masked"))
    # It was seen, not picked.
    assert page.evaluate("lab.focus") is None
    assert written(page) == ids


# The way through the model


def test_the_way_shows_the_models_own_numbers(opened, model):
    page = opened(fragment(seed=42, max_length=20, min_length=0))
    written(page)
    unfold(page)
    page.locator("#way-pane summary").click()
    expect(page.locator(".way > button")).to_have_count(5)
    ids = torch.tensor([model.tokenizer.encode(OPENING, add_special_tokens=False)])
    model.model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model.model(ids, output_attentions=True)
    for layer, head in ((1, 1), (3, 2), (CONFIG["n_layer"], CONFIG["n_head"])):
        page.get_by_role("slider", name="層", exact=True).fill(str(layer - 1))
        page.get_by_role("button", name=f"ヘッド {head}", exact=True).click()
        shares = output.attentions[layer - 1][0, head - 1, -1].tolist()
        looks = page.locator(".looks button")
        # The way of a text before may be in sight until this one's is computed.
        expect(looks).to_have_count(len(shares))
        labels = looks.evaluate_all(
            "buttons => buttons.map(button => button.getAttribute('aria-label'))"
        )
        for label, share in zip(labels, shares, strict=True):
            shown = label.split()[-1]
            if not shown.startswith("<"):
                assert float(shown.rstrip("%")) == pytest.approx(share * 100, rel=0.01, abs=2e-3)
    page.get_by_role("button", name="スコア", exact=True).click()
    rows = page.locator(".scores tbody tr").all_inner_texts()
    scores = output.logits[0, -1].sort(descending=True)
    for row, score in zip(rows, scores.values.tolist(), strict=False):
        assert float(row.split()[-2]) == pytest.approx(score, abs=0.011)
    page.get_by_role("button", name="くじ", exact=True).click()
    one = generate(
        model,
        OPENING,
        SamplingSettings(seed=42, num_return_sequences=1, max_length=20, min_length=0),
    )
    (piece,) = model.tokenizer.convert_ids_to_tokens([one.sequences[0].token_ids[LENGTH]])
    expect(page.locator("#way-stage")).to_contain_text(f"seed = 42 で引くと「{piece}」")
    for name in ("トークン", "ベクトル"):
        page.locator(".way").get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#way-stage")).to_have_attribute("aria-label", name)


# For everyone, everywhere


def test_keyboard_alone(opened):
    page = opened(fragment(seed=42, max_length=30, min_length=0), alone=True)
    first = written(page)

    def go_to(selector: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    go_to("#write")
    page.keyboard.press("Enter")
    expect(page.locator("#texts .card").first).to_contain_text("seed 43")
    assert written(page) != first
    go_to("#top_k")
    page.keyboard.press("ArrowDown")
    expect(box(page, "top_k")).to_have_value("499")
    go_to("#texts .token")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#next h2")).to_contain_text("2 番目")
    go_to("#bars li button")
    page.keyboard.press("Enter")
    until(page, "lab.chosen.length === 2")
    go_to("#more")
    page.keyboard.press("Enter")
    go_to("#share-pane summary")
    page.keyboard.press("Enter")
    expect(page.get_by_label("この状態のリンク", exact=True)).to_be_visible()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_after_the_first_visit_it_opens_without_a_network(opened, address):
    page = opened(fragment(seed=42, max_length=30, min_length=0), alone=True)
    first = written(page)
    until(page, "navigator.serviceWorker?.controller && 1")
    until(page, "caches.keys().then((names) => names.length >= 2)")
    page.context.set_offline(True)
    page.goto("about:blank")
    page.goto(address + fragment(seed=42, max_length=30, min_length=0))
    assert written(page) == first
    page.context.set_offline(False)


WEIGHTS = """caches.open("yukiguni-data").then(async (cache) => {
    const at = (await cache.keys()).find(({ url }) => url.endsWith("model.safetensors"));
    if (!at) return null;
    const whole = await (await cache.match(at)).arrayBuffer();
    if (CUT) await cache.put(at, new Response(whole.slice(0, CUT)));
    return [at.url, whole.byteLength];
})"""


def test_half_a_file_that_the_browser_kept_is_loaded_again(opened):
    page = opened(fragment(seed=42, max_length=30, min_length=0), alone=True)
    first = written(page)
    _, length = until(page, WEIGHTS.replace("CUT", "0"))
    until(page, WEIGHTS.replace("CUT", "1000"))
    page.reload()
    assert written(page) == first
    assert until(page, WEIGHTS.replace("CUT", "0"))[1] == length
    # The words about loading are gone, also for a screen reader.
    expect(page.locator("#progress")).not_to_contain_text("MB")


def test_after_an_update_it_opens_without_a_network_and_lessons_stay(opened, folder, tmp_path):
    """Another model and another page under the same address, as a new publication is."""
    site_here = tmp_path / "site"
    shutil.copytree(folder, site_here)
    (site_here / "lessons").mkdir(exist_ok=True)
    (site_here / "lessons" / "index.html").write_text("<title>lesson</title>", encoding="utf-8")
    running = site.server(0, site_here, host="127.0.0.1")
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    start = f"http://127.0.0.1:{running.server_port}/"
    state = fragment(seed=42, max_length=30, min_length=0)
    try:
        page = opened(state, start=start)
        first = written(page)
        until(page, "navigator.serviceWorker?.controller && 1")
        page.goto(f"{start}lessons/index.html")
        page.goto(start + state)
        old = site.house()["data"]["folder"].rstrip("/")
        (site_here / old).rename(site_here / "data-0123456789")
        for path in site_here.rglob("*"):
            if path.suffix in (".html", ".js") and "data-" not in path.parent.name:
                text = path.read_text(encoding="utf-8")
                version = re.sub(r"yukiguni-\$\{\"\w+", 'yukiguni-${"0123456789', text)
                path.write_text(version.replace(old, "data-0123456789"), encoding="utf-8")
        page.reload()
        until(page, "caches.has('yukiguni-0123456789')")
        # Of the old version nothing is left but the lesson that was read.
        until(page, "caches.keys().then((names) => names.length === 3)")
        assert "data-0123456789" in until(page, WEIGHTS.replace("CUT", "0"))[0]
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
    page.goto("about:blank")
    page.goto(start + state)
    assert written(page) == first
    page.goto(f"{start}lessons/index.html")
    assert page.title() == "lesson"


def test_what_is_not_there_is_not_kept_by_the_browser(address, folder):
    data = site.house()["data"]["folder"]
    with urlopen(f"{address}{data}spiece.model") as answer:
        assert "immutable" in answer.headers["Cache-Control"]
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{address}{data}nothing")
    assert caught.value.headers["Cache-Control"] == "no-store"
    caught.value.close()


def test_opened_by_a_double_click_it_writes_the_same(opened, folder, model):
    page = opened(
        fragment(seed=42, max_length=40, min_length=0), start=(folder / "index.html").as_uri()
    )
    expected = generate(model, OPENING, SamplingSettings(seed=42, max_length=40, min_length=0))
    assert written(page) == [sequence.token_ids for sequence in expected.sequences]
    unfold(page)
    page.locator("#share-pane summary").click()
    expect(page.locator("#share")).to_contain_text("この端末でしか開けません")


def test_fifty_runs_leave_nothing_behind(opened):
    page = opened(fragment(seed=1, max_length=18, min_length=0), alone=True)
    written(page)
    session = page.context.new_cdp_session(page)

    def used() -> tuple[int, int]:
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        return heap, session.send("Memory.getDOMCounters")["nodes"]

    def runs(first: int, last: int) -> None:
        for seed in range(first, last):
            page.evaluate("seed => { lab.set({ seed }); lab.write(); }", seed)
            written(page)

    runs(100, 105)
    heap, nodes = used()
    runs(200, 250)
    heap_after, nodes_after = used()
    assert heap_after - heap < 10e6
    assert nodes_after - nodes < 1000


# The teacher's model


class Classroom(site.Handler):
    """The site beside a server that answers as docs/class-server.md says, with this machine's own model."""

    model: LanguageModel
    broken_after: int | None = None
    broken_times = 1000  # how many streams break off
    broken_text: int | None = None  # of several, the one that breaks off; all do without it
    asked: list[dict[str, Any]]

    def do_GET(self) -> None:
        if self.path == "/class.json":
            offer = Offer("aozora-mini", "", VOCABULARY, POSITIONS, eos_token_id=2)
            self._json(200, offer.for_the_page())
        elif self.path.startswith("/model/"):
            file = BUNDLED_PATH / self.path.rpartition("/")[2]
            self._send(200, "application/octet-stream", file.read_bytes())
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer thekey":
            return self._json(401, {"error": "Unauthorized"})
        # The gate's own check: a page may ask nothing that a class's server refuses.
        offer = Offer("aozora-mini", "", VOCABULARY, POSITIONS, eos_token_id=2)
        fields = checked(body, offer)
        self.asked.append(fields)
        if fields.get("stream"):
            return self._stream(fields)
        choice = {}
        if "prompt_logprobs" in fields:
            choice["prompt_logprobs"] = self._of_prompt(fields)
        logprobs = self._scores(fields["prompt"], fields).log_softmax(-1)
        ids = fields.get("allowed_token_ids") or range(VOCABULARY)
        told = {f"token_id:{i}": logprobs[i].item() for i in ids}
        if "logprobs" in fields:
            choice |= {"token_ids": [0], "logprobs": {"top_logprobs": [told]}}
        self._json(200, {"choices": [choice]})

    def _scores(self, ids: list[int], fields: dict[str, Any]) -> torch.Tensor:
        with torch.no_grad():
            scores = self.model.model(torch.tensor([ids])).logits[0, -1]
        penalty = fields.get("repetition_penalty", 1.0)
        known = torch.tensor(sorted(set(ids)))
        old = scores[known]
        scores[known] = torch.where(old < 0, old * penalty, old / penalty)
        return scores

    def _of_prompt(self, fields: dict[str, Any]) -> list[Any]:
        ids = fields["prompt"]
        with torch.no_grad():
            logprobs = self.model.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        told = [{str(i): {"logprob": logprobs[at, i].item()}} for at, i in enumerate(ids[1:])]
        return [None, *told]

    def _stream(self, fields: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        # In chunks, as vLLM sends it: a browser knows one that was cut off from one that ended.
        self.send_header("Transfer-Encoding", "chunked")
        self.close_connection = True
        self.end_headers()
        ids = list(fields["prompt"])
        for count in range(fields["max_tokens"]):
            breaks = self.broken_text in (None, fields.get("seed", 0) // 100 % 100)
            if breaks and count == self.broken_after and type(self).broken_times:
                type(self).broken_times -= 1
                return
            logprobs = self._scores(ids, fields).log_softmax(-1)
            token = int(logprobs.argmax())
            ids.append(token)
            numbers = {"token_logprobs": [logprobs[token].item()]}
            choice = {"index": 0, "token_ids": [token], "logprobs": numbers}
            self._chunk(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def classroom(folder: Path, model: LanguageModel) -> Iterator[tuple[str, type[Classroom]]]:
    handler = type("Here", (Classroom,), {"model": model, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", handler
    server.shutdown()
    thread.join()
    server.server_close()


def class_address(address: str, **values: Any) -> str:
    return address + fragment(
        **{"max_length": 30, "min_length": 0, "seed": 1, "key": "thekey"} | values
    )


def test_the_teachers_model_is_offered_and_writes(opened, classroom, model):
    address, handler = classroom
    page = opened(start=class_address(address, repetition_penalty=1.5), size=(360, 640))
    choice = page.get_by_role("combobox", name="モデル", exact=True)
    expect(choice).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    written(page)
    choice.select_option("class")
    expect(page.locator("#notices")).to_contain_text("乱数もサーバーのもの")
    until(page, "lab.model.info.kind === 'server' && lab.run?.settings")
    ids = written(page)
    settings = SamplingSettings(
        do_sample=False, max_length=30, min_length=0, repetition_penalty=1.5, num_return_sequences=1
    )
    # This server always takes the most probable token.
    greedy = generate(model, OPENING, settings).sequences[0]
    assert ids == [greedy.token_ids] * 3
    raws = page.evaluate("lab.run.sequences[0].steps.map((s) => s.raw)")
    assert raws == pytest.approx([step.raw for step in greedy.steps], abs=1e-4)
    # The picture's scores are the model's, their signs included: a penalty depends on them.
    logits = page.evaluate("lab.logits(lab.ids()).then((l) => [...l])")
    with torch.no_grad():
        own = model.model(torch.tensor([ids[0][:LENGTH]])).logits[0, -1]
    assert logits == pytest.approx(own.tolist(), abs=2e-3)
    before = len(handler.asked)
    slider(page, "top_k").press("ArrowLeft")
    until(page, "document.querySelector('.zones').textContent.includes('top_k = 400')")
    # A slider asks the server nothing.
    assert len(handler.asked) == before
    unfold(page)
    page.locator("#way-pane summary").click()
    expect(page.locator("#way")).to_contain_text("ここからは見えません")
    choice.select_option("here")
    until(page, "lab.model.info.kind !== 'server'")
    expect(page.locator(".way > button")).to_have_count(5)


def test_the_teachers_link_opened_again_asks_for_the_teachers_model_again(opened, classroom):
    address, _ = classroom
    page = opened(start=class_address(address, model="teacher"))
    choice = page.get_by_role("combobox", name="モデル", exact=True)
    expect(choice).to_have_value("class")
    link = page.url
    choice.select_option("here")
    until(page, "lab.model.info.kind !== 'server' && !location.hash.includes('teacher')")
    page.evaluate("link => { location.href = link }", link)
    expect(choice).to_have_value("class")
    assert page.evaluate("lab.model.info.kind") == "server"
    assert written(page)


def test_the_teachers_server_breaks_off_and_what_was_written_stays(opened, classroom):
    address, handler = classroom
    handler.broken_after = 4
    page = opened(start=class_address(address, model="teacher"))
    expect(page.get_by_role("alert")).to_contain_text("つながりません")
    # Each is tried three times, and what came is kept.
    assert [len(ids) for ids in written(page)] == [LENGTH + 12] * 3
    expect(texts(page).first.locator(".token")).to_have_count(12)
    handler.broken_after = None
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.get_by_role("alert")).to_be_empty()
    assert [len(ids) for ids in written(page)] == [30, 30, 30]


def test_one_text_breaks_off_and_the_others_are_written_to_their_end(opened, classroom):
    address, handler = classroom
    handler.broken_after, handler.broken_text = 1, 1
    page = opened(start=class_address(address, model="teacher"))
    expect(page.get_by_role("alert")).to_contain_text("つながりません")
    assert [len(ids) for ids in written(page)] == [30, LENGTH + 3, 30]


def test_a_text_that_broke_off_is_written_on_and_that_is_said(opened, classroom, model):
    address, handler = classroom
    handler.broken_after, handler.broken_times = 4, 1
    page = opened(start=class_address(address, model="teacher", num_return_sequences=1))
    until(page, "lab.model?.info.kind === 'server'")
    settings = SamplingSettings(do_sample=False, max_length=30, min_length=0)
    (greedy,) = generate(model, OPENING, settings).sequences
    assert written(page) == [greedy.token_ids]
    expect(page.locator("#notices")).to_contain_text("つなぎ直しました")
    expect(page.get_by_role("alert")).to_be_empty()
    streams = [fields for fields in handler.asked if fields.get("stream")]
    assert [len(fields["prompt"]) for fields in streams] == [LENGTH, LENGTH + 4]
    assert [fields["seed"] for fields in streams] == [10_000, 10_001]


def test_the_last_token_of_a_text_that_fills_the_model_has_its_probability(
    opened, classroom, model
):
    address, _ = classroom
    prompt = OPENING * 60
    while len(model.tokenizer.encode(prompt, add_special_tokens=False)) > POSITIONS - 3:
        prompt = prompt[:-1]
    limits = {"max_length": POSITIONS, "num_return_sequences": 1}
    page = opened(start=class_address(address, model="teacher", prompt=prompt, **limits))
    until(page, "lab.model?.info.kind === 'server'")
    (ids,) = written(page)
    assert len(ids) == POSITIONS
    with torch.no_grad():
        likely = model.model(torch.tensor([ids])).logits[0].softmax(-1)
    raws = page.evaluate("lab.run.sequences[0].steps.map((s) => s.raw)")
    expected = [likely[at - 1, ids[at]].item() for at in range(POSITIONS - len(raws), POSITIONS)]
    assert raws == pytest.approx(expected, abs=1e-4)


def test_a_wrong_key_is_told_and_the_page_writes_by_itself(opened, classroom):
    address, _ = classroom
    page = opened(start=class_address(address, key="wrong", model="teacher"))
    expect(page.get_by_role("alert")).to_contain_text("鍵が違います")
    page.get_by_role("combobox", name="モデル", exact=True).select_option("here")
    assert written(page)


def test_a_key_without_a_class_server_is_told(opened, address):
    page = opened(start=class_address(address))
    expect(page.locator("#notices")).to_contain_text("先生のサーバー")
    assert written(page)


# What stays, and what is covered


def test_a_reload_keeps_the_prompt_the_settings_and_the_texts(opened):
    page = opened(fragment(seed=5, max_length=30, min_length=0), alone=True)
    written(page)
    page.get_by_label("prompt", exact=True).fill("雪が降ると、")
    unfold(page)
    box(page, "top_k").fill("7")
    box(page, "top_k").press("Enter")
    page.locator("#view-pane summary").click()
    page.get_by_label("縦書き", exact=True).check()
    page.get_by_role("button", name="続きを書く", exact=True).click()
    until(page, "lab.run.settings.top_k === 7")
    ids = written(page)
    until(page, "location.hash.includes('top_k=7') && location.hash.includes('vertical=1')")
    page.reload()
    assert written(page) == ids
    expect(page.get_by_label("prompt", exact=True)).to_have_value("雪が降ると、")
    expect(box(page, "top_k")).to_have_value("7")
    assert page.evaluate("document.body.classList.contains('vertical')")


def test_a_browser_that_refuses_a_new_address_goes_on_without(opened):
    page = opened(fragment(max_length=20, min_length=0), alone=True)
    written(page)
    page.evaluate("() => { history.replaceState = () => { throw new Error('too often') } }")
    slider(page, "top_k").press("Home")
    page.wait_for_timeout(600)
    page.get_by_role("button", name="続きを書く", exact=True).click()
    until(page, "lab.run.settings.top_k === 0")
    assert written(page)


def test_a_link_that_is_opened_again_shows_its_own_state(opened):
    page = opened(fragment(seed=5, top_k=30, max_length=30, min_length=0), alone=True)
    ids, link = written(page), page.url
    slider(page, "top_k").press("Home")
    page.get_by_label("prompt", exact=True).fill("雪が降ると、")
    address = "decodeURIComponent(location.hash)"
    until(page, f"{address}.includes('雪が降ると、') && {address}.includes('top_k=0')")
    # As a click on it in the same tab.
    page.evaluate("link => { location.href = link }", link)
    expect(box(page, "top_k")).to_have_value("30")
    expect(page.get_by_label("prompt", exact=True)).to_have_value(OPENING)
    assert until(page, f"lab.run.settings.top_k === 30 && {ALL_WRITTEN[7:]}") == ids
    # Back is where the pupil was.
    page.go_back()
    expect(box(page, "top_k")).to_have_value("0")
    expect(page.get_by_label("prompt", exact=True)).to_have_value("雪が降ると、")


@pytest.mark.parametrize("name", ["mask", "vertical", "lang", "key", "model"])
def test_any_field_of_a_link_that_cannot_be_read_is_told_and_the_rest_kept(opened, name):
    page = opened(fragment(top_k=30, max_length=20, min_length=0, **{name: "?!"}))
    expect(page.locator("#notices")).to_contain_text(f"リンクの {name} が読めない")
    assert written(page)
    assert page.evaluate("lab.settings.top_k") == 30


def shown_where(page: Page) -> dict[str, str]:
    """What each pane shows or says, the pieces of tokens without what stands between them."""
    return page.evaluate(
        """() => {
            const said = (part) => [...part.querySelectorAll("*"), part].flatMap((element) =>
                ["aria-label", "title", "alt"].map((name) => element.getAttribute(name) ?? "")).join("\\n");
            const found = {};
            for (const id of ["texts", "chips", "chosen", "bars", "draw-note", "way", "compare", "share"]) {
                const part = document.getElementById(id);
                const boxes = [...part.querySelectorAll("textarea")].map((box) => box.value);
                found[id] = [part.textContent, said(part), ...boxes].join("\\n");
            }
            const joined = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent).join("");
            for (const selector of ["#chips .chip > span", "#chosen .chip > span", ".looks .word", "#way-stage .chip > span", ".row-labels span"]) {
                found[selector] = joined(selector);
            }
            found.title = document.title;
            return found;
        }"""
    )


def test_with_the_switch_on_no_pane_copy_or_picture_shows_a_listed_word(opened):
    page = opened(
        fragment(prompt="国境の長い", seed=42, max_length=30, min_length=0, num_return_sequences=2),
        alone=True,
        permissions=["clipboard-read", "clipboard-write"],
    )
    written(page)
    unfold_all(page)
    page.get_by_role("button", name="1 トークン進める", exact=True).click()
    expect(page.locator("#chosen .chip")).to_have_count(1)
    page.get_by_role("button", name="続きを書く", exact=True).click()
    written(page)
    page.get_by_role("button", name="比べる", exact=True).click()
    expect(page.locator("#compare [role=status]")).to_contain_text("最初の違い")
    page.get_by_role("button", name="100 回引く", exact=True).click()
    pieces = page.evaluate("lab.run.sequences[0].tokenIds.map((id) => lab.model.piece(id))")
    start = page.evaluate("lab.run.promptIds.length")
    first = page.evaluate("lab.model.piece(lab.chosen[0])")
    candidate = page.locator(".bars .piece").first.inner_text()
    across = next(
        pieces[i][-1] + pieces[i + 1][0]
        for i in range(start, len(pieces) - 1)
        if JAPANESE.match(pieces[i][-1]) and JAPANESE.match(pieces[i + 1][0])
    )
    verdict = page.locator("#compare [role=status]").inner_text()
    ids = page.evaluate("lab.ids()")
    before = page.evaluate("ids => lab.model.decode(ids)", ids)
    # Typed; over the end of what was typed; over two written tokens; the end of the text and a token that may come next;
    # what compare says of one of its texts.
    words = ["国境", "い" + first[0], across, before[-1] + candidate]
    words.append(re.search("A は「(.+)」、B", verdict).group(1))
    uncovered = shown_where(page)
    assert words[0] in uncovered["texts"] and words[0] in uncovered["share"]
    page.evaluate(
        "words => house.masked.push(...words.map((word) => ({ word, innocent: [] })))", words
    )
    page.get_by_label("伏せ字", exact=True).check()
    expect(page.locator("#texts .masked").first).to_be_visible()
    expect(page.locator("#way")).to_contain_text("××")
    expect(page.locator(".bars .piece").first).to_have_text("×" * len(candidate))
    assert f"「{candidate}」" not in page.locator("#draw-note").inner_text()
    for stage in ("tokens", "vectors", "scores", "lottery", "attention"):
        page.locator(f"#way-{stage}").click()
        for place, text in shown_where(page).items():
            assert [word for word in words if word in text] == [], (stage, place)
        if stage == "scores":
            expect(page.locator(".scores tbody th").first).to_have_text("×" * len(candidate))
    veil = "box => getComputedStyle(box).webkitTextSecurity"
    prompt = page.get_by_label("prompt", exact=True)
    assert prompt.evaluate(veil) == "disc"
    prompt.focus()
    assert prompt.evaluate(veil) == "none"
    # The code still has the prompt.
    code = page.get_by_label("ノートブックに貼るセル", exact=True).input_value()
    assert before in [eval(quoted) for quoted in re.findall(r'"[^"\n]*"', code)]
    page.evaluate(
        """() => {
            globalThis.drawn = "";
            const { fillText } = CanvasRenderingContext2D.prototype;
            CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
                drawn += text;
                fillText.call(this, text, ...place);
            };
        }"""
    )
    page.get_by_role("button", name="画像", exact=True).first.click()
    expect(page.locator("#notices")).to_contain_text("保存しました")
    page.get_by_role("button", name="コピー", exact=True).first.click()
    expect(page.locator("#notices")).to_contain_text("コピーしました")
    for text in (page.evaluate("drawn"), page.evaluate("navigator.clipboard.readText()")):
        assert "××の" in text
        assert [word for word in words if word in text] == []
    # A picked token's place, and what is said of it.
    texts(page).first.locator(".token:not(.masked)").last.click()
    expect(page.locator("#next h2")).to_be_visible()
    assert [word for word in words if word in shown_where(page)["bars"]] == []


def test_the_page_finds_the_words_that_python_finds(opened):
    page = opened(fragment(max_length=20, min_length=0, mask=1))
    written(page)
    unfold(page)
    cases = [
        f"{''.join(innocent[:3])}と{word}、{word}{word}。{word}{''.join(innocent[-1:])}"
        for word, innocent in masking.words_to_mask().items()
    ]
    for start in range(0, len(cases), 5):
        text = "".join(cases[start : start + 5])
        page.get_by_label("prompt", exact=True).fill(text)
        until(page, f"lab.prompt === {json.dumps(text)} && 1")
        chips = page.locator("#chips .chip > span").all_text_contents()
        assert "".join(chips).replace("▁", "") == masking.mask_words(text)


def test_a_tap_shows_a_covered_word_in_its_text_only(opened):
    page = opened(
        fragment(seed=42, max_length=30, min_length=0, mask=1, num_return_sequences=2), alone=True
    )
    written(page)
    page.evaluate("house.masked.push({ word: '国境', innocent: [] }); lab.tell('mask')")
    one, two = (text.locator(".start") for text in texts(page).all())
    expect(one).to_contain_text("××の長い")
    one.focus()
    page.keyboard.press("Enter")
    expect(one).to_contain_text("国境の長い")
    expect(one).not_to_have_attribute("role", "button")
    assert "国境" not in two.inner_text()


# Hands, eyes and paper


def test_a_guess_that_is_none_is_told_and_stays(opened):
    page = opened(fragment(max_length=20, min_length=0))
    written(page)
    unfold(page)
    guess = page.get_by_label("予想: 1 位は何回？", exact=True)
    note = page.locator("#draw-note")
    for typed in ("", "たぶん 30", "101", "2.5"):
        guess.fill(typed)
        page.get_by_role("button", name="100 回引く", exact=True).click()
        expect(note).to_contain_text(f"予想「{typed or '（空）'}」は使えません。0 以上 100 以下")
        expect(guess).to_have_value(typed)
        expect(guess).to_have_attribute("aria-invalid", "true")
        assert page.locator(".bars .seen").count() == 0
    guess.fill("３０")
    page.get_by_role("button", name="100 回引く", exact=True).click()
    expect(note).to_contain_text("予想 30 回")
    expect(guess).to_have_value("３０")
    expect(guess).to_have_attribute("aria-invalid", "false")


def test_no_press_takes_the_focus_away(opened):
    page = opened(fragment(max_length=500, min_length=500, top_k="x"), alone=True)
    focused = "document.activeElement.id || document.activeElement.tagName"
    page.locator("#notices").get_by_role("button", name="閉じる", exact=True).press("Enter")
    assert page.evaluate(focused) == "write"
    until(page, "globalThis.lab?.run?.sequences[0].steps.length > 3")
    page.get_by_role("button", name="停止", exact=True).press("Enter")
    written(page)
    expect(page.get_by_role("button", name="停止", exact=True)).to_be_disabled()
    assert page.evaluate(focused) == "write"
    texts(page).first.locator(".token").nth(1).click()
    page.get_by_role("button", name="書き出しに戻る", exact=True).press("Enter")
    expect(page.locator("#next h2")).to_have_text("次のトークンの確率")
    assert page.evaluate("document.activeElement.matches('#bars li:first-child button')")
    unfold(page)
    page.get_by_role("button", name="1 トークン進める", exact=True).click()
    back = page.get_by_role("button", name="戻る", exact=True)
    expect(back).to_be_enabled()
    back.press("Enter")
    expect(back).to_be_disabled()
    assert page.evaluate(focused) == "step"


def test_a_double_press_writes_one_text(opened):
    page = opened(fragment(seed=5, max_length=200, min_length=200), alone=True)
    written(page)
    page.evaluate("globalThis.begun = 0; lab.on('run', () => begun++)")
    page.get_by_role("button", name="続きを書く", exact=True).dblclick()
    written(page)
    assert page.evaluate("[begun, lab.run.settings.seed]") == [1, 6]
    assert page.evaluate("lab.run.sequences.every((s) => s.stopped !== 'user')")


def test_comparing_again_while_it_compares_mixes_nothing(opened):
    page = opened(fragment(seed=42, max_length=20, min_length=0), alone=True)
    written(page)
    unfold(page)
    page.locator("#compare-pane summary").click()
    # Long enough to be interrupted.
    page.evaluate("lab.set({ max_length: 200, min_length: 200 })")
    for name in "AB":
        page.get_by_role("button", name=f"今の設定を {name} にする", exact=True).click()
        page.evaluate("lab.set({ top_k: 20, top_p: 0.8 })")
    page.get_by_role("button", name="比べる", exact=True).click()
    verdict = page.locator("#compare [role=status]")
    expect(verdict).to_contain_text("最初の違い")
    alone = verdict.inner_text()
    page.evaluate(
        """() => {
            globalThis.said = [];
            const verdict = document.querySelector("#compare [role=status]");
            const tell = () => said.push([verdict.textContent, document.querySelectorAll("#compare .token").length]);
            new MutationObserver(tell).observe(verdict, { childList: true });
        }"""
    )
    page.get_by_role("button", name="比べる", exact=True).click()
    until(page, "document.querySelectorAll('#compare .token').length > 4")
    page.get_by_role("button", name="比べる", exact=True).click()
    until(page, "said.some(([words]) => words.includes('最初の違い'))")
    # Said once, of whole texts.
    assert [told for told in page.evaluate("said") if told[0]] == [[alone, 2 * (200 - LENGTH)]]


CUT_OFF = """() => {
    const wide = document.documentElement.clientWidth, found = [];
    if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
    const place = (selector) => document.querySelector(selector).getBoundingClientRect();
    const scrolls = (element) => element && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    for (const element of document.querySelectorAll("button, input, select, summary, label, h1, h2, p, .percent")) {
        const { left, right, width } = element.getBoundingClientRect();
        if (width > 1 && (left < -1 || right > wide + 1) && !scrolls(element)) found.push(`cut off: ${element.outerHTML.slice(0, 60)}`);
        if (element.tagName === "BUTTON" && element.scrollHeight > element.clientHeight + 2) found.push(`too small: ${element.outerHTML.slice(0, 60)}`);
    }
    const parts = ["header", "#writing", "#texts-section", "#next", "#steer", "footer"];
    for (const [i, one] of parts.entries()) for (const other of parts.slice(i + 1)) {
        const a = place(one), b = place(other);
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 2) found.push(`${one} lies on ${other}`);
    }
    for (const part of parts) {
        const { scrollHeight, clientHeight } = document.querySelector(part);
        if (scrollHeight > clientHeight + 2) found.push(`${part} is too low`);
    }
    for (const text of document.querySelectorAll("#texts .text")) if (text.clientHeight < 50) found.push("no room for a text");
    return found;
}"""


@pytest.mark.parametrize(
    ("width", "height", "letters"),
    [
        (360, 640, 24),
        (360, 800, 32),
        (768, 1024, 32),
        (1366, 768, 32),
        # A browser's zoom: fewer pixels.
        (683, 384, 16),
        (320, 256, 16),
    ],
)
def test_large_letters_and_zoom_cut_nothing_off(opened, width, height, letters):
    page = opened(fragment(max_length=40, min_length=0), size=(width, height))
    written(page)
    page.evaluate("size => { document.documentElement.style.fontSize = size }", f"{letters}px")
    try:
        assert page.evaluate(CUT_OFF) == []
        unfold_all(page)
        expect(page.locator(".way > button")).to_have_count(5)
        page.get_by_role("button", name="100 回引く", exact=True).click()
        expect(page.locator(".bars .others")).to_be_visible()
        assert page.evaluate(CUT_OFF) == []
    finally:
        page.evaluate("document.documentElement.style.fontSize = ''")


@pytest.mark.parametrize(
    "size", [(360, 640), (412, 915), (768, 1024), (1024, 768), (1366, 768)], ids=str
)
def test_what_a_finger_presses_is_large_enough_and_the_first_screen_has_all(opened, size):
    page = opened(fragment(max_length=40, min_length=0), size=size, has_touch=True)
    written(page)
    until(page, "document.querySelectorAll('.bars li').length")
    width, height = size
    for name in ("#prompt", "#write", "#texts .card", "#bars", "[data-setting=top_p]"):
        place = page.locator(name).first.bounding_box()
        assert place["y"] + place["height"] <= height, name
        assert place["x"] + place["width"] <= width, name
    unfold_all(page)
    expect(page.locator(".way > button")).to_have_count(5)
    small = page.evaluate(
        """() => {
            const low = (selector, least) => [...document.querySelectorAll(selector)].filter((element) => {
                const { width, height } = element.getBoundingClientRect();
                return width && Math.min(height, width) < least - 0.5;
            }).map((element) => element.outerHTML.slice(0, 80));
            const named = "label:has(input[type=checkbox])";
            const shown = "button, select, summary, input:not([type=checkbox]), textarea, header a";
            const lines = [...document.querySelectorAll(".text .token")].filter((token) => token.getBoundingClientRect().height < 24);
            return [...low(shown, 44), ...low(named, 44), ...lines.map((token) => token.textContent)];
        }"""
    )
    assert small == []
    assert page.evaluate("getComputedStyle(document.documentElement).touchAction") == "manipulation"


def test_on_paper_the_texts_are_whole_and_the_bars_have_their_colours(opened):
    page = opened(fragment(seed=42, max_length=200, min_length=200), size=(360, 640), alone=True)
    written(page)
    page.get_by_role("button", name="English", exact=True).click()
    for state in ("folded", "unfolded", "vertical"):
        page.emulate_media(media="print", color_scheme="dark")
        cropped = page.evaluate(
            """() => [...document.querySelectorAll("#texts, #texts .card, #texts .text, #texts-section, #next, main")]
                .filter((part) => part.scrollHeight > part.clientHeight + 2 || part.scrollWidth > part.clientWidth + 2)
                .map((part) => part.id || part.className || part.tagName)"""
        )
        assert cropped == [], state
        parts = [text.bounding_box() for text in texts(page).all()]
        assert all(part["height"] > 200 for part in parts)
        expect(page.locator(".bars li").first).to_be_visible()
        expect(page.locator("#write")).to_be_hidden()
        for part in (".bars .raw", ".bars .final", "#texts .token"):
            kept = "part => getComputedStyle(part).printColorAdjust ?? 'exact'"
            assert page.locator(part).first.evaluate(kept) == "exact"
        # Dark letters on white paper, whatever the screen's theme is.
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 31, 34)"
        page.emulate_media(media="screen", color_scheme="light")
        if state == "folded":
            unfold_all(page)
        page.evaluate("document.getElementById('vertical').click()")


# Loading, and what may go wrong with it


REFUSALS = {
    "no caches": "Object.defineProperty(globalThis, 'caches', { value: undefined })",
    "caches that may not be touched": (
        "Object.defineProperty(globalThis, 'caches', { get() { throw new DOMException('', 'SecurityError'); } })"
    ),
    "a full disk": "Cache.prototype.put = async () => { throw new DOMException('', 'QuotaExceededError'); }",
    "a kept file that cannot be read": (
        "Cache.prototype.match = async () => new Response("
        "new ReadableStream({ start: (stream) => stream.error(new TypeError('unreadable')) }))"
    ),
    "no service worker": (
        "Object.defineProperty(Navigator.prototype, 'serviceWorker',"
        " { get() { throw new DOMException('', 'SecurityError'); } })"
    ),
    "a worker that does not start": (
        "const Own = Worker; globalThis.Worker = class extends Own { constructor() { super('nowhere.js'); } }"
    ),
    "neither workers nor WebAssembly": "delete globalThis.Worker; delete globalThis.WebAssembly",
}


def first_visit(opened: Visits, start: str, script: str = "") -> Page:
    """A page of its own, in which a script runs before the page's own; other than `opened` it waits for nothing."""
    page = opened._new_page((1366, 768), start=start)
    opened.alone.append(page.context)
    page.add_init_script(script)
    page.goto(start, wait_until="commit")
    return page


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_what_a_browser_refuses_does_not_keep_the_page_from_writing(
    opened, address, model, refusal
):
    settings = SamplingSettings(seed=42, max_length=30, min_length=0)
    page = first_visit(opened, address + fragment(**vars(settings)), refusal)
    expected = generate(model, OPENING, settings).sequences
    assert written(page) == [sequence.token_ids for sequence in expected]


class Faulty(site.Handler):
    """The site from a server that does not send the weights as it should."""

    fault = ""
    may_send: threading.Event

    def do_GET(self) -> None:
        if not self.path.partition("?")[0].endswith(("model.safetensors", "model.safetensors.js")):
            return super().do_GET()
        self.may_send.wait(PATIENCE / 1000)
        if self.fault == "missing":
            return self.send_error(404)
        if not self.fault:
            return super().do_GET()
        content = (BUNDLED_PATH / "model.safetensors").read_bytes()
        self.send_response(200)
        # Without its length half a file looks like a whole one.
        if self.fault == "gone half-way":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])


@pytest.fixture
def faulty(folder: Path) -> Iterator[tuple[str, type[Faulty]]]:
    handler = type("Here", (Faulty,), {"may_send": threading.Event()})
    handler.may_send.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", handler
    handler.may_send.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("missing", "ネットワークを確かめて"),
        ("gone half-way", "ネットワークを確かめて"),
        ("half", "壊れています（model.safetensors）"),
    ],
)
def test_weights_that_do_not_come_are_told_not_kept_and_come_another_time(
    opened, faulty, fault, told
):
    address, handler = faulty
    handler.fault = fault
    page = first_visit(opened, address + fragment(max_length=40, min_length=0))
    expect(page.locator("#progress")).to_contain_text(told)
    kept = "caches.open('yukiguni-data').then((cache) => cache.keys()).then((keys) => keys.map(({ url }) => url))"
    assert not any(url.endswith("model.safetensors") for url in page.evaluate(kept))
    page.get_by_label("prompt", exact=True).fill("山の中に")
    page.get_by_label("prompt", exact=True).blur()
    until(page, "decodeURIComponent(location.hash).includes('山の中に')")
    handler.fault = ""
    page.get_by_role("button", name="もう一度読み込む", exact=True).click()
    written(page)
    expect(texts(page).first).to_contain_text("山の中に")


def test_a_page_whose_script_does_not_come_says_what_to_do(opened, folder, tmp_path):
    here = tmp_path / "site"
    shutil.copytree(folder, here)
    for script in here.glob("page-*.js"):
        script.unlink()
    with site.server(0, here, "127.0.0.1") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = first_visit(opened, f"http://127.0.0.1:{server.server_port}/")
        expect(page.locator("#progress")).to_be_visible()
        expect(page.locator("#progress")).to_contain_text("読み込み直してください")
        expect(page.locator("#progress")).to_contain_text("reload the page")
        server.shutdown()


def test_what_is_typed_and_pressed_while_the_model_loads_is_done_once_it_is_there(opened, faulty):
    address, handler = faulty
    handler.may_send.clear()
    page = first_visit(opened, address + fragment(max_length=40, min_length=0, seed=7))
    expect(page.locator("#progress")).to_contain_text("読み込んでいます")
    prompt = page.get_by_label("prompt", exact=True)
    prompt.fill("山の中に")
    slider(page, "top_k").press("ArrowLeft")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    prompt.press("Control+Enter")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")
    handler.may_send.set()
    written(page)
    expect(texts(page).first).to_contain_text("山の中に")
    assert page.evaluate("[lab.run.settings.top_k, lab.run.settings.seed]") == [400, 7]


def test_too_little_memory_is_told_as_that(opened, address):
    script = "ReadableStreamDefaultReader.prototype.read = async () => { throw new RangeError('no memory'); }"
    page = first_visit(opened, address + fragment(), script)
    expect(page.locator("#progress")).to_contain_text("計算が止まりました（no memory）")
    expect(page.get_by_role("button", name="もう一度読み込む", exact=True)).to_be_visible()
    # The console has it too.
    assert set(opened.faults) == {"no memory"}
    opened.faults.clear()


def test_a_lesson_opens_though_the_disk_is_full(opened, folder, tmp_path):
    here = tmp_path / "site"
    shutil.copytree(folder, here)
    (here / "lessons").mkdir(exist_ok=True)
    (here / "lessons" / "index.html").write_text("<title>lesson</title>", encoding="utf-8")
    worker = here / "service-worker.js"
    full = (
        "Cache.prototype.put = async () => { throw new DOMException('', 'QuotaExceededError'); };\n"
    )
    worker.write_text(full + worker.read_text(encoding="utf-8"), encoding="utf-8")
    with site.server(0, here, "127.0.0.1") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        start = f"http://127.0.0.1:{server.server_port}/"
        page = first_visit(opened, start)
        until(page, "navigator.serviceWorker?.controller && 1")
        page.goto(f"{start}lessons/index.html")
        assert page.title() == "lesson"
        server.shutdown()
