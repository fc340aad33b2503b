"""The lab's page in Chromium, Firefox and WebKit, as a pupil meets it: the texts, the bars, each control.

The oracles are the Python side: `helpers.sampling`, sentencepiece's own ids through `helpers.tokenizer`.
"""

import re

import pytest
import torch
from lab_oracle import Percent
from playwright.sync_api import Page, expect
from site_browsers import open_browser
from site_pages import (
    ALL_WRITTEN,
    CONFIG,
    LENGTH,
    OPENING,
    POSITIONS,
    VOCABULARY,
    box,
    fragment,
    slider,
    texts,
    unfold,
    unfold_all,
    until,
    written,
)

from helpers.sampling import SamplingSettings, generate, next_token_distribution

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


def kept(page: Page) -> int:
    """How many tokens the picture says are kept."""
    words = page.locator(".zones li").first.inner_text()
    return int(re.search(r": ([\d,]+)", words).group(1).replace(",", ""))


def test_the_zones_shares_have_one_number_of_decimals(opened):
    page = opened(fragment(top_k=500, top_p=0.95))
    until(page, "document.querySelectorAll('.zones li').length > 2")
    shares = re.findall(r"[\d.]+%", page.locator(".zones").inner_text())
    assert len({len(share.partition(".")[2]) for share in shares}) == 1


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
        assert browser.wait_for(f"return {ALL_WRITTEN}") == expected
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
        assert browser.wait_for(f"return {ALL_WRITTEN}") == expected
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


def test_stop_ends_with_what_was_written_and_the_page_answers_meanwhile(opened):
    page = opened(fragment(max_length=500, min_length=500, num_return_sequences=8), alone=True)
    until(page, "globalThis.lab?.run?.sequences[0].steps.length > 3")
    # The page as slow as an old tablet's, the worker that writes as it is: texts grow faster than they can be drawn.
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    until(page, "lab.run.sequences[0].steps.length > 20")
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
    page = opened(fragment(seed=42, num_return_sequences=1))
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


def test_a_double_press_writes_one_text(opened):
    page = opened(
        fragment(seed=5, max_length=120, min_length=120, num_return_sequences=2), alone=True
    )
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
    page.evaluate("lab.set({ max_length: 140, min_length: 140 })")
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
    assert [told for told in page.evaluate("said") if told[0]] == [[alone, 2 * (140 - LENGTH)]]
