"""The lab's state: `python -m pytest tests/test_lab_state.py`."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from rinna_layout import make_model

from helpers import BUNDLED_MODEL
from helpers.errors import InputError
from helpers.lab.drafts import (
    Draft,
    NextToken,
    draft_before,
    draft_of,
    draw,
    encode_draft,
    stream_draft,
)
from helpers.lab.japanese_pane import script_shares
from helpers.lab.presets import nearest, presets, top_k_scale
from helpers.lab.records import (
    as_code,
    as_text,
    from_json,
    load,
    new_runs,
    record_path,
    save,
    to_json,
)
from helpers.models import load_model
from helpers.sampling import (
    SamplingSettings,
    SettingsError,
    generate,
    next_token_distribution,
)

PROMPT = "雪の降る夜には"
SHORT = SamplingSettings(min_length=0, max_length=40)


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return load_model(make_model(tmp_path_factory.mktemp("model")), device="cpu")


def written(events):
    """What a stream returns when it is done."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


@pytest.fixture
def model_calls(lm, monkeypatch):
    calls = []
    handle = lm.model.register_forward_hook(lambda *_: calls.append(1))
    yield calls
    handle.remove()


@pytest.mark.parametrize("vocab_size", [5, 120, 8_000, 44_928])
def test_top_k_scale_reaches_from_off_to_the_vocabulary(vocab_size):
    scale = top_k_scale(vocab_size)
    assert scale[0] == 0 and scale[-1] == vocab_size
    assert scale == sorted(set(scale))
    assert set(range(1, min(10, vocab_size) + 1)) <= set(scale)
    # No step more than half as large again: every region can be reached.
    assert all(b <= 1.5 * a for a, b in pairwise(scale[2:]))
    assert len(scale) < 60
    if vocab_size > 500:
        assert 500 in scale


@pytest.mark.parametrize(("value", "index"), [(0, 0), (11, 2), (15, 2), (16, 3), (99, 3)])
def test_nearest(value, index):
    assert nearest([0, 5, 10, 20], value) == index


def test_the_first_preset_is_the_article():
    assert presets()[0].settings == SamplingSettings(
        min_length=50, max_length=100, do_sample=True, top_k=500, top_p=0.95, num_return_sequences=3
    )
    assert all(preset.why for preset in presets())


def test_settings_change_the_distribution_without_running_the_model(lm, model_calls):
    next_token = NextToken(lm)
    next_token.distribution(Draft(PROMPT), SHORT)
    assert len(model_calls) == 1
    all_settings = [SamplingSettings(min_length=0, max_length=40, top_k=k) for k in (1, 5, 50)]
    cached = [next_token.distribution(Draft(PROMPT), settings) for settings in all_settings]
    assert len(model_calls) == 1
    for settings, distribution in zip(all_settings, cached, strict=True):
        fresh = next_token_distribution(lm, PROMPT, settings)
        assert torch.equal(distribution.final, fresh.final)
        assert torch.equal(distribution.raw, fresh.raw)


def test_another_prompt_runs_the_model_again(lm, model_calls):
    next_token = NextToken(lm)
    next_token.distribution(Draft(PROMPT), SHORT)
    other = next_token.distribution(Draft("山の中に"), SHORT)
    assert len(model_calls) == 2
    assert torch.equal(other.raw, next_token_distribution(lm, "山の中に", SHORT).raw)


def test_a_prompt_that_cannot_be_used_leaves_the_cache_as_it_was(lm, model_calls):
    next_token = NextToken(lm)
    before = next_token.distribution(Draft(PROMPT), SHORT)
    with pytest.raises(SettingsError):
        next_token.distribution(Draft(""), SHORT)
    assert torch.equal(next_token.distribution(Draft(PROMPT), SHORT).raw, before.raw)
    assert len(model_calls) == 1


def test_one_draw_is_the_first_token_of_generate(lm):
    for seed in range(20):
        settings = replace(SHORT, max_length=12, top_k=50, num_return_sequences=1, seed=seed)
        distribution = next_token_distribution(lm, PROMPT, settings)
        sequence = generate(lm, PROMPT, settings).sequences[0]
        assert draw(distribution, 1, seed) == [sequence.steps[0].token_id]


def test_many_draws_follow_the_distribution(lm):
    distribution = next_token_distribution(lm, PROMPT, replace(SHORT, top_k=8, top_p=1.0))
    counts = Counter(draw(distribution, 20_000, seed=1))
    kept = [c for c in distribution.candidates if c.final > 0]
    assert set(counts) <= {c.token_id for c in kept} and len(kept) == 8
    for candidate in kept:
        # Five standard deviations of a binomial.
        spread = (20_000 * candidate.final * (1 - candidate.final)) ** 0.5
        assert abs(counts[candidate.token_id] - 20_000 * candidate.final) < 5 * spread


def test_a_draft_goes_on_from_any_token_exactly_as_model_generate_does(lm):
    generation = generate(lm, PROMPT, replace(SHORT, seed=5, num_return_sequences=2))
    draft = draft_before(lm, generation, sequence=1, step=4)
    prompt_ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False)
    assert draft.chosen == tuple(step.token_id for step in generation.sequences[1].steps[:4])
    draft = draft.then(17)
    ids = [*prompt_ids, *draft.chosen]
    settings = replace(SHORT, top_k=0, top_p=1.0, seed=9, num_return_sequences=2)
    assert encode_draft(lm, draft, settings).tolist() == [ids]
    result = written(stream_draft(lm, draft, settings, lambda: False))
    torch.manual_seed(9)
    inputs = torch.tensor([ids])
    plain = lm.model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=True,
        top_k=0,
        top_p=1.0,
        max_length=40,
        num_return_sequences=2,
        pad_token_id=lm.tokenizer.eos_token_id,
    )
    for sequence, expected in zip(result.sequences, plain.tolist(), strict=True):
        assert sequence.token_ids == expected[: len(sequence.token_ids)]
        assert sequence.token_ids[: len(ids)] == ids


def test_a_draft_without_room_says_so(lm):
    ids = lm.tokenizer.encode(PROMPT, add_special_tokens=False)
    settings = replace(SHORT, max_length=len(ids) + 2)
    assert encode_draft(lm, Draft(PROMPT, (17,)), settings).shape == (1, len(ids) + 1)
    with pytest.raises(SettingsError, match=f"{len(ids) + 3}") as caught:
        encode_draft(lm, Draft(PROMPT, (17, 17)), settings)
    assert caught.value.field == "max_length"
    # One more token can be looked at whatever max_length is, as long as the model has a position for it.
    assert encode_draft(lm, Draft(PROMPT, (17, 17))).shape == (1, len(ids) + 2)
    full = Draft(PROMPT, (17,) * (lm.n_positions - len(ids)))
    with pytest.raises(SettingsError, match=str(lm.n_positions)):
        encode_draft(lm, full)


def test_script_shares():
    shares = script_shares("漢字とカナ、A 𠮷々ー")
    # 漢字𠮷々 / と / カナー / 、A
    assert shares == pytest.approx({"kanji": 0.4, "hiragana": 0.1, "katakana": 0.3, "other": 0.2})
    assert script_shares("ｦﾄﾝﾈﾙﾟ")["katakana"] == 1
    assert set(script_shares("").values()) == {0}


def test_runs_are_the_same_after_json(lm):
    history = [generate(lm, PROMPT, replace(SHORT, seed=seed)) for seed in (1, 2)]
    assert from_json(to_json(history)) == history


def test_saving_keeps_the_runs_that_the_file_holds(lm, tmp_path):
    first, second, third = (generate(lm, PROMPT, replace(SHORT, seed=seed)) for seed in (1, 2, 3))
    file = tmp_path / "記録.json"
    assert save([first, second], file) == [first, second]
    assert save([second, third], file) == [first, second, third]
    assert load(file) == [first, second, third]
    # Saved again, nothing is there twice; what the reader wrote twice, with one seed, is.
    assert save([third, first], file) == [first, second, third]
    assert save([third, third], file) == [first, second, third, third]
    assert new_runs([first, third, third, third], load(file)) == [third]
    assert [path.name for path in tmp_path.iterdir()] == ["記録.json"]


@pytest.mark.parametrize("content", ["", "私のノート", '{"cells": []}', "[1]"])
def test_a_file_that_is_no_record_is_not_written_over(lm, tmp_path, content):
    file = tmp_path / "notes.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.json"):
        save([generate(lm, PROMPT, SHORT)], file)
    assert file.read_text(encoding="utf-8") == content


def test_an_empty_history_writes_over_nothing(lm, tmp_path):
    file = tmp_path / "lab.json"
    for before in (None, [generate(lm, PROMPT, SHORT)]):
        if before:
            save(before, file)
        with pytest.raises(InputError, match=r"まだ|no run yet"):
            save([], file)
        assert (load(file) if file.exists() else None) == before


@pytest.mark.parametrize("name", ["", " ", ".", "/", "~nobody-of-this-name", "a\0b"])
def test_what_is_no_file_name_is_refused_in_one_sentence(name):
    with pytest.raises(InputError, match=r"ファイル名|file name"):
        record_path(name)


def test_a_run_from_chosen_tokens_tells_its_draft(lm):
    draft = Draft(PROMPT, (17, 30))
    run = written(stream_draft(lm, draft, replace(SHORT, seed=4), lambda: False))
    assert draft_of(lm, run) == draft
    assert draft_of(lm, generate(lm, PROMPT, SHORT)) == Draft(PROMPT)
    first = run.sequences[0]
    other = replace(first, token_ids=[5, *first.token_ids])
    with pytest.raises(InputError, match=r"別のモデル|another model"):
        draft_of(lm, replace(run, sequences=[other]))


@pytest.mark.parametrize(
    "text", ["", "{}x", "[1]", '[{"prompt": "a"}]', "null", '[{"settings": 1}]']
)
def test_what_is_no_record_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"record|記録"):
        from_json(text)


@pytest.mark.parametrize("chosen", [(), (17, 30)])
@pytest.mark.parametrize("do_sample", [True, False])
def test_the_code_of_a_run_writes_it_again(lm, chosen, do_sample, capsys):
    draft = Draft("雪'の\"夜\\", chosen)
    settings = replace(SHORT, seed=4, do_sample=do_sample)
    run = written(stream_draft(lm, draft, settings, lambda: False))
    names = {}
    exec(as_code(lm, run), names)
    for row, sequence in zip(names["output"].tolist(), run.sequences, strict=True):
        assert row[: len(sequence.token_ids)] == sequence.token_ids


@pytest.mark.parametrize(
    ("dtype", "written"),
    [(None, ")"), (torch.float32, ")"), (torch.bfloat16, ", dtype=torch.bfloat16)")],
)
def test_the_code_of_a_run_names_a_dtype_that_was_asked_for(dtype, written, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    lm = load_model(BUNDLED_MODEL, device="cpu", dtype=dtype)
    run = generate(lm, PROMPT, replace(SHORT, seed=4))
    code = as_code(lm, run)
    assert f"lm = load_model('{BUNDLED_MODEL}'{written}\n" in code
    names = {}
    exec(code, names)
    assert (
        names["output"][0].tolist()[: len(run.sequences[0].token_ids)] == run.sequences[0].token_ids
    )


def test_the_text_of_a_run_holds_all_of_it(lm):
    run = generate(lm, PROMPT, replace(SHORT, seed=4))
    text = as_text(run)
    numbered = (f"{i}. {run.sequences[i - 1].text}" for i in range(1, len(run.sequences) + 1))
    for part in (PROMPT, "top_k=500", "seed=4", *numbered):
        assert part in text


@pytest.mark.process
def test_presets_and_scales_load_neither_widgets_nor_torch():
    program = "import helpers.lab.presets, sys; print({'ipywidgets', 'torch'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout.strip() == "set()", output.stderr
