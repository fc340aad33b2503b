"""Listed words are covered, wherever the page shows or says them."""

import json
import re

import pytest
from playwright.sync_api import Page, expect
from site_pages import JAPANESE, fragment, texts, unfold, unfold_all, until, written

from helpers import masking

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


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


def test_a_word_in_half_width_letters_is_covered_in_the_prompts_box(opened):
    page = opened(fragment(prompt="ﾄﾝﾈﾙの先", max_length=20, min_length=0, mask=1), alone=True)
    written(page)
    box = page.get_by_label("prompt", exact=True)
    expect(box).not_to_have_class("veiled")
    page.evaluate("house.masked.push({ word: 'トンネル', innocent: [] }); lab.tell('mask')")
    expect(box).to_have_class("veiled")
    expect(texts(page).first).to_contain_text("××××の先")
