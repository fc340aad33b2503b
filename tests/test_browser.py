"""The sampling lab in a real browser on a real JupyterLab: `python -m pytest tests/test_browser.py`.

Pictures of what was seen are left in test-results/. LAB_PYTHON names the Python that runs JupyterLab and the
kernel, if it is not this one: one with ipywidgets 7.7.1, ipykernel 6.17.1 and jupyterlab_widgets 1.1.11 is
Google Colab's stack.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from lab_browser import (
    ROOT,
    cells_for,
    command,
    jupyter,
    number_box,
    open_notebook,
    picture_rows,
    run_all,
    slider,
    type_number,
    write_notebook,
)
from lab_oracle import Percent, distribution_by_hand
from playwright.sync_api import Locator, Page, expect

from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate, generate_arguments
from helpers.session import nearest, top_k_scale
from tools.lessons import build

OPENING = "国境の長いトンネルを抜けると雪国であった。"
LESSON = "03_generate.ipynb"
# A machine that is busy with other things may take long: that alone is no fault.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jupyter")
    # Of the lesson, what the lab stands on: running all of it is for the tests of the notebooks.
    lesson = build(ROOT / "lessons" / "03_generate.py", "ja")
    write_notebook(folder / LESSON, *cells_for(lesson, "SamplingLab("))
    with jupyter(folder, os.environ.get("LAB_PYTHON", sys.executable)) as address:
        yield address


@pytest.fixture(scope="module")
def lm():
    return load_model("aozora-mini", device="cpu")


@pytest.fixture(scope="module")
def artefacts() -> Path:
    folder = ROOT / "test-results"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def browser_context_args(browser_context_args):
    return {**browser_context_args, "viewport": {"width": 1280, "height": 1600}}


@pytest.fixture
def page(page: Page):
    """A page on which an error in the console fails the test."""
    errors = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


# Findings that are ipywidgets' own: it gives the handles of its sliders no name. The number box beside each
# slider has one, and is the way for a screen reader.
FINDINGS_OF_IPYWIDGETS = {"aria-input-field-name"}


def serious_findings(page: Page) -> list[str]:
    """What axe finds wrong with the lab's output, serious or critical, and not ipywidgets' own doing."""
    found = Axe().run(page, context=".jp-OutputArea").response["violations"]
    return [
        f"{finding['id']}: {finding['nodes'][0]['html']}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        and finding["id"] not in FINDINGS_OF_IPYWIDGETS
    ]


def lab_output(page: Page) -> Locator:
    """The output that the lab is in."""
    return page.locator(".jp-OutputArea-output", has=page.get_by_label("prompt", exact=True))


def expected_rows(lm, top: int = 20, **settings) -> list[list]:
    """The picture's rows after the opening line: token, bar, model, drawn with, zone, id."""
    ids = lm.tokenizer.encode(OPENING, add_special_tokens=False, return_tensors="pt")
    logits = lm.model(ids).logits[0, -1].detach().numpy()
    by_hand = distribution_by_hand(
        logits,
        **{"top_k": 500, "top_p": 0.95, "prompt_ids": ids[0].tolist(), **settings},
    )
    zones = {None: "残る", "top_k": "✂ top_k", "top_p": "✂ top_p", "min_length": "✂ min_length"}
    return [
        [
            lm.tokenizer.convert_ids_to_tokens(token_id),
            "",
            Percent(by_hand.raw[token_id]),
            Percent(by_hand.final[token_id]),
            zones[by_hand.cut_by[token_id]],
            str(token_id),
        ]
        for token_id in (-by_hand.raw).argsort()[:top].tolist()
    ]


def expect_rows(page: Page, rows: list[list]) -> None:
    """Wait until the picture shows these rows, and tell the difference if it never does."""
    for _ in range(200):
        shown = picture_rows(page)[: len(rows)]
        if shown == rows:
            return
        page.wait_for_timeout(100)
    assert shown == rows


def expect_texts(page: Page, lm, all_ids: list[list[int]]) -> None:
    """Wait until the lab shows these texts, tokens as pieces; what pads a text behind its end is left out."""
    end = lm.tokenizer.eos_token_id
    for ids in all_ids:
        whole = ids[: ids.index(end) + 1] if end in ids else ids
        text = "".join(lm.tokenizer.convert_ids_to_tokens(whole)).replace("▁", " ").strip()
        expect(lab_output(page)).to_contain_text(text)


def test_each_control_moves_the_picture_to_the_values_worked_out_by_hand(
    page, address, lm, artefacts
):
    open_notebook(page, address, LESSON)
    run_all(page)
    expect(page.get_by_label("prompt", exact=True)).to_have_value(OPENING)
    end = {"forbidden": lm.tokenizer.eos_token_id}
    expect_rows(page, expected_rows(lm, **end))
    page.screenshot(path=artefacts / "lab-start.png")

    scale = top_k_scale(lm.model.config.vocab_size)
    next_k = scale[nearest(scale, 500) + 1]
    slider(page, "top_k").press("ArrowRight")
    expect(number_box(page, "top_k")).to_have_value(str(next_k))
    expect_rows(page, expected_rows(lm, top_k=next_k, **end))
    type_number(page, "top_k", 7)
    expect_rows(page, expected_rows(lm, top_k=7, **end))

    slider(page, "top_p").press("ArrowLeft")
    expect(number_box(page, "top_p")).to_have_value("0.94")
    type_number(page, "top_p", 0.5)
    expect_rows(page, expected_rows(lm, top_k=7, top_p=0.5, **end))

    slider(page, "temperature").press("ArrowRight")
    expect(number_box(page, "temperature")).to_have_value("1.05")
    type_number(page, "temperature", 2)
    expect_rows(page, expected_rows(lm, top_k=7, top_p=0.5, temperature=2.0, **end))

    slider(page, "repetition_penalty").press("ArrowRight")
    expect(number_box(page, "repetition_penalty")).to_have_value("1.05")
    type_number(page, "repetition_penalty", 1.5)
    all_four = {"top_k": 7, "top_p": 0.5, "temperature": 2.0, "repetition_penalty": 1.5}
    expect_rows(page, expected_rows(lm, **all_four, **end))

    type_number(page, "min_length", 0)
    expect_rows(page, expected_rows(lm, **all_four))
    for name, value in (("min_length", "1"), ("max_length", "101"), ("seed", "1")):
        slider(page, name).press("ArrowRight")
        expect(number_box(page, name)).to_have_value(value)
    slider(page, "num_return_sequences").press("ArrowLeft")
    expect(number_box(page, "num_return_sequences")).to_have_value("2")

    page.get_by_role("button", name="記事の設定").click()
    for name, value in (("top_k", "500"), ("top_p", "0.95"), ("num_return_sequences", "3")):
        expect(number_box(page, name)).to_have_value(value)
    expect_rows(page, expected_rows(lm, **end))


def test_generate_stop_and_reload(page, address, lm, artefacts):
    open_notebook(page, address, LESSON)
    run_all(page)
    button, stop = (page.get_by_role("button", name=name, exact=True) for name in ("生成", "停止"))
    output = lab_output(page)

    type_number(page, "max_length", 512)
    type_number(page, "min_length", 512)
    button.click()
    expect(output).to_contain_text("毎秒")
    stop.click()
    expect(button).to_be_enabled()
    expect(output).to_contain_text("停止")
    assert page.locator("text=/トークン、停止/").count() == 3
    page.screenshot(path=artefacts / "lab-stopped.png")

    page.get_by_role("button", name="記事の設定").click()
    type_number(page, "max_length", 30)
    type_number(page, "min_length", 0)
    settings = SamplingSettings(min_length=0, max_length=30, seed=0)
    button.click()
    sequences = generate(lm, OPENING, settings).sequences
    expect_texts(page, lm, [sequence.token_ids for sequence in sequences])
    expect(button).to_be_enabled()

    prompt = page.get_by_label("prompt", exact=True)
    prompt.fill("")
    expect(page.get_by_role("alert")).to_contain_text("prompt が空です")
    prompt.fill("山の中に<b>𠮷")
    expect(output).to_contain_text("未知")
    expect(page.get_by_role("alert")).to_have_count(0)

    command(page, "docmanager:save")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    expect(page.get_by_label("prompt", exact=True)).to_have_value("山の中に<b>𠮷")
    page.get_by_label("prompt", exact=True).fill(OPENING)
    type_number(page, "top_k", 9)
    expect_rows(page, expected_rows(lm, top_k=9))
    button.click()
    oracle = generate(lm, OPENING, replace(settings, top_k=9)).sequences[0]
    expect(output).to_contain_text(oracle.text[-8:])
    page.screenshot(path=artefacts / "lab-reloaded.png")


def test_panes_steps_and_draws(page, address, lm, artefacts):
    open_notebook(page, address, LESSON)
    run_all(page)
    output = lab_output(page)

    def press(name: str) -> None:
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_enabled()
        button.press("Enter")

    type_number(page, "max_length", 24)
    type_number(page, "min_length", 0)
    settings = SamplingSettings(min_length=0, max_length=24, seed=0)
    press("1 トークン進める")
    first = generate(lm, OPENING, replace(settings, num_return_sequences=1)).sequences[0].steps[0]
    expect(output).to_contain_text("選んだトークン 1 個")
    expect(output.locator("sub", has_text=re.compile(f"^{first.token_id}$")).last).to_be_visible()
    press("戻る")
    expect(output).not_to_contain_text("選んだトークン")

    page.get_by_label("予想: 1 位は何回？").fill("20")
    page.get_by_label("予想: 1 位は何回？").press("Enter")
    press("100 回引く")
    expect(output).to_contain_text("予想 20 回")
    expect(output).to_contain_text("期待 → 実際")

    press("生成")
    texts = generate(lm, OPENING, settings).sequences
    expect_texts(page, lm, [sequence.token_ids for sequence in texts])
    expect(output).to_contain_text("で終わり")

    # Another token in the place of the third new one, and on from there.
    type_number(page, "何番目", 3)
    first = texts[0]
    start = torch.tensor([first.token_ids[: len(first.token_ids) - len(first.steps) + 2]])
    candidates = lm.model(start).logits[0, -1].argsort(descending=True)[:10].tolist()
    options = page.get_by_label("候補").locator("option")
    pieces = lm.tokenizer.convert_ids_to_tokens(candidates)
    expect(options).to_have_text([re.compile("^" + re.escape(piece)) for piece in pieces])
    page.get_by_label("候補").select_option(index=4)
    press("このトークンで続ける")
    expect(output).to_contain_text("選んだトークン 3 個")
    start = torch.cat([start, torch.tensor([candidates[4:5]])], dim=1)
    torch.manual_seed(0)
    arguments = generate_arguments(lm, settings)
    written = lm.model.generate(start, attention_mask=torch.ones_like(start), **arguments)
    expect_texts(page, lm, written.tolist())
    assert serious_findings(page) == []

    press("2 つの設定を比べる")
    press("戻る")
    expect(output).not_to_contain_text("選んだトークン")
    press("今の設定を A にする")
    type_number(page, "temperature", 3)
    press("今の設定を B にする")
    press("比べる")
    expect(output).to_contain_text("最初の違い")
    assert serious_findings(page) == []
    page.screenshot(path=artefacts / "lab-compare.png")

    press("縦書きと文字")
    expect(output).to_contain_text("1 トークンの文字数")
    assert serious_findings(page) == []

    press("記録")
    expect(page.get_by_label("コピー用")).to_have_value(re.compile("temperature=3.0"))
    page.get_by_label("形").select_option(index=1)
    expect(page.get_by_label("コピー用")).to_have_value(re.compile(r"lm\.model\.generate\("))
    press("保存")
    expect(output).to_contain_text("4 件を sampling-lab.json に保存しました。")
    press("読み込む")
    expect(output).to_contain_text("新しいもの 0 件")
    assert serious_findings(page) == []
