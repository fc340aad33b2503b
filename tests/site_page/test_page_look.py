"""What the page looks like: first screens, both languages, keyboard, fingers, large letters, paper."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from site_pages import (
    JAPANESE,
    OPENING,
    box,
    fragment,
    slider,
    texts,
    unfold,
    unfold_all,
    until,
    written,
)

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


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
    for scheme in ("dark", "light") if language == "ja-JP" else ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += serious(page)
    # Each in one of the two: what they look like depends on no language.
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
    page = opened(fragment(seed=42, max_length=140, min_length=140), size=(360, 640), alone=True)
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
