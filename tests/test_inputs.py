"""Whatever is typed, it is generated from within its bounds or refused before any work: `pytest tests/test_inputs.py`.

hypothesis makes the inputs, the same ones in every run and others for each parameter of a test; how many there were is
counted. What is allowed is written down here a second time, and
the tokens are those of the sentencepiece library.
"""

import math
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st
from rinna_layout import make_tokenizer, raw

from helpers import BUNDLED_PATH
from helpers.errors import InputError
from helpers.language import get_language, set_language
from helpers.models import LanguageModel, load_model
from helpers.sampling import SamplingSettings, SettingsError, encode_prompt, generate
from helpers.tokenizer import load_tokenizer, normalize, split_pieces

LARGEST = 2**63 - 1
INTEGERS = {
    "min_length": (0, LARGEST),
    "max_length": (1, LARGEST),
    "top_k": (0, LARGEST),
    "num_return_sequences": (1, 1000),
    "seed": (0, LARGEST),
}
NUMBERS = {
    "top_p": (math.ulp(0.0), 1.0),
    "temperature": (0.001, 1000.0),
    "repetition_penalty": (0.01, 100.0),
}
FIELDS = [*INTEGERS, *NUMBERS, "do_sample"]
JUNK = [
    None, True, False, np.True_, "100", "", "１００", b"1", "\ud800", "x" * 10_000, [], [1], {}, object(), 1j,
    math.nan, math.inf, -math.inf, -0.0, 0, -1, 1, 10**30, 10**400, -(10**400), 10**5000, 1e-320, 1e308, 0.5, 50.0,
    np.int64(7), np.uint8(200), np.int32(-1), np.float32(0.5), np.float64(math.nan), np.float16(math.inf),
    np.array([1, 2]), np.ones((30, 30)), Decimal("0.5"), Fraction(1, 2), Fraction(10**400), 2**63 - 1, 2**63,
]  # fmt: skip
# `make check` tries a few of each, `make test` all.
QUICK = settings.get_current_profile_name() == "quick"
repeatable = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def every_case(number: int, examples: int, **strategies: st.SearchStrategy) -> Callable:
    """Run a check on so many cases, drawn from a seed of its own; afterwards make sure that they were so many."""
    examples = min(examples, settings.default.max_examples) if QUICK else examples

    def run(check: Callable) -> None:
        done = []

        def counted(**values: object) -> None:
            check(**values)
            done.append(1)

        seed(number)(settings(repeatable, max_examples=examples)(given(**strategies)(counted)))()
        assert len(done) >= examples

    return run


any_value = st.one_of(st.sampled_from(JUNK), st.integers(), st.floats())
sensible = {
    "min_length": st.integers(0, 12),
    "max_length": st.integers(1, 24),
    "top_k": st.one_of(st.integers(0, 100), st.sampled_from([8000, LARGEST])),
    "num_return_sequences": st.integers(1, 4),
    "seed": st.one_of(st.none(), st.integers(0, LARGEST)),
    "top_p": st.floats(math.ulp(0.0), 1.0),
    "temperature": st.floats(0.001, 1000.0),
    "repetition_penalty": st.floats(0.01, 100.0),
    "do_sample": st.booleans(),
}
some_junk = st.fixed_dictionaries(
    {}, optional={name: st.one_of(any_value, sensible[name], sensible[name]) for name in FIELDS}
)

PARTS = [
    "雪国", "トンネル", "は", "。", " ", "\u3000", "\n", "\r\n", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\u200b", "\u200d",
    "\ufeff", "\u202e", "\u202c", "\u2066", "\u061c", "\u3099", "e\u0301", "▁", "ｶﾞ", "①", "㍻", "ﷺ", "𠮷", "🍣",
    "👨‍👩‍👧", "<s>", "</s>", "[PAD]", "<unk>", "[MASK]", "[CLS]", "<extra_id_0>", "▁</s>", "<script>alert(1)</script>",
    "&lt;b&gt;", '"><img src=x onerror=alert(1)>', "</textarea>", "\ud800", "\udfff", "\ud83c\udf63"[:1], "\ufffe", "\uffff",
    "İ", "ẞ", "abc", "ＡＢＣ", "A" * 200, "雪" * 70, "１" * 65,
]  # fmt: skip
any_prompt = st.one_of(
    st.text(st.characters(), max_size=20),
    st.lists(
        st.one_of(st.sampled_from(PARTS), st.text(st.characters(codec="utf-8"), max_size=3)),
        max_size=12,
    ).map("".join),
    st.sampled_from([None, 7, b"abc", ["雪国"], object()]),
)


def allowed(field: str, value: object) -> bool:
    """Whether the documentation of `SamplingSettings` allows a value."""
    if field == "do_sample":
        return type(value) is bool
    if field == "seed" and value is None:
        return True
    if isinstance(value, bool | np.bool_):
        return False
    if field in INTEGERS:
        low, high = INTEGERS[field]
        return isinstance(value, Integral) and low <= value <= high
    low, high = NUMBERS[field]
    return isinstance(value, Real) and bool(low <= value <= high)


def assert_one_sentence(error: SettingsError) -> None:
    message = str(error)
    assert error.field in message
    assert len(message) < 300 and message.isprintable()


def has_half_a_pair(text: str) -> bool:
    return any(0xD800 <= ord(character) < 0xE000 for character in text)


@pytest.fixture(scope="module", params=["ja", "en"])
def language(request):
    before = get_language()
    set_language(request.param)
    yield request.param
    set_language(before)


def test_settings_are_taken_as_documented_or_refused_by_name(language):
    every_case(["ja", "en"].index(language), 1000, values=some_junk)(take_settings)


def take_settings(values):
    wrong = [name for name, value in values.items() if not allowed(name, value)]
    low, high = values.get("min_length", 50), values.get("max_length", 100)
    contradict = not {"min_length", "max_length"} & {*wrong} and low > high
    try:
        made = SamplingSettings(**values)
    except SettingsError as error:
        assert error.field in (wrong or (["min_length"] if contradict else []))
        assert_one_sentence(error)
    else:
        assert not wrong and not contradict
        for name, value in values.items():
            kept = getattr(made, name)
            assert kept == (value if name in INTEGERS or name == "do_sample" else float(value))
            assert type(kept) in (bool, int, float, type(None))


class NoModel:
    """In place of a model: nothing may be asked of it but the length of its texts."""

    class config:
        max_position_embeddings = 64


READERS = ["gpt2", "gpt-1b", "lower-case"]
LENGTHS = st.integers(1, 90)


@pytest.fixture(scope="module", params=READERS)
def reader(request, tmp_path_factory):
    """A model that cannot run, with its tokenizer; the sentencepiece library on the same file, what that is given; a name."""
    lower = request.param == "lower-case"
    layout = "gpt2" if lower else request.param
    folder = make_tokenizer(tmp_path_factory.mktemp(request.param), layout, do_lower_case=lower)
    lm = LanguageModel(
        "none", load_tokenizer(folder), NoModel(), torch.device("cpu"), torch.float32, ""
    )
    return lm, raw(folder), (str.lower if lower else str), request.param


def test_a_prompt_becomes_the_ids_of_sentencepiece_or_is_refused(reader):
    @every_case(10 + READERS.index(reader[-1]), 800, prompt=any_prompt, max_length=LENGTHS)
    def check(prompt, max_length):
        take_prompt(reader, prompt, max_length)


def take_prompt(reader, prompt, max_length):
    lm, sp, prepared, _ = reader
    field, ids = None, []
    if not isinstance(prompt, str) or has_half_a_pair(prompt):
        field = "prompt"
    else:
        ids = sp.encode(prepared(prompt))
        if not 1 <= len(ids) < 64:
            field = "prompt"
        elif not len(ids) < max_length <= 64:
            field = "max_length"
    chosen = SamplingSettings(min_length=0, max_length=max_length)
    try:
        given_ids = encode_prompt(lm, prompt, chosen)
    except SettingsError as error:
        assert error.field == field
        assert_one_sentence(error)
    else:
        assert field is None
        assert given_ids.tolist() == [ids]
        assert given_ids.dtype == torch.int64


def test_what_the_lab_shows_of_a_text_is_all_of_it_or_a_sentence(reader):
    texts = any_prompt.filter(lambda text: isinstance(text, str))

    @every_case(20 + READERS.index(reader[-1]), 300, text=texts)
    def check(text):
        show_text(reader, text)


def show_text(reader, text):
    lm, sp, prepared, _ = reader
    if has_half_a_pair(text):
        for function in (split_pieces, normalize, lambda t, x: t.encode(x)):
            with pytest.raises(InputError):
                function(lm.tokenizer, text)
        return
    pieces = split_pieces(lm.tokenizer, text)
    assert [piece.token_id for piece in pieces] == sp.encode(prepared(text))
    shown = "".join(piece.surface for piece in pieces).replace("▁", " ").strip(" ")
    assert shown == normalize(lm.tokenizer, text)


def test_any_ids_can_be_shown(reader):
    """Also those that a model has beyond the pieces of its tokenizer, to make its vocabulary a round number."""
    size = reader[1].get_piece_size()
    some_ids = st.lists(st.integers(0, size + 63), max_size=20)

    @every_case(30 + READERS.index(reader[-1]), 200, ids=some_ids)
    def check(ids):
        show_ids(reader, size, ids)


def show_ids(reader, size, ids):
    lm, sp, *_ = reader
    pieces = lm.tokenizer.convert_ids_to_tokens(ids)
    assert [p for p, i in zip(pieces, ids, strict=True) if i < size] == [
        sp.id_to_piece(i) for i in ids if i < size
    ]
    special = {sp.piece_to_id(p) for p in ("<unk>", "<s>", "</s>", "[PAD]", "[CLS]", "[SEP]")}
    special.add(sp.piece_to_id("[MASK]"))
    known = [i for i in ids if i < size and i not in special]
    assert lm.tokenizer.decode(ids, skip_special_tokens=True) == sp.decode(known)
    assert isinstance(lm.tokenizer.decode(ids), str)


@pytest.fixture(scope="module")
def bundled():
    return load_model("aozora-mini", device="cpu")


@pytest.fixture(scope="module")
def oracle():
    return raw(BUNDLED_PATH)


# Of what can be generated from, few tokens: the model really runs, 150 times.
good_prompt = st.lists(
    st.one_of(
        st.sampled_from([part for part in PARTS if not has_half_a_pair(part)]),
        st.text(st.characters(codec="utf-8"), max_size=3),
    ),
    min_size=1,
    max_size=6,
).map("".join)
few = {"num_return_sequences": st.integers(1, 3)}


def test_the_bundled_model_generates_whatever_is_within_the_bounds(bundled, oracle):
    @every_case(40, 150, prompt=good_prompt, room=st.integers(1, 3), data=st.data())
    def check(prompt, room, data):
        tokens = len(oracle.encode(prompt))
        assume(1 <= tokens <= 60)
        values = {name: data.draw(value, label=name) for name, value in (sensible | few).items()}
        values["max_length"] = tokens + room
        values["min_length"] = data.draw(st.integers(0, tokens + room), label="least")
        assert_within_the_bounds(
            generate(bundled, prompt, SamplingSettings(**values)), oracle, prompt
        )


@settings(repeatable, max_examples=150)
@given(data=st.data())
def test_the_bundled_model_generates_within_the_bounds_or_refuses_first(bundled, oracle, data):
    prompt = data.draw(any_prompt, label="prompt")
    tokens = (
        len(oracle.encode(prompt)) if isinstance(prompt, str) and not has_half_a_pair(prompt) else 0
    )
    # Room for a few new tokens most of the time: what is tried is the bounds, not the length.
    values = {name: data.draw(value, label=name) for name, value in sensible.items()}
    values["max_length"] = tokens + data.draw(st.integers(-1, 6), label="room")
    values["min_length"] = data.draw(st.integers(0, max(values["max_length"], 0)), label="least")
    if data.draw(st.integers(0, 9), label="junk") == 0:
        values[data.draw(st.sampled_from(FIELDS))] = data.draw(any_value)
    new_tokens = values["max_length"] - tokens if isinstance(values["max_length"], Integral) else 0
    assume(not (isinstance(values["num_return_sequences"], Integral) and new_tokens > 6))
    ran = []
    handle = bundled.model.register_forward_pre_hook(lambda *_: ran.append(1))
    try:
        generation = generate(bundled, prompt, SamplingSettings(**values))
    except SettingsError as error:
        assert error.field in (*FIELDS, "prompt")
        assert_one_sentence(error)
        assert ran == []
        return
    finally:
        handle.remove()
    assert ran
    assert_within_the_bounds(generation, oracle, prompt)


def assert_within_the_bounds(generation, oracle, prompt: str) -> None:
    start = oracle.encode(prompt)
    made = generation.settings
    expected = made.num_return_sequences if made.do_sample else 1
    assert len(generation.sequences) == expected
    for sequence in generation.sequences:
        assert sequence.token_ids[: len(start)] == start
        assert len(start) < len(sequence.token_ids) <= made.max_length
        assert all(0 <= i < oracle.get_piece_size() for i in sequence.token_ids)
        if sequence.stopped == "eos":
            assert sequence.token_ids[-1] == oracle.eos_id()
            assert len(sequence.token_ids) > made.min_length
        else:
            assert len(sequence.token_ids) == made.max_length
        assert oracle.eos_id() not in sequence.token_ids[len(start) : -1]
        assert all(0 <= s.raw <= 1 and 0 < s.final <= 1 for s in sequence.steps)


@pytest.mark.parametrize("text", ["雪", "</s>", "a b ", " ", "\u202e<b>\0", "\ufdfa"])
def test_a_megabyte_is_refused_with_the_number_to_leave_out(bundled, oracle, text):
    prompt = text * (1_000_000 // len(text.encode()))
    started = time.process_time()
    with pytest.raises(SettingsError) as caught:
        generate(bundled, prompt)
    assert caught.value.field == "prompt"
    assert_one_sentence(caught.value)
    if tokens := len(oracle.encode(prompt)):
        assert str(tokens) in str(caught.value)
    assert time.process_time() - started < 30


@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        ('SamplingSettings(top_p="<b>")', None),
        ('load_model("gpt-9")', None),
        ('encode_prompt(lm, "雪\\ud800")', "InputError"),
    ],
)
def test_a_notebook_shows_the_sentence_and_keeps_the_rest(mistake, cause, bundled, capsys):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns |= {
        "SamplingSettings": SamplingSettings,
        "load_model": load_model,
        "encode_prompt": encode_prompt,
        "lm": bundled,
    }
    result = shell.run_cell(f"x = 1\n{mistake}")
    shown = capsys.readouterr().out.strip().splitlines()
    assert str(result.error_in_exec) in shown[0]
    assert shown[1] == f"----> 2 {mistake}"
    assert len(shown) == (4 if cause else 3)
    assert cause is None or cause in shown[2]
    # Nothing is hidden from who asks.
    shell.run_cell("import sys, traceback; traceback.print_exception(sys.last_value)")
    whole = capsys.readouterr().err
    assert "Traceback (most recent call last)" in whole and str(result.error_in_exec) in whole
