"""The lab's widgets, operated from Python: `python -m pytest tests/test_lab.py`."""

import asyncio
import re
import threading
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import ipywidgets as widgets
import nbformat
import pytest
import torch
from lab_oracle import Percent, distribution_by_hand, table_rows, tags_of, text_of
from rinna_layout import make_model

from helpers import OPENING_LINE, charts, masking
from helpers.lab import SamplingLab, next_token_view, snapshot, writer
from helpers.lab import sampling_lab as lab
from helpers.lab.drafts import Draft
from helpers.lab.japanese_pane import script_shares
from helpers.lab.presets import presets
from helpers.lab.records import as_code, as_text, load, save
from helpers.language import set_language
from helpers.masking import SIGN
from helpers.models import load_model
from helpers.sampling import SamplingSettings, SettingsError, generate, next_token_distribution

pytestmark = pytest.mark.colab

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "雪の降る夜には"
SHORT = SamplingSettings(min_length=0, max_length=30, top_k=40, top_p=0.9, seed=3)


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return load_model(make_model(tmp_path_factory.mktemp("model")), device="cpu")


@pytest.fixture(autouse=True)
def a_new_kernel():
    """Each test has its own: in one kernel, labs on one model have their history in common."""
    set_language("ja")
    lab._labs.clear()


@pytest.fixture
def sampling_lab(lm):
    return SamplingLab(lm, PROMPT, SHORT)


@pytest.fixture
def model_calls(lm):
    calls = []
    handle = lm.model.register_forward_hook(lambda *_: calls.append(1))
    yield calls
    handle.remove()


async def idle(sampling_lab):
    """Until the lab has generated what it was asked for."""
    while not sampling_lab.stop_button.disabled:
        await asyncio.sleep(0.005)


def test_what_other_threads_hear_is_done_in_the_labs_own_and_in_order(lm, model_calls):
    # JupyterLab with ipykernel 7 sends clicks and values to threads beside the kernel's main one.
    def hear(widget, data):
        widget.comm._msg_callback(
            {"content": {"data": {"buffer_paths": [], **data}}, "buffers": []}
        )

    threads = set()
    watching = lm.model.register_forward_hook(lambda *_: threads.add(threading.get_ident()))

    async def busy():
        sampling_lab = SamplingLab(lm, PROMPT, SHORT)
        pane = sampling_lab.compare_pane
        before = len(model_calls)

        def reader():
            hear(sampling_lab.boxes["temperature"], {"method": "update", "state": {"value": 3.0}})
            for button in (*pane.take_buttons, pane.compare_button):
                hear(button, {"method": "custom", "content": {"event": "click"}})

        other = threading.Thread(target=reader)
        other.start()
        other.join()  # the kernel is busy all the while
        assert len(model_calls) == before
        assert sampling_lab.settings == SHORT
        await asyncio.sleep(0)
        await idle(sampling_lab)
        return sampling_lab

    try:
        sampling_lab = asyncio.run(busy())
    finally:
        watching.remove()
    assert threads == {threading.get_ident()}
    assert sampling_lab.history[-1].settings.temperature == 3.0


def test_controls_start_at_the_articles_values(lm):
    values = SamplingLab(lm).settings
    # This model has 64 positions: the article's max_length of 100 ends there, top_k at the vocabulary.
    vocabulary = lm.model.config.vocab_size
    assert values == SamplingSettings(max_length=64, top_k=vocabulary, seed=0)


def test_a_slider_moves_its_number_and_a_number_its_slider(sampling_lab):
    for name, slider in sampling_lab.sliders.items():
        box = sampling_lab.boxes[name]
        for place in {slider.min, (slider.min + slider.max) // 2, slider.max}:
            if name == "max_length" and place == slider.min:
                continue
            slider.value = place
            value = box.value
            slider.value = slider.max - place
            box.value = value
            assert slider.value == place, name


def test_a_number_between_two_steps_stays(sampling_lab):
    sampling_lab.boxes["top_k"].value = 37
    assert sampling_lab.boxes["top_k"].value == 37
    sampling_lab.boxes["temperature"].value = 0.333
    assert sampling_lab.settings.temperature == 0.333
    assert sampling_lab.settings.top_k == 37
    assert sampling_lab.error is None


def test_sliders_reach_from_off_to_everything(sampling_lab, lm):
    for place, value in ((0, 0), (sampling_lab.sliders["top_k"].max, lm.model.config.vocab_size)):
        sampling_lab.sliders["top_k"].value = place
        assert sampling_lab.settings.top_k == value
    sampling_lab.sliders["top_p"].value = sampling_lab.sliders["top_p"].max
    assert sampling_lab.settings.top_p == 1.0
    sampling_lab.sliders["temperature"].value = 0
    assert sampling_lab.settings.temperature == 0.05


def test_the_picture_follows_the_settings_without_running_the_model(sampling_lab, lm, model_calls):
    ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False, return_tensors="pt")
    logits = lm.model(ids).logits[0, -1].detach().numpy()
    model_calls.clear()
    for top_k, top_p, temperature in ((7, 1.0, 1.0), (50, 0.6, 1.0), (0, 0.8, 2.0)):
        sampling_lab.boxes["top_k"].value = top_k
        sampling_lab.boxes["top_p"].value = top_p
        sampling_lab.boxes["temperature"].value = temperature
        expected = distribution_by_hand(logits, temperature, top_k, top_p)
        shown = [row for row in table_rows(sampling_lab.chart.value)[1:] if row[5]]
        assert len(shown) == next_token_view.CHART_ROWS
        for row in shown:
            token_id = int(row[5])
            assert row[2] == Percent(expected.raw[token_id])
            assert row[3] == Percent(expected.final[token_id])
            assert (row[4] == "残る") == (expected.cut_by[token_id] is None)
    assert not model_calls


def test_typing_shows_the_tokens_and_the_distribution_of_the_new_text(sampling_lab, lm):
    sampling_lab.prompt_box.value = "山の中の𠮷"
    ids = lm.tokenizer.encode("山の中の𠮷", add_special_tokens=False)
    assert f"{len(ids)} トークン" in sampling_lab.chips.value
    assert "未知" in sampling_lab.chips.value
    fresh = SamplingLab(lm, "山の中の𠮷", SHORT)
    assert sampling_lab.chart.value == fresh.chart.value


def test_presets_set_everything_but_the_seed(sampling_lab):
    for button, preset in zip(sampling_lab.controls.preset_buttons, presets(), strict=True):
        button.click()
        expected = replace(preset.settings, seed=3)
        got = sampling_lab.settings
        assert replace(got, max_length=100, top_k=expected.top_k) == expected
        assert preset.why in unescape(sampling_lab.controls.note.value)
    sampling_lab.boxes["top_k"].value = 3
    assert "記事とは違う設定" in sampling_lab.controls.note.value


@pytest.mark.parametrize("number", range(len(presets())))
def test_settings_that_differ_from_a_preset_in_their_seed_alone_are_said_to_be_that_preset(
    lm, number
):
    """A lesson opens the lab with a seed of its own: nobody has changed the article's settings."""
    name, settings, _ = presets()[number]
    opened = SamplingLab(lm, PROMPT, replace(settings, seed=15))
    assert f"「{name}」と同じです（seed は 15）" in opened.controls.note.value
    opened.boxes["seed"].value = 4
    assert f"「{name}」と同じです（seed は 4）" in opened.controls.note.value
    opened.boxes["max_length"].value = 60
    assert "記事とは違う設定" in opened.controls.note.value
    # A contradiction is nobody's settings either.
    opened.boxes["min_length"].value = 61
    assert "記事とは違う設定" in opened.controls.note.value
    assert "記事とは違う設定" in SamplingLab(lm, PROMPT, SHORT).controls.note.value


def test_generate_writes_what_generate_gives(sampling_lab, lm):
    sampling_lab.generate_button.click()
    assert sampling_lab.error is None
    oracle = generate(lm, PROMPT, SHORT)
    assert sampling_lab.generation.settings == SHORT
    for written, expected in zip(sampling_lab.generation.sequences, oracle.sequences, strict=True):
        assert written.token_ids == expected.token_ids
        pieces = lm.tokenizer.convert_ids_to_tokens(written.token_ids)
        assert "".join(pieces).replace("▁", " ").strip() in text_of(sampling_lab.result.value)
    assert not sampling_lab.generate_button.disabled and sampling_lab.stop_button.disabled


def test_greedy_generation_has_one_result(sampling_lab, lm):
    sampling_lab.controls.preset_buttons[1].click()
    sampling_lab.boxes["min_length"].value = 0
    sampling_lab.generate_button.click()
    settings = SamplingSettings(do_sample=False, min_length=0, max_length=64, seed=3)
    (sequence,) = sampling_lab.generation.sequences
    assert sequence.token_ids == generate(lm, PROMPT, settings).sequences[0].token_ids


def test_texts_grow_token_by_token_on_a_running_loop(sampling_lab):
    async def watch():
        seen = []
        sampling_lab.result.observe(lambda change: seen.append(text_of(change["new"])), "value")
        sampling_lab.generate_button.click()
        assert sampling_lab.generate_button.disabled and not sampling_lab.stop_button.disabled
        await idle(sampling_lab)
        return seen

    seen = asyncio.run(watch())
    lengths = [len(text) for text in seen[:-1]]
    assert len(lengths) > 10 and lengths == sorted(lengths)
    assert len(sampling_lab.generation.sequences) == 3


def test_stop_ends_with_the_token_at_hand_and_keeps_the_text(sampling_lab, lm):
    async def stop_after(steps):
        left = steps

        def count(change):
            nonlocal left
            left -= 1
            if left == 0:
                sampling_lab.stop_button.click()

        sampling_lab.progress.observe(count, "value")
        sampling_lab.generate_button.click()
        await idle(sampling_lab)

    asyncio.run(stop_after(5))
    oracle = generate(lm, PROMPT, SHORT)
    prompt_tokens = len(lm.tokenizer.encode(PROMPT, add_special_tokens=False))
    for written, full in zip(sampling_lab.generation.sequences, oracle.sequences, strict=True):
        assert written.stopped in ("user", "eos")
        assert written.token_ids == full.token_ids[: len(written.token_ids)]
        assert len(written.token_ids) - prompt_tokens <= 6
    assert "停止" in text_of(sampling_lab.result.value)
    assert sampling_lab.error is None


def test_closing_the_lab_while_it_writes_loses_nothing(sampling_lab, lm):
    async def close():
        sampling_lab.generate_button.click()
        await asyncio.sleep(0.03)
        for widget in (sampling_lab.view, sampling_lab.result, sampling_lab.progress):
            widget.close()
        await idle(sampling_lab)

    asyncio.run(close())
    assert sampling_lab.error is None
    assert sampling_lab.history == [generate(lm, PROMPT, SHORT)]


def test_a_second_press_does_not_begin_a_second_generation(sampling_lab, model_calls):
    others = [sampling_lab.compare_pane.compare_button, sampling_lab.token_pane.continue_button]

    async def twice():
        sampling_lab.generate_button.click()
        sampling_lab.generate_button.click()
        await asyncio.sleep(0.03)
        assert all(button.disabled for button in others)
        sampling_lab.generate_button.click()
        sampling_lab.compare_pane.compare_button.click()
        await idle(sampling_lab)

    asyncio.run(twice())
    assert not any(button.disabled for button in others)
    assert len(sampling_lab.history) == 1
    longest = max(len(s.steps) for s in sampling_lab.generation.sequences)
    # The picture of a chosen token runs the model once more, now or a moment later.
    assert longest <= len(model_calls) <= longest + 1


def test_a_new_lab_stops_the_one_before(sampling_lab, lm):
    async def rerun():
        sampling_lab.generate_button.click()
        await asyncio.sleep(0.03)
        again = SamplingLab(lm, PROMPT, SHORT)
        await idle(sampling_lab)
        again.generate_button.click()
        await idle(again)
        return again

    again = asyncio.run(rerun())
    assert {s.stopped for s in sampling_lab.generation.sequences} <= {"user", "eos"}
    assert again.generation.sequences == generate(lm, PROMPT, SHORT).sequences


def test_settings_may_move_while_it_writes(sampling_lab, lm):
    async def storm():
        sampling_lab.generate_button.click()
        for i in range(200):
            sampling_lab.sliders["top_k"].value = i % sampling_lab.sliders["top_k"].max
            sampling_lab.prompt_box.value = PROMPT + "山" * (i % 7)
            if i % 10 == 0:
                await asyncio.sleep(0.003)
        await idle(sampling_lab)
        await asyncio.sleep(lab.TYPING_PAUSE + 0.1)

    asyncio.run(storm())
    assert sampling_lab.error is None
    assert sampling_lab.generation.prompt == PROMPT
    assert sampling_lab.generation.sequences == generate(lm, PROMPT, SHORT).sequences
    fresh = SamplingLab(lm, sampling_lab.prompt_box.value, sampling_lab.settings)
    assert sampling_lab.chart.value == fresh.chart.value


def test_a_storm_of_changes_draws_few_pictures(sampling_lab):
    async def storm():
        drawn = []
        sampling_lab.chart.observe(drawn.append, "value")
        for i in range(300):
            sampling_lab.boxes["top_k"].value = 1 + i % 40
        await asyncio.sleep(0.2)
        return drawn

    assert len(asyncio.run(storm())) <= 2


def test_a_clock_that_has_not_moved_is_no_error(sampling_lab, monkeypatch):
    # Only the lab's clock: the loop needs its own.
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: 1.0))
    sampling_lab.generate_button.click()
    assert sampling_lab.error is None and "毎秒 –" in sampling_lab.progress.value


def test_without_a_loop_generation_ends_when_its_time_is_over(lm, monkeypatch):
    monkeypatch.setattr(writer, "BLOCKING_TIME", 0.0)
    slow = SamplingLab(lm, PROMPT, SHORT)
    slow.generate_button.click()
    assert [s.stopped for s in slow.generation.sequences] == ["user"] * 3
    assert [len(s.steps) for s in slow.generation.sequences] == [1] * 3


@pytest.mark.parametrize(
    ("prompt", "field"), [("", "prompt"), ("　\n ", "prompt"), ("雪" * 100_000, "prompt")]
)
def test_a_prompt_that_cannot_be_used_is_said_in_place_and_kept(lm, prompt, field):
    sampling_lab = SamplingLab(lm, PROMPT, SHORT)
    sampling_lab.prompt_box.value = prompt
    for button in (None, sampling_lab.generate_button):
        if button:
            button.click()
        assert isinstance(sampling_lab.error, SettingsError)
        assert sampling_lab.error.field == field
        assert str(sampling_lab.error) in unescape(sampling_lab.problem.value)
        assert sampling_lab.prompt_box.value == prompt
    # What is too long is not drawn token by token.
    assert len(sampling_lab.chips.value) < 100_000
    sampling_lab.prompt_box.value = PROMPT
    assert sampling_lab.error is None and not sampling_lab.problem.value


def test_settings_that_contradict_are_said_in_place(sampling_lab):
    sampling_lab.boxes["min_length"].value = 31
    assert sampling_lab.error.field == "min_length"
    assert "min_length を max_length 以下に" in sampling_lab.problem.value
    set_language("en")
    sampling_lab.generate_button.click()
    assert "set min_length to at most max_length" in sampling_lab.problem.value
    assert sampling_lab.generation is None
    sampling_lab.boxes["max_length"].value = 40
    assert sampling_lab.error is None


def test_nan_from_the_model_is_said_and_the_lab_goes_on(tmp_path):
    broken = load_model(make_model(tmp_path), device="cpu")
    weights = broken.model.transformer.ln_f.weight
    good = weights.data.clone()
    sampling_lab = SamplingLab(broken, PROMPT, SHORT)
    weights.data[:] = torch.nan
    sampling_lab.generate_button.click()
    assert isinstance(sampling_lab.error, FloatingPointError)
    assert "NaN" in sampling_lab.problem.value
    assert not sampling_lab.generate_button.disabled
    weights.data[:] = good
    sampling_lab.generate_button.click()
    assert sampling_lab.error is None and len(sampling_lab.generation.sequences) == 3


def test_an_unexpected_failure_is_shown_and_kept(sampling_lab, monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("<b>broken</b>")

    monkeypatch.setattr(charts, "distribution_chart", broken)
    sampling_lab.boxes["top_k"].value = 3
    assert isinstance(sampling_lab.error, RuntimeError)
    assert "RuntimeError: <b>broken</b>" in text_of(sampling_lab.problem.value)
    assert "b" not in tags_of(sampling_lab.problem.value)


def test_markup_in_the_prompt_and_in_the_text_stays_text(lm, monkeypatch):
    attack = "<script>alert(1)</script>"
    sampling_lab = SamplingLab(lm, attack, replace(SHORT, max_length=60))
    monkeypatch.setattr(
        type(lm.tokenizer),
        "convert_ids_to_tokens",
        lambda self, ids: attack if isinstance(ids, int) else [attack] * len(ids),
    )
    sampling_lab.redraw()
    sampling_lab.generate_button.click()
    assert sampling_lab.error is None
    for html in (sampling_lab.chips, sampling_lab.chart, sampling_lab.result):
        assert "script" not in tags_of(html.value) and "<script" not in html.value
    assert attack in text_of(sampling_lab.result.value)
    assert "script" not in tags_of(str(sampling_lab.still()))


def test_steps_go_on_token_by_token_and_back(sampling_lab, lm):
    settings = replace(SHORT, num_return_sequences=1)
    start = sampling_lab.chart.value
    sampling_lab.next_token.step_button.click()
    first = generate(lm, PROMPT, settings).sequences[0].steps[0].token_id
    assert sampling_lab.draft.chosen == (first,)
    assert sampling_lab.prompt_box.value == PROMPT
    assert "選んだトークン 1 個" in sampling_lab.chips.value
    for _ in range(3):
        sampling_lab.next_token.step_button.click()
    assert len(sampling_lab.draft.chosen) == 4
    ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False) + list(sampling_lab.draft.chosen)
    logits = lm.model(torch.tensor([ids])).logits[0, -1].detach().numpy()
    expected = distribution_by_hand(logits, 1.0, SHORT.top_k, SHORT.top_p)
    for row in table_rows(sampling_lab.chart.value)[1 : 1 + next_token_view.CHART_ROWS]:
        assert row[3] == Percent(expected.final[int(row[5])])
    for left in (3, 2, 1, 0):
        assert not sampling_lab.next_token.back_button.disabled
        sampling_lab.next_token.back_button.click()
        assert len(sampling_lab.draft.chosen) == left
    assert sampling_lab.next_token.back_button.disabled
    assert sampling_lab.chart.value == start


def test_a_step_to_the_end_token_says_that_the_text_ends(sampling_lab, lm, monkeypatch):
    monkeypatch.setattr(next_token_view, "draw", lambda *arguments: [lm.tokenizer.eos_token_id])
    sampling_lab.next_token.step_button.click()
    assert sampling_lab.draft.chosen == ()
    assert "文章はここで終わり" in sampling_lab.next_token.note.value


def test_typing_starts_from_the_typed_text(sampling_lab):
    sampling_lab.next_token.step_button.click()
    sampling_lab.prompt_box.value = "山"
    assert sampling_lab.draft == Draft("山")


def test_a_hundred_draws_are_laid_over_the_bars(sampling_lab):
    sampling_lab.next_token.guess_box.value = 12
    sampling_lab.next_token.draw_button.click()
    rows = table_rows(sampling_lab.chart.value)[1:]
    # By place: rows of sums may have the same name.
    seen = [int(row[4].split(" → ")[1]) for row in rows]
    assert sum(seen) == 100
    assert "予想 12 回" in sampling_lab.next_token.note.value
    assert f"実際 {seen[0]} 回" in sampling_lab.next_token.note.value
    for row in rows:
        if row[5] != "残る":
            assert row[4].endswith("→ 0")
    first = sampling_lab.chart.value
    sampling_lab.next_token.draw_button.click()
    assert sampling_lab.chart.value != first
    sampling_lab.boxes["top_k"].value = 39
    assert "→" not in "".join(table_rows(sampling_lab.chart.value)[0])
    assert sampling_lab.next_token.note.value == ""


def test_any_token_shows_its_alternatives_and_another_can_be_taken(sampling_lab, lm):
    pane = sampling_lab.token_pane
    assert pane.continue_button.disabled
    sampling_lab.generate_button.click()
    pane.sequence_box.value = 2
    pane.position_slider.value = 5
    assert pane.position_box.value == 5
    sequence = sampling_lab.generation.sequences[2]
    step = sequence.steps[4]
    # What the picture says about the drawn token is what it was drawn with.
    distribution = pane._next_token.distribution(
        pane._draft(pane.generation), sampling_lab.settings
    )
    (drawn,) = [c for c in distribution.candidates if c.token_id == step.token_id]
    assert drawn.final == pytest.approx(step.final, rel=1e-4)
    assert drawn.raw == pytest.approx(step.raw, rel=1e-4)
    assert "【" in text_of(pane.text.value)

    before = sampling_lab.draft
    assert pane.alternative_box.value == distribution.head(1)[0].token_id
    alternative = next(
        token_id for _, token_id in pane.alternative_box.options if token_id != step.token_id
    )
    pane.alternative_box.value = alternative
    pane.continue_button.click()
    prompt_ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False)
    start = [*sequence.token_ids[: len(prompt_ids) + 4], alternative]
    for other in sampling_lab.generation.sequences:
        assert other.token_ids[: len(start)] == start
        assert len(other.token_ids) > len(start)
    sampling_lab.next_token.back_button.click()
    assert sampling_lab.draft == before


def test_positions_end_where_the_text_ends(sampling_lab):
    sampling_lab.generate_button.click()
    pane = sampling_lab.token_pane
    for i, sequence in enumerate(sampling_lab.generation.sequences):
        pane.sequence_box.value = i
        pane.position_box.value = 10_000
        assert pane.position_box.value == len(sequence.steps)
        assert sampling_lab.error is None


def test_two_settings_are_compared_with_one_seed(sampling_lab, lm):
    pane = sampling_lab.compare_pane
    sampling_lab.boxes["top_k"].value = 2
    pane.take_buttons[0].click()
    sampling_lab.boxes["top_k"].value = 60
    sampling_lab.boxes["temperature"].value = 2.0
    pane.take_buttons[1].click()
    assert [row[4] for row in table_rows(pane.table.value)] == ["top_k", "2", "60"]
    pane.compare_button.click()
    assert sampling_lab.error is None
    one = replace(SHORT, top_k=2, num_return_sequences=1)
    other = replace(one, top_k=60, temperature=2.0)
    a, b = (generate(lm, PROMPT, settings).sequences[0] for settings in (one, other))
    assert [run.sequences[0].token_ids for run in sampling_lab.history] == [
        a.token_ids,
        b.token_ids,
    ]
    place = charts.first_difference(a.token_ids, b.token_ids)
    start = len(lm.tokenizer.encode(PROMPT, add_special_tokens=False))
    assert f"新しい {place - start + 1} 番目" in text_of(pane.result.value)


def test_a_comparison_can_be_stopped(sampling_lab):
    pane = sampling_lab.compare_pane
    pane.settings = {name: replace(SHORT, max_length=60) for name in "AB"}

    async def stop_early():
        pane.compare_button.click()
        await asyncio.sleep(0.05)
        sampling_lab.stop_button.click()
        await idle(sampling_lab)

    asyncio.run(stop_early())
    assert len(sampling_lab.history) == 1
    assert sampling_lab.error is None and not sampling_lab.generate_button.disabled


def test_a_comparison_that_cannot_be_done_is_said_in_place(sampling_lab):
    pane = sampling_lab.compare_pane
    # Its settings are the article's, whose max_length is more than this model's 64 positions.
    pane.compare_button.click()
    assert sampling_lab.error.field == "max_length"
    assert not sampling_lab.history


def test_the_japanese_of_each_text_is_counted(sampling_lab, lm):
    sampling_lab.generate_button.click()
    rows = table_rows(sampling_lab.japanese_pane.table.value)
    for row, sequence in zip(rows[1:], sampling_lab.generation.sequences, strict=True):
        assert row[1:3] == [str(len(sequence.text)), str(len(sequence.token_ids))]
        assert row[4] == charts.percent(script_shares(sequence.text)["kanji"])
        assert sequence.text in text_of(sampling_lab.japanese_pane.texts.value)
    assert sampling_lab.japanese_pane.texts.value.count("vertical-rl") == 3


def test_what_normalisation_changes_is_shown_while_typing(sampling_lab):
    assert "正規化" not in sampling_lab.chips.value
    sampling_lab.prompt_box.value = "雪①ｶﾀ"
    assert "正規化後）: 雪1カタ" in text_of(sampling_lab.chips.value)


def test_history_keeps_all_runs_and_brings_their_settings_back(sampling_lab, lm):
    pane = sampling_lab.history_pane
    for seed in (1, 2):
        sampling_lab.boxes["seed"].value = seed
        sampling_lab.generate_button.click()
    first, second = sampling_lab.history
    assert first == generate(lm, PROMPT, replace(SHORT, seed=1))
    assert pane.copy_box.value == as_text(second)
    pane.run_box.value = 0
    assert pane.copy_box.value == as_text(first)
    pane.form_box.value = pane.form_box.options[1][1]
    assert pane.copy_box.value == as_code(lm, first)
    sampling_lab.prompt_box.value = "山"
    pane.back_button.click()
    assert sampling_lab.draft == Draft(PROMPT) and sampling_lab.settings == first.settings


def test_history_is_saved_and_loaded_again(sampling_lab, lm, tmp_path):
    pane = sampling_lab.history_pane
    pane.file_box.value = str(tmp_path / "記録.json")
    sampling_lab.generate_button.click()
    pane.save_button.click()
    assert "1 件を" in pane.note.value
    pane.load_button.click()
    assert len(sampling_lab.history) == 1 and "新しいもの 0 件" in pane.note.value
    lab._labs.clear()
    other = SamplingLab(lm, PROMPT, SHORT)
    assert not other.history
    other.history_pane.file_box.value = pane.file_box.value
    other.history_pane.load_button.click()
    assert other.history == sampling_lab.history
    assert other.history_pane.copy_box.value == as_text(sampling_lab.history[0])


def test_a_record_that_cannot_be_read_is_said_and_loses_nothing(sampling_lab, tmp_path):
    pane = sampling_lab.history_pane
    sampling_lab.generate_button.click()
    pane.file_box.value = str(tmp_path / "missing.json")
    pane.load_button.click()
    assert isinstance(sampling_lab.error, OSError) and "missing.json" in sampling_lab.problem.value
    (tmp_path / "missing.json").write_text("{")
    pane.load_button.click()
    assert "記録ではない" in sampling_lab.problem.value
    assert len(sampling_lab.history) == 1


def test_a_page_without_a_kernel_has_the_picture_and_one_with_it_the_widgets(sampling_lab):
    bundle = sampling_lab._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", lab.WIDGET_VIEW}
    assert bundle[lab.WIDGET_VIEW]["model_id"] == sampling_lab.view.model_id
    still = bundle["text/html"]
    assert sampling_lab.chart.value in still
    assert "雪" in text_of(still) and "top_k" in text_of(still)
    assert not {"style", "script", "input", "button"} & tags_of(still)
    assert "\n" not in bundle["text/plain"] and "<" not in bundle["text/plain"]


@pytest.mark.parametrize(
    ("notebook", "heading", "kept"),
    [
        ("notebooks/03_generate.ipynb", "次のトークンの確率", "残る"),
        ("notebooks/en/03_generate.ipynb", "Probability of the next token", "kept"),
    ],
)
def test_the_committed_lesson_shows_the_lab_without_a_kernel(notebook, heading, kept):
    cells = nbformat.read(ROOT / notebook, as_version=4).cells
    (cell,) = [cell for cell in cells if cell.cell_type == "code" and "SamplingLab(" in cell.source]
    (output,) = cell.outputs
    html = output.data["text/html"]
    assert_the_whole_lab(html, seed="15")
    rows = table_rows(html)
    assert heading in text_of(html) and set(OPENING_LINE) <= set(text_of(html))
    (head,) = [i for i, row in enumerate(rows) if row[-1] == "id"]
    tokens = [row for row in rows[head + 1 :] if row[-1].isdigit()]
    assert len(rows[head]) == 6 and len(tokens) == next_token_view.CHART_ROWS < len(rows) - head
    assert tokens[0][4] == kept and tokens[0][2].endswith("%") and "width:100.0%" in html


def assert_the_whole_lab(html, **values):
    """A still picture has every setting with its value and its slider, the buttons, and texts."""
    shown = {row[0]: row[1:] for row in table_rows(html) if len(row) == 3}
    # The article's values, and a seed.
    article = {"top_k": "500", "top_p": "0.95", "temperature": "1.0", "repetition_penalty": "1.0"}
    article |= {"min_length": "50", "max_length": "100", "num_return_sequences": "3", "seed": "0"}
    for name, value in (article | values).items():
        assert shown[name][0] == value
        assert re.fullmatch("━*●─*", shown[name][1])
    text = text_of(html)
    names = ("生成", "停止", "記事の設定", "2 つの設定を比べる", "で終わり")
    english = ("Generate", "Stop", "the article", "Compare two settings", "ended by")
    assert all(name in text for name in names) or all(name in text for name in english)
    assert not {"style", "script", "input", "button"} & tags_of(html)


def test_the_still_picture_shows_the_whole_lab(lm):
    """The bundled model's writes its texts before it is shown; another one is not waited for."""
    bundled = load_model("aozora-mini", device="cpu")
    first = SamplingLab(bundled)
    still = first._repr_mimebundle_()["text/html"]
    assert_the_whole_lab(still)
    run = generate(bundled, OPENING_LINE, SamplingSettings(seed=0))
    assert first.history == [run]
    for sequence in run.sequences:
        pieces = bundled.tokenizer.convert_ids_to_tokens(sequence.token_ids)
        assert "".join(pieces).replace("▁", " ").strip() in text_of(still)
    # The same cell run again shows them again, and writes nothing.
    again = SamplingLab(bundled)
    assert again._repr_mimebundle_()["text/html"] == still
    assert again.history == [run]
    other = SamplingLab(lm, PROMPT, SHORT)
    other._repr_mimebundle_()
    assert other.history == [] and other.error is None


@pytest.mark.parametrize(
    ("place", "track"), [(0, "●" + "─" * snapshot.STEPS), (4, "━" * snapshot.STEPS + "●")]
)
def test_a_slider_in_the_still_picture_stands_where_the_slider_stands(lm, place, track):
    sampling_lab = SamplingLab(lm, PROMPT, SHORT)
    slider = sampling_lab.sliders["top_k"]
    slider.value = slider.max * place // 4
    (row,) = [r for r in table_rows(sampling_lab.still()) if r[0] == "top_k" and len(r) == 3]
    assert row == ["top_k", str(sampling_lab.settings.top_k), track]


def test_every_control_is_in_the_view(sampling_lab):
    def inside(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from inside(child)

    shown = set(inside(sampling_lab.view))
    for owner in (sampling_lab, *sampling_lab.panes):
        if owner is not sampling_lab:
            sampling_lab.pane_buttons.value = owner
            shown |= set(inside(sampling_lab.view))
        for name, widget in vars(owner).items():
            if isinstance(widget, widgets.Widget):
                assert widget in shown, name


def test_labels_are_in_the_language_of_the_lesson(lm):
    set_language("en")
    english = SamplingLab(lm, "snow", SHORT)
    assert english.generate_button.description == "Generate"
    english.generate_button.click()
    assert english.error is None
    # Tokens are Japanese; what stands above them is ours.
    texts = [text_of(english.chart.value).split("bits")[0], english.controls.note.value]
    for text in [*texts, text_of(english.progress.value)]:
        assert text and not [c for c in text if "ぁ" <= c <= "ヺ"]


class Broken:
    """From its call number `at` on, a model's logits are NaN, until it is mended."""

    def __init__(self, model, at):
        self.calls, self.at = 0, at
        self.handle = model.register_forward_hook(self)

    def __call__(self, module, arguments, output):
        self.calls += 1
        if self.calls >= self.at:
            output.logits[:] = torch.nan
        return output

    def mend(self):
        self.handle.remove()


def test_nan_in_the_middle_of_a_text_keeps_it_and_all_earlier_runs(sampling_lab, lm):
    sampling_lab.generate_button.click()
    (earlier,) = sampling_lab.history
    # The first token's distribution is known already: call 5 writes the fifth new token.
    broken = Broken(lm.model, at=5)
    try:
        sampling_lab.generate_button.click()
    finally:
        broken.mend()
    assert isinstance(sampling_lab.error, FloatingPointError)
    assert "NaN" in sampling_lab.problem.value
    first, partial = sampling_lab.history
    assert first is earlier
    for written, whole in zip(partial.sequences, earlier.sequences, strict=True):
        assert written.steps == whole.steps[:4]
        new_ids = [step.token_id for step in written.steps]
        new = lm.tokenizer.decode(new_ids, skip_special_tokens=True)
        assert PROMPT + new in text_of(sampling_lab.result.value)
        assert written.text in sampling_lab.history_pane.copy_box.value
    sampling_lab.generate_button.click()
    assert sampling_lab.error is None
    assert sampling_lab.history[2].sequences == earlier.sequences


def test_a_broken_off_loop_keeps_what_was_written(sampling_lab, lm):
    """As when the kernel is interrupted."""

    async def interrupt():
        sampling_lab.generate_button.click()
        await asyncio.sleep(0.03)
        sampling_lab.writer.task.cancel()
        await asyncio.wait([sampling_lab.writer.task])

    asyncio.run(interrupt())
    (partial,) = sampling_lab.history
    oracle = generate(lm, PROMPT, SHORT)
    for written, whole in zip(partial.sequences, oracle.sequences, strict=True):
        assert written.token_ids == whole.token_ids[: len(written.token_ids)]
    assert not sampling_lab.generate_button.disabled


def test_saving_keeps_what_the_file_holds_and_says_how_many(sampling_lab, lm, tmp_path):
    pane, file = sampling_lab.history_pane, tmp_path / "lab.json"
    before = [generate(lm, PROMPT, replace(SHORT, seed=9))]
    save(before, file)
    pane.file_box.value = str(file)
    pane.save_button.click()
    assert "まだ記録がない" in sampling_lab.problem.value and load(file) == before
    sampling_lab.generate_button.click()
    pane.save_button.click()
    assert load(file) == [*before, *sampling_lab.history]
    assert "1 件を" in pane.note.value and "全部で 2 件" in pane.note.value
    pane.save_button.click()
    assert len(load(file)) == 2 and sampling_lab.error is None


def test_a_file_of_something_else_is_left_as_it_is(sampling_lab, tmp_path):
    pane, notes = sampling_lab.history_pane, tmp_path / "notes.txt"
    notes.write_text("大事なメモ", encoding="utf-8")
    sampling_lab.generate_button.click()
    pane.file_box.value = str(notes)
    pane.save_button.click()
    assert "上書きしない" in sampling_lab.problem.value
    assert notes.read_text(encoding="utf-8") == "大事なメモ"
    # Another name is another matter.
    pane.file_box.value = str(tmp_path / "other.json")
    assert sampling_lab.error is None


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("button", ["save_button", "load_button"])
def test_a_missing_file_name_is_said_in_the_readers_language(lm, language, button):
    set_language(language)
    sampling_lab = SamplingLab(lm, PROMPT, SHORT)
    sampling_lab.generate()
    sampling_lab.history_pane.file_box.value = ""
    getattr(sampling_lab.history_pane, button).click()
    said = {"ja": "ファイル名がありません", "en": "there is no file name"}[language]
    assert said in sampling_lab.problem.value
    assert "PosixPath" not in sampling_lab.problem.value


def test_an_error_that_was_not_written_for_readers_says_what_to_do(sampling_lab, monkeypatch):
    def broken(*arguments, **named):
        raise ValueError("not a sentence")

    monkeypatch.setattr(charts, "distribution_chart", broken)
    sampling_lab.redraw()
    assert "予期しない問題" in sampling_lab.problem.value
    assert "ValueError: not a sentence" in sampling_lab.problem.value


def test_a_lab_made_again_goes_on_with_the_history(lm, tmp_path):
    first = SamplingLab(lm, PROMPT, SHORT)
    first.generate_button.click()
    again = SamplingLab(lm, "山の中に", SHORT)
    assert again.history == [generate(lm, PROMPT, SHORT)]
    assert again.history_pane.copy_box.value == as_text(again.history[0])
    again.generate_button.click()
    assert len(SamplingLab(replace(lm), PROMPT).history) == 2
    other = load_model(make_model(tmp_path), device="cpu")
    assert SamplingLab(other, PROMPT, SHORT).history == []


def test_a_lab_made_again_while_one_writes_gets_what_was_being_written(lm):
    async def rerun():
        first = SamplingLab(lm, PROMPT, SHORT)
        first.generate_button.click()
        await asyncio.sleep(0.03)
        again = SamplingLab(lm, PROMPT, SHORT)
        await idle(first)
        return again

    again = asyncio.run(rerun())
    (partial,) = again.history
    assert "user" in {sequence.stopped for sequence in partial.sequences}
    assert again.history_pane.copy_box.value == as_text(partial)


def test_a_generation_that_ends_well_leaves_the_error_of_the_settings(sampling_lab):
    async def contradict():
        sampling_lab.generate_button.click()
        sampling_lab.boxes["min_length"].value = 31
        await idle(sampling_lab)

    asyncio.run(contradict())
    assert len(sampling_lab.generation.sequences) == 3
    assert sampling_lab.error.field == "min_length"
    assert "min_length を max_length 以下に" in sampling_lab.problem.value
    sampling_lab.boxes["min_length"].value = 0
    assert sampling_lab.error is None and not sampling_lab.problem.value


def test_a_picture_drawn_in_time_leaves_the_error_of_a_click(sampling_lab):
    """The prompt has no room for a new token, but its next one can be looked at."""

    async def too_long():
        sampling_lab.prompt_box.value = "雪" * 35
        sampling_lab.generate_button.click()
        await asyncio.sleep(lab.TYPING_PAUSE + 0.1)
        assert sampling_lab.error.field == "max_length"
        assert "max_length" in sampling_lab.problem.value
        assert table_rows(sampling_lab.chart.value)
        sampling_lab.prompt_box.value = PROMPT
        assert sampling_lab.error is None and not sampling_lab.problem.value

    asyncio.run(too_long())


def test_one_reason_is_said_once(sampling_lab):
    sampling_lab.boxes["min_length"].value = 31
    for button in (
        sampling_lab.generate_button,
        sampling_lab.next_token.step_button,
        sampling_lab.next_token.draw_button,
    ):
        button.click()
    assert sampling_lab.problem.value.count("⚠") == 1
    sampling_lab.history_pane.file_box.value = ""
    sampling_lab.history_pane.load_button.click()
    assert sampling_lab.problem.value.count("⚠") == 2


def test_back_does_not_write_over_what_was_typed(sampling_lab):
    sampling_lab.next_token.step_button.click()
    sampling_lab.prompt_box.value = "山の中に"
    assert sampling_lab.next_token.back_button.disabled
    sampling_lab.next_token.back_button.click()
    assert sampling_lab.draft == Draft("山の中に")
    sampling_lab.next_token.step_button.click()
    sampling_lab.next_token.back_button.click()
    assert sampling_lab.draft == Draft("山の中に")


def test_without_a_loop_a_token_can_be_picked_as_soon_as_texts_are_there(sampling_lab):
    pane = sampling_lab.token_pane
    sampling_lab.generate_button.click()
    assert "【" in text_of(pane.text.value) and table_rows(pane.chart.value)
    assert pane.alternative_box.value is not None and not pane.continue_button.disabled
    pane.continue_button.click()
    assert sampling_lab.error is None and len(sampling_lab.history) == 2
    pane.alternative_box.options = []
    assert pane.continue_button.disabled
    pane.continue_button.click()
    assert sampling_lab.error is None and len(sampling_lab.history) == 2


def test_a_double_click_continues_once(sampling_lab):
    async def twice():
        sampling_lab.generate_button.click()
        await idle(sampling_lab)
        sampling_lab.token_pane.position_box.value = 4
        sampling_lab.token_pane.continue_button.click()
        sampling_lab.token_pane.continue_button.click()
        await idle(sampling_lab)

    asyncio.run(twice())
    assert len(sampling_lab.draft.chosen) == 4 and len(sampling_lab.history) == 2
    sampling_lab.next_token.back_button.click()
    assert sampling_lab.draft == Draft(PROMPT) and sampling_lab.next_token.back_button.disabled


def test_a_token_without_room_after_it_leaves_the_text_as_it_is(sampling_lab):
    sampling_lab.generate_button.click()
    pane = sampling_lab.token_pane
    pane.position_box.value = 10_000
    sampling_lab.boxes["max_length"].value = 12
    before = sampling_lab.draft
    pane.continue_button.click()
    assert sampling_lab.error.field == "max_length"
    assert sampling_lab.draft == before and sampling_lab.next_token.back_button.disabled


def test_an_error_takes_the_old_picture_away(sampling_lab):
    chart, chips = sampling_lab.chart.value, sampling_lab.chips.value
    sampling_lab.boxes["min_length"].value = 31
    assert not table_rows(sampling_lab.chart.value) and sampling_lab.chips.value == chips
    sampling_lab.next_token.draw_button.click()
    assert not table_rows(sampling_lab.chart.value)
    sampling_lab.boxes["min_length"].value = 0
    assert sampling_lab.chart.value == chart
    sampling_lab.prompt_box.value = "雪\ud800"
    assert not sampling_lab.chips.value and not table_rows(sampling_lab.chart.value)
    assert "2 文字目" in sampling_lab.problem.value


def test_the_still_picture_is_never_an_old_one(sampling_lab):
    async def look():
        sampling_lab.boxes["top_k"].value = 2
        sampling_lab.prompt_box.value = "山の中に"
        return sampling_lab.still()

    old = sampling_lab.chart.value
    still = asyncio.run(look())
    assert old not in still and sampling_lab.chart.value in still
    assert "残り 2 個" in text_of(still) and "山" in text_of(still)


@pytest.mark.parametrize("prompt", [PROMPT, "", "雪\ud800"])
@pytest.mark.parametrize("min_length", [0, 31])
def test_a_lab_that_cannot_draw_is_shown_all_the_same(lm, prompt, min_length):
    sampling_lab = SamplingLab(lm, PROMPT, SHORT)
    sampling_lab.boxes["min_length"].value = min_length
    sampling_lab.prompt_box.value = prompt
    bundle = sampling_lab._repr_mimebundle_()
    assert str(min_length) in text_of(bundle["text/html"])
    assert bool(table_rows(sampling_lab.chart.value)) == (prompt == PROMPT and not min_length)
    assert sampling_lab.problem.value in bundle["text/html"]
    for data in ("text/plain", "text/html"):
        bundle[data].encode("utf-8")


def test_clicks_come_after_what_was_set_before_them(sampling_lab):
    async def at_once():
        sampling_lab.boxes["top_k"].value = 2
        sampling_lab.next_token.draw_button.click()
        await asyncio.sleep(0.1)
        seen = [row[4].split(" → ")[1] for row in table_rows(sampling_lab.chart.value)[1:]]
        assert sum(map(int, seen)) == 100 and seen[2:] == ["0"] * len(seen[2:])

        sampling_lab.generate_button.click()
        await idle(sampling_lab)
        pane = sampling_lab.token_pane
        chosen = [step.token_id for step in sampling_lab.generation.sequences[1].steps]
        pane.sequence_box.value = 1
        pane.position_box.value = 6
        pane.continue_button.click()
        assert sampling_lab.draft.chosen[:5] == tuple(chosen[:5])
        expected = pane._next_token.distribution(Draft(PROMPT, tuple(chosen[:5])), SHORT).head(1)
        assert sampling_lab.draft.chosen[5:] == (expected[0].token_id,)
        await idle(sampling_lab)

    asyncio.run(at_once())


def test_a_run_from_chosen_tokens_is_written_again(sampling_lab):
    sampling_lab.next_token.step_button.click()
    sampling_lab.next_token.step_button.click()
    draft = sampling_lab.draft
    sampling_lab.generate_button.click()
    (run,) = sampling_lab.history
    sampling_lab.prompt_box.value = "山"
    sampling_lab.boxes["seed"].value = 77
    sampling_lab.history_pane.back_button.click()
    assert sampling_lab.draft == draft and len(draft.chosen) == 2
    sampling_lab.generate_button.click()
    assert sampling_lab.history[1] == run
    sampling_lab.next_token.back_button.click()
    assert sampling_lab.draft == Draft("山")


def test_what_a_control_cannot_be_moved_to_is_said(sampling_lab, lm):
    run = generate(lm, PROMPT, replace(SHORT, temperature=500.0, num_return_sequences=9))
    sampling_lab.keep([run])
    sampling_lab.history_pane.back_button.click()
    said = unescape(sampling_lab.controls.note.value)
    assert "temperature: 500.0 → 100.0" in said and "num_return_sequences: 9 → 8" in said
    assert "top_k: " not in said
    sampling_lab.controls.preset_buttons[0].click()
    assert "max_length: 100 → 64" in unescape(sampling_lab.controls.note.value)
    assert "→" not in SamplingLab(lm, PROMPT, SHORT).controls.note.value


def test_speed_is_the_models_own(sampling_lab, lm, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    wait = asyncio.sleep

    async def sleep(seconds):
        clock.now += 100
        await wait(0)

    def run(*arguments):
        clock.now += 0.5

    async def generate_once():
        sampling_lab.generate_button.click()
        while sampling_lab.generate_button.disabled:
            await wait(0.001)

    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(writer.asyncio, "sleep", sleep)
    handle = lm.model.register_forward_hook(run)
    try:
        asyncio.run(generate_once())
    finally:
        handle.remove()
    steps = [len(sequence.steps) for sequence in sampling_lab.generation.sequences]
    rate = charts.number(sum(steps) / (0.5 * max(steps)))
    assert f"毎秒 {rate}" in text_of(sampling_lab.progress.value)


def test_the_progress_bar_fills_when_all_texts_come_to_their_end(sampling_lab, monkeypatch):
    def done():
        shown = re.search(r'value="(\d+)" max="(\d+)"', sampling_lab.progress.value)
        return int(shown[1]) / int(shown[2])

    sampling_lab.generate_button.click()
    assert done() == 1
    ends = [sampling_lab.language_model.tokenizer.eos_token_id] * 3
    monkeypatch.setattr(
        "helpers.engines.torch.runner._draw", lambda *_: torch.tensor(ends)[:, None]
    )
    sampling_lab.generate_button.click()
    assert {s.stopped for s in sampling_lab.generation.sequences} == {"eos"}
    assert done() == 1


def test_a_stopped_generation_does_not_fill_the_bar(lm, monkeypatch):
    monkeypatch.setattr(writer, "BLOCKING_TIME", 0.0)
    slow = SamplingLab(lm, PROMPT, SHORT)
    slow.generate_button.click()
    assert re.search(r'value="1" max="(\d+)"', slow.progress.value)[1] != "1"


def test_a_tokens_own_probabilities_can_be_read_without_a_mouse(sampling_lab, lm):
    sampling_lab.generate_button.click()
    pane = sampling_lab.token_pane
    pane.sequence_box.value = 1
    pane.position_box.value = 3
    step = sampling_lab.generation.sequences[1].steps[2]
    piece = lm.tokenizer.convert_ids_to_tokens(step.token_id)
    shown = f"{piece} (id {step.token_id}): モデル {charts.percent(step.raw)}、設定後 {charts.percent(step.final)}"
    assert shown in text_of(pane.text.value)


def test_all_unknown_characters_of_a_long_prompt_are_counted(tmp_path):
    wide = load_model(make_model(tmp_path, n_positions=1024), device="cpu")
    sampling_lab = SamplingLab(wide, "雪の夜" * 100 + "𠮷の🍣" + "①" * 3, SHORT)
    sampling_lab.redraw()
    ids = wide.tokenizer.encode(sampling_lab.prompt_box.value, add_special_tokens=False)
    unknown = ids.count(wide.tokenizer.unk_token_id)
    text = text_of(sampling_lab.chips.value)
    assert unknown >= 2 and f"うち未知 {unknown} 個" in text
    # What NFKC changed stands at the end, and is shown.
    assert "𠮷の🍣111" in text


def test_after_all_widgets_were_closed_a_new_lab_works(lm):
    """As `widgets.Widget.close_all()` does in a cell: nothing of an old lab may be part of a new one."""
    SamplingLab(lm, PROMPT, SHORT)
    widgets.Widget.close_all()
    again = SamplingLab(lm, PROMPT, SHORT)

    def open_parts(widget):
        yield widget
        yield widget.layout
        for child in getattr(widget, "children", ()):
            yield from open_parts(child)

    parts = list(open_parts(again.view))
    assert all(part.comm is not None for part in parts)
    layouts = [part for part in parts if isinstance(part, widgets.Layout)]
    assert len({id(layout) for layout in layouts}) == len(layouts)
    again.generate_button.click()
    assert again.error is None and len(again.generation.sequences) == 3


@pytest.fixture
def slurs(monkeypatch):
    """The words to be masked, for a test to fill in."""
    found: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(masking, "words_to_mask", lambda: found)
    return found


OWN_WORDS = "確率与数値設定後未満以上最初違番目新終停止文字"


def all_shown(sampling_lab):
    """The text of everything that shows what was written."""
    panes = (
        sampling_lab.result,
        sampling_lab.token_pane.text,
        sampling_lab.japanese_pane.texts,
        sampling_lab.compare_pane.result,
    )
    return [pane.value for pane in panes]


def test_the_switch_covers_words_and_writes_nothing_new(lm, slurs, monkeypatch):
    monkeypatch.delenv("HELPERS_MASK", raising=False)
    sampling_lab = SamplingLab(lm, PROMPT, SHORT)
    pane = sampling_lab.compare_pane
    pane.settings = {name: SHORT for name in "AB"}
    assert not sampling_lab.masked
    sampling_lab.generate_button.click()
    pane.compare_button.click()
    before = list(sampling_lab.history)
    # From the first text and from the compared one: characters behind the first token that none of our own words has.
    words = set()
    for sequence in (before[0].sequences[0], before[-1].sequences[0]):
        start = len(sequence.token_ids) - len(sequence.steps) + 1
        text = lm.tokenizer.decode(sequence.token_ids[start:])
        words.add(next(c for c in text if "一" <= c <= "龯" and c not in f"{PROMPT}{OWN_WORDS}"))
    open_texts = all_shown(sampling_lab)
    assert "<details" not in "".join(open_texts)
    slurs.update(dict.fromkeys(words, ()))
    sampling_lab.mask_button.value = True
    for text in all_shown(sampling_lab):
        assert "<details" in text
        outside = re.sub(r"<details.*?</details>", "", text)
        assert not words & set(text_of(outside))
    assert not words & set(sampling_lab.history_pane.copy_box.value)
    assert sampling_lab.history == before and sampling_lab.error is None
    sampling_lab.mask_button.value = False
    assert all_shown(sampling_lab) == open_texts
    assert sampling_lab.history_pane.copy_box.value == as_text(before[-1])


def test_the_switch_covers_tokens_that_could_come_next(sampling_lab, slurs):
    view, pane = sampling_lab.next_token, sampling_lab.token_pane
    sampling_lab.generate_button.click()
    view.draw_button.click()
    (first,) = next_token_distribution(
        sampling_lab.language_model, PROMPT, sampling_lab.settings
    ).head(1)
    view.step_button.click()
    (chosen,) = sampling_lab.draft.chosen
    (chosen,) = sampling_lab.language_model.tokenizer.convert_ids_to_tokens([chosen])
    view.back_button.click()
    view.draw_button.click()
    drawn, note = view.chart.value, view.note.value
    assert f">{first.piece}</th>" in drawn and f"「{first.piece}」" in note
    slurs.update({first.piece: (), chosen: ()})
    sampling_lab.mask_button.value = True
    cover = SIGN * len(first.piece)
    assert f">{cover}</th>" in view.chart.value and f">{first.piece}</th>" not in view.chart.value
    assert f"「{cover}」" in view.note.value
    # Nothing was drawn again: only the covered names differ.
    assert table_numbers(view.chart.value) == table_numbers(drawn)
    names = [label.split()[0] for label, _ in pane.alternative_box.options]
    assert not set(names) & set(slurs)
    view.step_button.click()
    assert f">{chosen}<" not in sampling_lab.prompt.chips.value
    sampling_lab.mask_button.value = False
    assert chosen in text_of(sampling_lab.prompt.chips.value)


def table_numbers(chart: str) -> list[list[str]]:
    return [row[2:] for row in table_rows(chart)]


def test_the_switch_keeps_the_run_that_was_chosen(sampling_lab):
    for seed in (1, 2, 3):
        sampling_lab.boxes["seed"].value = seed
        sampling_lab.generate_button.click()
    sampling_lab.history_pane.run_box.value = 1
    sampling_lab.mask_button.value = True
    assert sampling_lab.history_pane.run_box.value == 1


@pytest.mark.parametrize(("value", "masked"), [("1", True), ("0", False), ("", False)])
def test_the_environment_turns_the_switch_on(lm, monkeypatch, value, masked):
    monkeypatch.setenv("HELPERS_MASK", value)
    assert SamplingLab(lm, PROMPT, SHORT).masked is masked
