"""Settings, generate, stream and the distribution against transformers itself: `pytest tests/test_sampling.py`."""

import logging
import math
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from rinna_layout import make_model
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from helpers.models import load_model
from helpers.sampling import (
    SamplingSettings,
    SettingsError,
    encode_prompt,
    generate,
    next_token_distribution,
    stream,
)

pytestmark = pytest.mark.colab

PROMPT = "雪国であった。"
OPENING_LINE = "国境の長いトンネルを抜けると雪国であった。"
ARTICLE = SamplingSettings(seed=42)
BRIEF = replace(ARTICLE, min_length=20, max_length=40)


@pytest.fixture(scope="module")
def bundled():
    return load_model("aozora-mini", device="cpu")


@pytest.fixture(scope="module", params=["gpt2", "gpt-1b"])
def tiny(request, tmp_path_factory):
    return load_model(make_model(tmp_path_factory.mktemp("m"), request.param), device="cpu")


SHORT = SamplingSettings(min_length=0, max_length=40, top_k=30, seed=3)
# Nearly uniform: among 200 sequences some end early, whatever the random weights are.
FLAT = replace(SHORT, top_k=0, top_p=1.0, temperature=5.0, num_return_sequences=200)


def plain_call(lm, prompt, settings):
    """The article's cell, with the settings' numbers."""
    input_ids = lm.tokenizer.encode(prompt, return_tensors="pt", add_special_tokens=False)
    torch.manual_seed(settings.seed)
    with torch.no_grad():
        return lm.model.generate(
            input_ids,
            min_length=settings.min_length,
            max_length=settings.max_length,
            do_sample=True,
            top_k=settings.top_k,
            top_p=settings.top_p,
            temperature=settings.temperature,
            repetition_penalty=settings.repetition_penalty,
            num_return_sequences=settings.num_return_sequences,
            pad_token_id=lm.tokenizer.pad_token_id,
            bos_token_id=lm.tokenizer.bos_token_id,
            eos_token_id=lm.tokenizer.eos_token_id,
        )


def drain(events):
    """The events of a stream and the generation it returns."""
    collected = []
    while True:
        try:
            collected.append(next(events))
            # A caller that draws random numbers of its own must not change the text.
            torch.rand(3)
        except StopIteration as end:
            return collected, end.value


def ids_of(generation):
    return [s.token_ids for s in generation.sequences]


def without_padding(rows, generation):
    """The plain call's rows, each cut to the length of ours: behind it stands only padding."""
    return [
        row[: len(s.token_ids)] for row, s in zip(rows.tolist(), generation.sequences, strict=True)
    ]


SEVERAL = [
    {},
    {"top_k": 0, "top_p": 1.0},
    {"top_k": 1},
    {"top_p": 0.3, "temperature": 0.7},
    {"repetition_penalty": 1.5, "temperature": 1.8},
    {"min_length": 30},
    {"num_return_sequences": 1},
]


@pytest.mark.parametrize("changes", SEVERAL, ids=str)
def test_one_seed_gives_the_plain_calls_ids_in_generate_and_stream(tiny, changes):
    settings = replace(SHORT, **changes)
    generation = generate(tiny, PROMPT, settings)
    rows = plain_call(tiny, PROMPT, settings)
    assert without_padding(rows, generation) == ids_of(generation)
    tails = [
        row[len(s.token_ids) :] for row, s in zip(rows.tolist(), generation.sequences, strict=True)
    ]
    assert {i for tail in tails for i in tail} <= {tiny.tokenizer.pad_token_id}
    _, streamed = drain(stream(tiny, PROMPT, settings))
    assert ids_of(streamed) == ids_of(generation)
    assert [s.stopped for s in streamed.sequences] == [s.stopped for s in generation.sequences]
    ours = [step for s in generation.sequences for step in s.steps]
    theirs = [step for s in streamed.sequences for step in s.steps]
    np.testing.assert_allclose([s[1:] for s in ours], [s[1:] for s in theirs], atol=1e-6)


LONG_PROMPT = PROMPT * 20


@pytest.mark.parametrize("way", ["generate", "stream"])
def test_a_long_prompt_is_read_once_for_all_sequences(bundled, way):
    settings = SamplingSettings(min_length=0, max_length=150, num_return_sequences=3, seed=3)
    known = encode_prompt(bundled, LONG_PROMPT, settings).shape[1]
    rows = plain_call(bundled, LONG_PROMPT, settings)
    read = []
    table = bundled.model.get_input_embeddings()
    hook = table.register_forward_hook(lambda module, inputs, _: read.append(inputs[0].numel()))
    if way == "generate":
        generation = generate(bundled, LONG_PROMPT, settings)
    else:
        _, generation = drain(stream(bundled, LONG_PROMPT, settings))
    hook.remove()
    assert without_padding(rows, generation) == ids_of(generation)
    new = max(len(ids) for ids in ids_of(generation)) - known
    assert sum(read) == known - 1 + 3 * new


def test_the_articles_call_on_the_bundled_model(bundled):
    generation = generate(bundled, OPENING_LINE, ARTICLE)
    rows = plain_call(bundled, OPENING_LINE, ARTICLE)
    assert without_padding(rows, generation) == ids_of(generation)
    assert ids_of(drain(stream(bundled, OPENING_LINE, ARTICLE))[1]) == ids_of(generation)
    assert len(generation.sequences) == 3
    for sequence in generation.sequences:
        assert sequence.text.startswith(OPENING_LINE)
        assert 50 <= len(sequence.token_ids) <= 100


@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
def test_a_seed_repeats_and_another_does_not(tiny, seed):
    settings = replace(SHORT, seed=seed)
    first = generate(tiny, PROMPT, settings)
    assert ids_of(generate(tiny, PROMPT, settings)) == ids_of(first)
    assert ids_of(generate(tiny, PROMPT, replace(SHORT, seed=4))) != ids_of(first)


def test_without_a_seed_each_text_is_new_and_its_seed_is_noted(tiny):
    first, second = (generate(tiny, PROMPT, replace(SHORT, seed=None)) for _ in range(2))
    assert ids_of(first) != ids_of(second)
    assert ids_of(generate(tiny, PROMPT, first.settings)) == ids_of(first)


def test_the_callers_random_numbers_are_left_alone(tiny):
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    generate(tiny, PROMPT, SHORT)
    events = stream(tiny, PROMPT, SHORT)
    next(events)
    assert torch.equal(torch.rand(4), expected)
    assert torch.is_grad_enabled()


def test_top_k_1_is_greedy(tiny):
    greedy = replace(SHORT, do_sample=False)
    ids = generate(tiny, PROMPT, greedy).sequences
    assert len(ids) == 1
    for sequence in generate(tiny, PROMPT, replace(SHORT, top_k=1)).sequences:
        assert sequence.token_ids == ids[0].token_ids
    _, streamed = drain(stream(tiny, PROMPT, greedy))
    assert ids_of(streamed) == [ids[0].token_ids]
    # By hand: always the largest logit.
    expected = encode_prompt(tiny, PROMPT)
    while expected.shape[1] < SHORT.max_length:
        with torch.no_grad():
            best = tiny.model(expected).logits[0, -1].argmax()
        expected = torch.cat([expected, best.view(1, 1)], dim=1)
        if best == tiny.tokenizer.eos_token_id:
            break
    assert expected[0].tolist() == ids[0].token_ids


def test_stopped_tells_the_end_token_from_the_limit(tiny):
    eos = tiny.tokenizer.eos_token_id
    sequences = generate(tiny, PROMPT, replace(FLAT, max_length=30)).sequences
    assert {s.stopped for s in sequences} == {"eos", "max_length"}
    for s in sequences:
        assert (s.stopped == "eos") == (s.token_ids[-1] == eos)
        assert len(s.token_ids) == 30 or s.stopped == "eos"


def test_min_length_counts_the_prompt_and_forbids_the_end(tiny):
    def lengths(settings):
        return [len(s.token_ids) for s in generate(tiny, PROMPT, settings).sequences]

    assert min(lengths(FLAT)) < 25 <= min(lengths(replace(FLAT, min_length=25)))


def test_steps_hold_the_probabilities_of_the_model(tiny):
    settings = replace(SHORT, top_p=0.8, temperature=0.9)
    sequence = generate(tiny, PROMPT, settings).sequences[1]
    prompt_length = encode_prompt(tiny, PROMPT).shape[1]
    assert len(sequence.steps) == len(sequence.token_ids) - prompt_length
    with torch.no_grad():
        logits = tiny.model(torch.tensor([sequence.token_ids])).logits[0].double()
    raw = logits.softmax(-1)
    for i, step in enumerate(sequence.steps):
        assert step.token_id == sequence.token_ids[prompt_length + i]
        assert step.raw == pytest.approx(float(raw[prompt_length + i - 1, step.token_id]), abs=1e-5)
        assert step.final >= step.raw * 0.5 > 0


def test_streamed_texts_join_to_the_continuation(bundled):
    events, generation = drain(stream(bundled, OPENING_LINE, replace(ARTICLE, min_length=0)))
    for i, sequence in enumerate(generation.sequences):
        mine = [event for event in events if event.sequence == i]
        assert OPENING_LINE + "".join(event.text for event in mine) == sequence.text
        assert [event.token_id for event in mine] == [step.token_id for step in sequence.steps]
        # Nothing is held back: every token with visible text shows it in its own event.
        assert sum(bool(event.text) for event in mine) > 0.9 * len(mine)


def test_sequences_stream_side_by_side(tiny):
    events, _ = drain(stream(tiny, PROMPT, replace(SHORT, min_length=40)))
    assert [e.sequence for e in events[:6]] == [0, 1, 2, 0, 1, 2]


def test_stopping_keeps_what_was_written(tiny):
    seen = 0

    def enough():
        nonlocal seen
        seen += 1
        return seen == 4

    _, generation = drain(stream(tiny, PROMPT, replace(SHORT, min_length=40), enough))
    whole = generate(tiny, PROMPT, replace(SHORT, min_length=40))
    for part, full in zip(generation.sequences, whole.sequences, strict=True):
        assert len(part.steps) == 4
        assert part.stopped == "user"
        assert full.token_ids[: len(part.token_ids)] == part.token_ids


def test_no_warning_reaches_a_reader(bundled, caplog):
    transformers_logger = logging.getLogger("transformers")
    transformers_logger.addHandler(caplog.handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for settings in (
                replace(BRIEF, min_length=0, num_return_sequences=8),
                replace(BRIEF, do_sample=False, temperature=0.7),
                replace(BRIEF, top_k=0, top_p=1.0),
            ):
                generate(bundled, OPENING_LINE, settings)
                drain(stream(bundled, OPENING_LINE, settings))
                next_token_distribution(bundled, OPENING_LINE, settings)
    finally:
        transformers_logger.removeHandler(caplog.handler)
    assert caplog.messages == []


# The distribution


def by_hand(logits, top_k, top_p, temperature):
    """Final probabilities with numpy alone: temperature, then top_k, then top_p on what is left."""
    scaled = logits / temperature
    kept = np.ones(len(scaled), bool)
    if top_k:
        kept = scaled >= np.sort(scaled)[-min(top_k, len(scaled))]
    p = np.where(kept, np.exp(scaled - scaled.max()), 0)
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    # A token stays if those before it have not reached top_p yet.
    before = np.cumsum(p[order]) - p[order]
    nucleus = order[before < top_p]
    final = np.zeros_like(p)
    final[nucleus] = p[nucleus]
    return final / final.sum(), kept


@pytest.mark.parametrize(
    ("top_k", "top_p", "temperature"),
    [
        (500, 0.95, 1.0),
        (20, 1.0, 1.0),
        (0, 0.5, 1.0),
        (50, 0.9, 0.6),
        (5000, 0.8, 2.0),
        (1, 0.1, 1.0),
    ],
)
def test_the_picture_equals_a_softmax_by_hand(bundled, top_k, top_p, temperature):
    settings = replace(ARTICLE, top_k=top_k, top_p=top_p, temperature=temperature, min_length=0)
    input_ids = encode_prompt(bundled, OPENING_LINE)
    with torch.no_grad():
        logits = bundled.model(input_ids).logits[0, -1].double().numpy()
    expected, kept_by_k = by_hand(logits, top_k, top_p, temperature)
    raw, _ = by_hand(logits, 0, 1.0, 1.0)
    distribution = next_token_distribution(bundled, OPENING_LINE, settings)
    for c in distribution.candidates:
        assert c.final == pytest.approx(expected[c.token_id], abs=1e-5)
        assert c.raw == pytest.approx(raw[c.token_id], abs=1e-5)
        if not kept_by_k[c.token_id]:
            assert c.cut_by == "top_k"
        else:
            assert c.cut_by == (None if expected[c.token_id] > 0 else "top_p")
    positive = expected[expected > 0]
    assert distribution.kept == len(positive)
    assert distribution.entropy == pytest.approx(-(positive * np.log2(positive)).sum(), abs=1e-3)
    raws = [c.raw for c in distribution.candidates]
    assert raws == sorted(raws, reverse=True)
    assert len({c.token_id for c in distribution.candidates}) == len(logits)


def test_the_picture_equals_transformers_own_processors(tiny):
    settings = replace(SHORT, top_k=25, top_p=0.7, temperature=1.3, repetition_penalty=1.4)
    input_ids = encode_prompt(tiny, PROMPT)
    with torch.no_grad():
        scores = tiny.model(input_ids).logits[:, -1].float()
    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.4),
            TemperatureLogitsWarper(1.3),
            TopKLogitsWarper(25),
            TopPLogitsWarper(0.7),
        ]
    )
    expected = processors(input_ids, scores)[0].softmax(-1)
    for c in next_token_distribution(tiny, PROMPT, settings).candidates:
        assert c.final == pytest.approx(float(expected[c.token_id]), abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [{"top_p": 0.8}, {"top_k": 0, "top_p": 1.0}, {"top_k": 8, "temperature": 1.5}],
    ids=str,
)
def test_20000_draws_follow_the_shown_probabilities(tiny, changes):
    settings = replace(ARTICLE, min_length=0, max_length=60, **changes)
    shown = {
        c.token_id: c.final for c in next_token_distribution(tiny, PROMPT, settings).candidates
    }
    length = encode_prompt(tiny, PROMPT).shape[1]
    drawn = Counter()
    for seed in range(20):
        one_token = replace(settings, max_length=length + 1, num_return_sequences=1000, seed=seed)
        drawn.update(ids[length] for ids in ids_of(generate(tiny, PROMPT, one_token)))
    assert sum(drawn.values()) == 20_000
    assert all(shown[token_id] > 0 for token_id in drawn)
    # Pearson's chi-squared over the tokens expected at least 5 times, the others as one class.
    common = [i for i, p in shown.items() if p * 20_000 >= 5]
    expected = np.array([shown[i] * 20_000 for i in common])
    observed = np.array([drawn[i] for i in common])
    rest = 20_000 - expected.sum()
    statistic = ((observed - expected) ** 2 / expected).sum()
    if rest >= 5:
        statistic += (20_000 - observed.sum() - rest) ** 2 / rest
    degrees = len(common)
    # Its mean is `degrees`, its variance twice that; six standard deviations are never seen by chance.
    assert statistic < degrees + 6 * math.sqrt(2 * degrees)


def test_greedy_is_shown_as_one_choice(bundled):
    distribution = next_token_distribution(bundled, PROMPT, replace(ARTICLE, do_sample=False))
    assert distribution.kept == 1
    assert distribution.entropy == 0
    assert distribution.candidates[0].final == 1


def test_what_rounds_to_nothing_is_not_removed(bundled):
    """At a very low temperature most probabilities are 0 in float32; no setting has removed those tokens."""
    settings = replace(ARTICLE, top_k=0, top_p=1.0, min_length=0, temperature=0.005)
    distribution = next_token_distribution(bundled, PROMPT, settings)
    assert (distribution.final == 0).any()
    assert {c.cut_by for c in distribution.candidates} == {None}
    assert distribution.kept == len(distribution.token_ids)
    cold = next_token_distribution(bundled, PROMPT, replace(settings, top_k=500))
    assert cold.kept == len(cold.token_ids) - cold.removed("top_k") == 500


def test_the_end_token_is_shown_as_forbidden_below_min_length(bundled):
    eos = bundled.tokenizer.eos_token_id

    def end(min_length):
        settings = replace(ARTICLE, top_k=0, top_p=1.0, min_length=min_length)
        candidates = next_token_distribution(bundled, PROMPT, settings).candidates
        return next(c for c in candidates if c.token_id == eos)

    assert end(50).final == 0 and end(50).cut_by == "min_length"
    assert end(0).final > 0 and end(0).cut_by is None


# Refusals, before any work


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_k", "50"),
        ("top_k", True),
        ("top_k", None),
        ("top_p", 0),
        ("top_p", 1.0001),
        ("top_p", -0.5),
        ("top_p", math.nan),
        ("top_p", "0.9"),
        ("temperature", 0),
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("repetition_penalty", 0),
        ("repetition_penalty", -2.0),
        ("num_return_sequences", 0),
        ("num_return_sequences", 1.0),
        ("min_length", -1),
        ("max_length", 0),
        ("max_length", 20.0),
        ("seed", 1.5),
        ("seed", "7"),
        ("seed", -1),
        ("seed", 2**64),
        ("do_sample", 1),
    ],
)
def test_a_bad_setting_is_one_sentence_that_names_it(field, value):
    with pytest.raises(SettingsError, match=field) as caught:
        SamplingSettings(**{field: value})
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_min_length_above_max_length_names_both():
    with pytest.raises(SettingsError, match=r"min_length = 60.*max_length = 50"):
        SamplingSettings(min_length=60, max_length=50)


def test_numbers_of_numpy_are_numbers():
    settings = SamplingSettings(top_k=np.int64(5), top_p=np.float32(0.5), seed=np.int32(3))
    assert settings == SamplingSettings(top_k=5, top_p=0.5, seed=3)


@pytest.fixture
def never_runs(monkeypatch, tiny):
    """A model that fails the test if it is run at all."""

    def forward(*_, **__):
        pytest.fail("the model was run before the input was checked")

    monkeypatch.setattr(tiny.model, "forward", forward)
    return tiny


BAD_PROMPTS = [
    ("", "prompt"),
    ("  \n　", "prompt"),
    (None, "prompt"),
    (b"abc", "prompt"),
    (["雪国"], "prompt"),
    ("雪\ud842国", "prompt"),
    ("雪国" * 100, r"\d+ tokens|\d+ トークン"),
]
BAD_LENGTHS = [(5, "max_length"), (65, "max_length = 65 .*1 .*64")]


@pytest.mark.parametrize("function", [generate, stream, next_token_distribution])
@pytest.mark.parametrize(("prompt", "message"), BAD_PROMPTS)
def test_a_bad_prompt_is_refused_before_any_work(never_runs, function, prompt, message):
    with pytest.raises(SettingsError, match=message):
        function(never_runs, prompt, SHORT)


@pytest.mark.parametrize("function", [generate, stream])
@pytest.mark.parametrize(("max_length", "message"), BAD_LENGTHS)
def test_a_length_without_room_is_refused_before_any_work(
    never_runs, function, max_length, message
):
    with pytest.raises(SettingsError, match=message):
        function(never_runs, PROMPT, replace(SHORT, max_length=max_length))


def test_the_next_token_can_be_shown_whatever_the_lengths(tiny):
    expected = next_token_distribution(tiny, PROMPT, SHORT).head(5)
    for max_length in (1, 1000):
        settings = replace(SHORT, max_length=max_length)
        assert next_token_distribution(tiny, PROMPT, settings).head(5) == expected


def test_too_long_a_prompt_says_how_many_tokens_over(tiny):
    # 64 positions, one of which the first new token needs.
    length = len(tiny.tokenizer.encode("雪" * 70, add_special_tokens=False))
    with pytest.raises(SettingsError, match=rf"\b{length}\b.*\b{length - 64}\b.*\b{length - 63}\b"):
        generate(tiny, "雪" * 70, SHORT)
    full = "雪" * (70 - (length - 64))
    assert len(tiny.tokenizer.encode(full, add_special_tokens=False)) == 64
    for function in (generate, next_token_distribution):
        with pytest.raises(SettingsError, match="64") as caught:
            function(tiny, full, SHORT)
        assert caught.value.field == "prompt"


def test_a_typed_end_token_is_text(tiny):
    sequence = generate(tiny, "雪</s>国", SHORT).sequences[0]
    prompt_ids = sequence.token_ids[: -len(sequence.steps)]
    assert prompt_ids == tiny.tokenizer.sp_model.encode("雪</s>国")
    assert tiny.tokenizer.eos_token_id not in prompt_ids


def test_nan_logits_are_explained(tmp_path):
    lm = load_model(make_model(tmp_path / "nan"), device="cpu")
    with torch.no_grad():
        lm.model.transformer.ln_f.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="NaN"):
        drain(stream(lm, PROMPT, SHORT))
    with pytest.raises(FloatingPointError, match="NaN"):
        next_token_distribution(lm, PROMPT, SHORT)
