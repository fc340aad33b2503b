"""What a reader takes away or hands in: links, QR codes, code, copies, pictures."""

import io
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect
from site_pages import (
    ALL_WRITTEN,
    LENGTH,
    OPENING,
    box,
    fragment,
    slider,
    texts,
    unfold,
    until,
    written,
)

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


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


def test_a_broken_link_is_told_in_the_links_own_language(opened):
    page = opened(fragment(max_length=20, min_length=0, top_k="many", lang="en"))
    expect(page.locator("#notices")).to_contain_text("top_k in the link cannot be read")
    page.get_by_role("button", name="日本語", exact=True).click()


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
    assert until(page, f"lab.run.settings.top_k === 30 && {ALL_WRITTEN}") == ids
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
