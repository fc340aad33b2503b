"""The sampling lab in a real browser on a real JupyterLab: `python -m pytest tests/test_browser.py`.

JupyterLab and the kernel run on the Python that runs the tests: `make test` runs some of them on Google Colab's
widgets too, `make test-all` the others. Pictures of what was seen are left in test-results/.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ipywidgets
import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from lab_browser import (
    ROOT,
    cells_for,
    cells_shown,
    change_theme,
    close_files,
    command,
    jupyter,
    lab_output,
    number_box,
    open_notebook,
    overflowing,
    picture_rows,
    run_all,
    slider,
    type_and_see_the_slider_follow,
    type_number,
    write_notebook,
)
from lab_oracle import Percent, distribution_by_hand
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from helpers.lab.next_token_view import CHART_ROWS
from helpers.lab.presets import nearest, top_k_scale
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate, generate_arguments
from tools.lessons import build

OPENING = "国境の長いトンネルを抜けると雪国であった。"
LESSON = "03_generate.ipynb"
SOURCE = (ROOT / "lessons" / "03_generate.py").read_text(encoding="utf-8")
(SEED,) = map(
    int, re.findall(r"SamplingLab\(language_model, text, SamplingSettings\(seed=(\d+)\)\)", SOURCE)
)
# A machine that is busy with other things may take long: that alone is no fault.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
# One JupyterLab for all of them.
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("test_browser")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jupyter")
    nbformat.write(build(ROOT / "lessons" / "03_generate.py", "ja"), folder / LESSON)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with jupyter(folder) as address:
        yield address


@pytest.fixture
def lab_alone(folder, request):
    """Of the lesson, what the lab stands on: a notebook for each test, with a kernel and so a history of its own."""
    return write_lab(folder, f"{request.node.originalname}.ipynb")


@pytest.fixture(scope="module")
def lab_shared(folder):
    """The same for tests that leave nothing behind: the kernel goes on, and each page begins a new lab."""
    return write_lab(folder, "shared.ipynb")


def write_lab(folder: Path, name: str) -> str:
    lesson = nbformat.read(folder / LESSON, as_version=4)
    write_notebook(folder / name, *cells_for(lesson, "SamplingLab("))
    return name


@pytest.fixture(scope="module")
def lm():
    return load_model("aozora-mini", device="cpu")


@pytest.fixture(scope="module")
def artefacts() -> Path:
    folder = ROOT / "test-results" / f"ipywidgets-{ipywidgets.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all, as a reader's browser is: it keeps JupyterLab's scripts."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which an error in the console fails the test, and which asks nothing of the network but the badge."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors, asked = [], []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(
            content_type="image/svg+xml",
            # As large as Colab's badge is.
            body='<svg xmlns="http://www.w3.org/2000/svg" width="117" height="20"/>',
        )

    page.route(re.compile("^https:"), answer)
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    if ipywidgets.__version__.startswith("7."):
        errors = [error for error in errors if error not in ERRORS_OF_IPYWIDGETS_7]
    assert errors == []
    assert set(asked) <= {"https://colab.research.google.com/assets/colab-badge.svg"}


# ipywidgets 7 calls MathJax 2 as soon as a page has any MathJax. JupyterLab 4 brings MathJax 3 to a notebook with
# formulas, as the whole lesson is; Colab does not show widgets in JupyterLab.
ERRORS_OF_IPYWIDGETS_7 = {"Cannot read properties of undefined (reading 'Queue')"}


def is_ipywidgets_own(rule: str, node: str) -> bool:
    """Whether a finding is about the handle of a slider, which ipywidgets 8 gives no name, and nothing else of it.

    The number box beside each slider has a name, and is the way for a screen reader: docs/lab.md.
    """
    return rule == "aria-input-field-name" and 'class="noUi-handle' in node


def serious_findings(page: Page) -> list[str]:
    """What axe finds wrong with the lab's output, serious or critical, and not ipywidgets' own doing."""
    found = Axe().run(page, context=".jp-OutputArea").response["violations"]
    return [
        f"{finding['id']}: {node['html']}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
        if not is_ipywidgets_own(finding["id"], node["html"])
    ]


def expected_rows(lm, top: int = CHART_ROWS, **settings) -> list[list]:
    """The picture's rows after the opening line: token, bar, model, after settings, result, id."""
    ids = lm.tokenizer.encode(OPENING, add_special_tokens=False, return_tensors="pt")
    logits = lm.model(ids).logits[0, -1].detach().numpy()
    by_hand = distribution_by_hand(
        logits,
        **{"top_k": 500, "top_p": 0.95, "prompt_ids": ids[0].tolist(), **settings},
    )
    space = lm.tokenizer.convert_tokens_to_ids("▁")
    zones = {None: "残る", "top_k": "✂ top_k", "top_p": "✂ top_p", "min_length": "✂ min_length"}
    return [
        [
            "␣ 空白" if token_id == space else lm.tokenizer.convert_ids_to_tokens(token_id),
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
    for _ in range(600):
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


@pytest.mark.colab
def test_the_whole_lesson_runs_and_each_control_moves_the_picture_to_the_values_worked_out_by_hand(
    page, address, lm, artefacts
):
    open_notebook(page, address, LESSON)
    run_all(page, timeout=600_000)
    # The lab is in sight before the last cells of the lesson have run.
    for _ in range(600):
        cells = cells_shown(page)
        if all(cell["execution_count"] for cell in cells):
            break
        page.wait_for_timeout(100)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"] == []
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
    for name, value in (("min_length", "1"), ("max_length", "101"), ("seed", str(SEED + 1))):
        slider(page, name).press("ArrowRight")
        expect(number_box(page, name)).to_have_value(value)
    slider(page, "num_return_sequences").press("ArrowLeft")
    expect(number_box(page, "num_return_sequences")).to_have_value("2")

    typed = {"top_k": 20, "top_p": 0.7, "temperature": 1.5, "repetition_penalty": 1.2}
    typed |= {"min_length": 40, "max_length": 300, "num_return_sequences": 5, "seed": 77}
    for name, value in typed.items():
        type_and_see_the_slider_follow(page, name, value)
    expect_rows(page, expected_rows(lm, **{name: typed[name] for name in all_four}, **end))

    page.get_by_role("button", name="記事の設定", exact=True).click()
    for name, value in (("top_k", "500"), ("top_p", "0.95"), ("num_return_sequences", "3")):
        expect(number_box(page, name)).to_have_value(value)
    expect_rows(page, expected_rows(lm, **end))


def test_generate_stop_and_reload(page, address, lab_alone, lm, artefacts):
    open_notebook(page, address, lab_alone)
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

    page.get_by_role("button", name="記事の設定", exact=True).click()
    for name, value in {
        "max_length": 30,
        "min_length": 0,
        "num_return_sequences": 2,
        "seed": 5,
    }.items():
        type_number(page, name, value)
    settings = SamplingSettings(min_length=0, max_length=30, num_return_sequences=2, seed=5)
    button.click()
    sequences = generate(lm, OPENING, settings).sequences
    expect_texts(page, lm, [sequence.token_ids for sequence in sequences])
    expect(button).to_be_enabled()
    assert page.locator("text=/トークン、.* で終わり/").count() == 2

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


def test_panes_steps_and_draws(page, address, folder, lab_alone, lm, artefacts):
    notebook = nbformat.read(folder / lab_alone, as_version=4)
    notebook.cells.insert(-1, nbformat.v4.new_code_cell(WATCH_THREADS))
    notebook.cells.append(nbformat.v4.new_code_cell("threads == {threading.get_ident()}"))
    nbformat.write(notebook, folder / lab_alone)
    open_notebook(page, address, lab_alone)
    run_all(page)
    output = lab_output(page)

    def press(name: str) -> None:
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_enabled()
        button.press("Enter")

    type_number(page, "max_length", 24)
    type_number(page, "min_length", 0)
    settings = SamplingSettings(min_length=0, max_length=24, seed=SEED)
    press("1 トークン進める")
    first = generate(lm, OPENING, replace(settings, num_return_sequences=1)).sequences[0].steps[0]
    expect(output).to_contain_text("選んだトークン 1 個")
    expect(output.locator("sub", has_text=re.compile(f"^{first.token_id}$")).last).to_be_visible()
    press("戻る")
    expect(output).not_to_contain_text("選んだトークン")

    page.get_by_label("予想: 1 位は何回？", exact=True).fill("20")
    page.get_by_label("予想: 1 位は何回？", exact=True).press("Enter")
    press("100 回引く")
    expect(output).to_contain_text("予想 20 回")
    expect(output).to_contain_text("期待 → 実際")

    press("生成")
    texts = generate(lm, OPENING, settings).sequences
    expect_texts(page, lm, [sequence.token_ids for sequence in texts])
    expect(output).to_contain_text("24 トークン、max_length で終わり")
    expect(generate_button(page)).to_be_enabled()

    # Another token in the place of the third new one, and on from there.
    type_number(page, "何番目", 3)
    first = texts[0]
    start = torch.tensor([first.token_ids[: len(first.token_ids) - len(first.steps) + 2]])
    candidates = lm.model(start).logits[0, -1].argsort(descending=True)[:10].tolist()
    options = page.get_by_label("候補", exact=True).locator("option")
    pieces = lm.tokenizer.convert_ids_to_tokens(candidates)
    expect(options).to_have_text([re.compile("^" + re.escape(piece)) for piece in pieces])
    page.get_by_label("候補", exact=True).select_option(index=4)
    press("このトークンで続ける")
    expect(output).to_contain_text("選んだトークン 3 個")
    start = torch.cat([start, torch.tensor([candidates[4:5]])], dim=1)
    torch.manual_seed(SEED)
    arguments = generate_arguments(lm.tokenizer, settings)
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
    expect(page.get_by_label("コピー用", exact=True)).to_have_value(re.compile("temperature=3.0"))
    page.get_by_label("形", exact=True).select_option(index=1)
    expect(page.get_by_label("コピー用", exact=True)).to_have_value(
        re.compile(r"lm\.model\.generate\(")
    )
    press("保存")
    expect(output).to_contain_text("5 件を sampling-lab.json に保存しました。")
    press("読み込む")
    expect(output).to_contain_text("新しいもの 0 件")
    assert serious_findings(page) == []

    # JupyterLab hands what was done above to several threads of the kernel; the model ran in the cells' own.
    page.evaluate(RUN_LAST_CELL)
    (answer,) = cells_shown(page)[-1]["outputs"]
    assert answer["data"]["text/plain"] == "True"


RUN_LAST_CELL = """async () => {
    const { content } = jupyterapp.shell.currentWidget;
    content.activeCellIndex = content.widgets.length - 1;
    await jupyterapp.commands.execute("notebook:run-cell");
}"""
# A larger model reads a prompt for so long, and messages meet a kernel that is busy.
WATCH_THREADS = """
import threading, time

threads = set()

def watch(model, arguments, values):
    threads.add(threading.get_ident())
    time.sleep(0.3 if values["input_ids"].shape[1] > 1 else 0)

language_model.model.register_forward_pre_hook(watch, with_kwargs=True)
"""
PANES = ("トークンを選ぶ", "2 つの設定を比べる", "縦書きと文字", "記録")


def generate_button(page: Page):
    return page.get_by_role("button", name="生成", exact=True)


def test_on_a_phone_and_at_200_percent_everything_fits(page, address, lab_shared, artefacts):
    page.set_viewport_size({"width": 360, "height": 1400})
    open_notebook(page, address, lab_shared)
    close_files(page)
    run_all(page)
    output = lab_output(page)
    type_number(page, "max_length", 24)
    type_number(page, "min_length", 0)
    generate_button(page).click()
    expect(output).to_contain_text("24 トークン、max_length で終わり")
    # 640 is what a page of 1280 has at 200%.
    for width in (360, 640):
        page.set_viewport_size({"width": width, "height": 1400})
        for pane in PANES:
            page.get_by_role("button", name=pane, exact=True).press("Enter")
            assert overflowing(page) == [], f"{pane}, {width} px wide"
        page.get_by_label("prompt", exact=True).scroll_into_view_if_needed()
        page.screenshot(path=artefacts / f"lab-{width}.png")
        page.get_by_role("button", name=PANES[0], exact=True).press("Enter")
        page.get_by_label("候補", exact=True).scroll_into_view_if_needed()
        page.screenshot(path=artefacts / f"lab-{width}-token.png")
        assert serious_findings(page) == []


def in_sight(page: Page, place: Locator) -> bool:
    """Whether something lies whole in the part of the notebook that is in sight."""
    return place.evaluate(
        """element => {
            const box = element.getBoundingClientRect();
            const pane = document.querySelector(".jp-NotebookPanel-notebook").getBoundingClientRect();
            return box.height > 0 && box.top >= pane.top - 1 && box.bottom <= pane.bottom + 1
                && box.left >= pane.left && box.right <= pane.right + 1;
        }"""
    )


@pytest.mark.parametrize("edition", ["", "en/"])
def test_the_readers_first_text_comes_within_a_screen_and_a_half(page, address, folder, edition):
    """Where the output of the first call of `generate` begins, in lesson 01 as it is opened on a school laptop."""
    name = f"first{edition.strip('/')}.ipynb"
    shutil.copyfile(ROOT / "notebooks" / "start" / edition / "01_install.ipynb", folder / name)
    page.set_viewport_size({"width": 1366, "height": 768})
    open_notebook(page, address, name)
    picture = page.locator(".jp-MarkdownCell img[src^='data:']").first
    page.wait_for_function(
        "image => image.complete && image.naturalHeight", arg=picture.element_handle()
    )
    cell = page.locator(".jp-CodeCell", has_text="model.generate(").first
    box = cell.locator(".jp-Cell-inputWrapper").bounding_box()
    assert box["y"] + box["height"] < 1.5 * 768


def test_on_a_school_laptop_controls_chart_and_first_text_are_in_sight_at_once(
    page, address, lab_shared, artefacts
):
    """1366 x 768 with all of JupyterLab's bars and its list of files; the lab's first line is at the top."""
    page.set_viewport_size({"width": 1366, "height": 768})
    open_notebook(page, address, lab_shared)
    run_all(page)
    output = lab_output(page)
    prompt = page.get_by_label("prompt", exact=True)
    prompt.evaluate("element => element.scrollIntoView({block: 'start'})")
    type_number(page, "seed", 1)
    prompt.evaluate("element => element.scrollIntoView({block: 'start'})")
    where = "() => document.querySelector('.jp-WindowedPanel-outer').scrollTop"
    before = page.evaluate(where)
    generate_button(page).click()
    expect(output).to_contain_text("毎秒")
    expect(generate_button(page)).to_be_enabled()
    expect(output).to_contain_text("で終わり")
    assert page.evaluate(where) == before
    page.screenshot(path=artefacts / "lab-laptop.png")
    text = output.locator("small", has_text=re.compile("^1: .*トークン")).locator("xpath=../..")
    chart = output.locator("table", has=page.locator("th", has_text=re.compile("^id$"))).first
    assert chart.locator("tbody tr").count() >= CHART_ROWS + 2
    places = {"the first text": text, "the chart": chart, "Generate": generate_button(page)}
    places |= {name: number_box(page, name) for name in ("top_k", "temperature", "seed")}
    places |= {f"slider of {name}": slider(page, name) for name in ("top_k", "seed")}
    assert {name for name, place in places.items() if not in_sight(page, place)} == set()


def test_in_the_dark_and_without_a_mouse(page, address, lab_shared, lm, artefacts):
    open_notebook(page, address, lab_shared)
    run_all(page)
    output = lab_output(page)
    change_theme(page, dark=True)
    try:
        page.get_by_label("prompt", exact=True).focus()
        keys = page.keyboard

        def tab_to(name: str, at_most: int, key: str = "Tab") -> None:
            """Press Tab until the control with this label or text has the focus."""
            for _ in range(at_most):
                keys.press(key)
                has_it = page.evaluate(
                    """name => {
                        const here = document.activeElement;
                        const labels = [...(here.labels ?? [])].map(label => label.innerText.trim());
                        return here.innerText?.trim() === name || labels.includes(name);
                    }""",
                    name,
                )
                if has_it:
                    return
            raise AssertionError(f"{name} is not reached in {at_most} steps")

        # A slider stands between two number boxes, presets and check box before the first.
        for name, value in (("top_k", "9"), ("min_length", "0"), ("max_length", "24")):
            tab_to(name, at_most=12)
            keys.press("Control+A")
            keys.type(value)
        # Back past five settings, the check box, four presets and the switch.
        tab_to("生成", at_most=20, key="Shift+Tab")
        keys.press("Enter")
        settings = SamplingSettings(min_length=0, max_length=24, top_k=9, seed=SEED)
        texts = generate(lm, OPENING, settings).sequences
        expect_texts(page, lm, [sequence.token_ids for sequence in texts])
        expect(output).to_contain_text("で終わり")
        expect_rows(page, expected_rows(lm, top_k=9))
        page.get_by_label("prompt", exact=True).scroll_into_view_if_needed()
        page.screenshot(path=artefacts / "lab-dark.png")
        page.get_by_label("候補", exact=True).scroll_into_view_if_needed()
        page.screenshot(path=artefacts / "lab-dark-token.png")
        assert serious_findings(page) == []
        for pane in PANES[1:]:
            page.get_by_role("button", name=pane, exact=True).press("Enter")
            assert serious_findings(page) == [], pane
    finally:
        change_theme(page, dark=False)


def test_the_cell_is_deleted_while_it_writes_and_run_again(page, address, lab_alone):
    open_notebook(page, address, lab_alone)
    run_all(page)
    type_number(page, "max_length", 512)
    type_number(page, "min_length", 512)
    generate_button(page).dblclick()
    expect(lab_output(page)).to_contain_text("毎秒")
    command(page, "notebook:delete-cell")
    expect(page.get_by_label("prompt", exact=True)).to_have_count(0)
    command(page, "notebook:undo-cell-action")
    expect(page.locator(".jp-CodeCell", has_text="SamplingLab(")).to_have_count(1)
    # All cells: the model is loaded again, too.
    run_all(page)
    page.get_by_role("button", name="記録", exact=True).press("Enter")
    runs = page.get_by_label("記録", exact=True).locator("option")
    # The one that the lab opened with, and one more, though the button was pressed twice; it was stopped, and is there
    # to be copied.
    expect(runs).to_have_count(2)
    copied = page.get_by_label("コピー用", exact=True)
    expect(copied).to_have_value(
        re.compile(f"^{OPENING}\n.*max_length=512(.|\n)*\n1\\. {OPENING}.")
    )
    type_number(page, "max_length", 24)
    type_number(page, "min_length", 0)
    generate_button(page).dblclick()
    expect(runs).to_have_count(3)
    expect(generate_button(page)).to_be_enabled()
    expect(runs).to_have_count(3)
    assert serious_findings(page) == []
