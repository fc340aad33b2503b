"""The CTranslate2 engine behind the same functions: `pytest tests/test_ctranslate2.py`. The oracle is torch, or the library."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rinna_layout import make_model
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from helpers import hub
from helpers.engines.ctranslate2 import EngineUnavailable, checks, conversion
from helpers.engines.ctranslate2.runner import CTranslate2Runner
from helpers.engines.torch import int8
from helpers.errors import InputError
from helpers.lab.records import as_code
from helpers.models import load_model
from helpers.sampling import (
    SamplingSettings,
    SettingsError,
    encode_prompt,
    generate,
    next_token_distribution,
    stream,
    stream_ids,
)

pytestmark = pytest.mark.processor

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "雪国であった。"
SHORT = SamplingSettings(min_length=0, max_length=40, top_k=30, seed=3)
FLAT = replace(SHORT, top_k=0, top_p=1.0, temperature=5.0, num_return_sequences=200)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Conversions go into a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=["gpt2", "gpt-1b"])
def both(request, tmp_path_factory):
    """One tiny model on both engines."""
    folder = make_model(tmp_path_factory.mktemp("m") / "模型", request.param)
    return load_model(folder, device="cpu"), load_model(folder, engine="ctranslate2")


@pytest.fixture
def tiny(both):
    return both[1]


def ids_of(generation):
    return [s.token_ids for s in generation.sequences]


def drain(events):
    collected = []
    while True:
        try:
            collected.append(next(events))
        except StopIteration as end:
            return collected, end.value


@pytest.mark.parametrize(
    "changes", [{}, {"top_k": 0, "top_p": 1.0}, {"top_k": 1}, {"do_sample": False}], ids=str
)
def test_one_seed_gives_one_text_in_generate_and_stream(tiny, changes):
    settings = replace(SHORT, **changes)
    first = generate(tiny, PROMPT, settings)
    assert ids_of(generate(tiny, PROMPT, settings)) == ids_of(first)
    events, streamed = drain(stream(tiny, PROMPT, settings))
    assert streamed == first
    for i, sequence in enumerate(first.sequences):
        mine = [event for event in events if event.sequence == i]
        assert [event.token_id for event in mine] == [step.token_id for step in sequence.steps]
        assert sequence.text.endswith("".join(event.text for event in mine))
    sampled = settings.do_sample and settings.top_k != 1
    assert len(first.sequences) == (3 if settings.do_sample else 1)
    assert (ids_of(generate(tiny, PROMPT, replace(settings, seed=4))) != ids_of(first)) == sampled


def test_a_seed_says_the_same_in_a_new_process(tiny):
    expected = ids_of(generate(tiny, PROMPT, SHORT))
    other = CTranslate2Runner(tiny.model.folder, tiny.model.config, tiny.model.eos_token_id)
    assert ids_of(generate(replace(tiny, model=other), PROMPT, SHORT)) == expected


@pytest.mark.parametrize("chosen", [False, True])
def test_the_code_of_a_run_writes_it_again(tiny, capsys, chosen):
    ids = encode_prompt(tiny, PROMPT, SHORT)
    if chosen:  # tokens that no text stands for
        ids = torch.cat([ids, torch.tensor([[40, 41]])], dim=1)
    _, run = drain(stream_ids(tiny, PROMPT, SHORT, ids))
    exec(as_code(tiny, run), {})
    # Before it, the engine says what it is.
    assert capsys.readouterr().out.endswith("\n" + "\n".join(s.text for s in run.sequences) + "\n")


def test_without_a_seed_each_text_is_new_and_its_seed_is_noted(tiny):
    first, second = (generate(tiny, PROMPT, replace(SHORT, seed=None)) for _ in range(2))
    assert ids_of(first) != ids_of(second)
    assert ids_of(generate(tiny, PROMPT, first.settings)) == ids_of(first)


def test_greedy_takes_the_largest_of_the_engines_own_logits(tiny):
    (greedy,) = generate(tiny, PROMPT, replace(SHORT, do_sample=False)).sequences
    assert [s.token_ids for s in generate(tiny, PROMPT, replace(SHORT, top_k=1)).sequences] == [
        greedy.token_ids
    ] * 3
    prompt = encode_prompt(tiny, PROMPT).shape[1]
    logits = tiny.model.all_logits(torch.tensor([greedy.token_ids]))[0]
    best = logits.argmax(-1).tolist()
    assert greedy.token_ids[prompt:] == best[prompt - 1 : -1]


def test_lengths_and_stop_reasons_count_the_prompt(tiny):
    eos = tiny.tokenizer.eos_token_id
    sequences = generate(tiny, PROMPT, replace(FLAT, max_length=30)).sequences
    assert {s.stopped for s in sequences} == {"eos", "max_length"}
    for s in sequences:
        assert (s.stopped == "eos") == (s.token_ids[-1] == eos)
        assert len(s.token_ids) == 30 or s.stopped == "eos"
    shortest = min(len(s.token_ids) for s in sequences)
    assert shortest < 25
    longer = generate(tiny, PROMPT, replace(FLAT, max_length=30, min_length=25)).sequences
    assert min(len(s.token_ids) for s in longer) >= 25


def test_a_text_may_fill_all_positions(tiny):
    settings = replace(SHORT, min_length=64, max_length=64)
    assert {len(s.token_ids) for s in generate(tiny, PROMPT, settings).sequences} == {64}
    with pytest.raises(SettingsError, match="65"):
        generate(tiny, PROMPT, replace(settings, max_length=65))


def test_the_distribution_is_torchs_but_for_rounding(both):
    plain, quick = (next_token_distribution(lm, PROMPT, SHORT) for lm in both)
    assert quick.kept == pytest.approx(plain.kept, abs=2)
    for name in ("raw", "final"):
        apart = [getattr(d, name)[d.token_ids.argsort()] for d in (plain, quick)]
        # int8: near, and not the same. How near depends on the random model, which is another on other versions.
        assert 0 < (apart[0] - apart[1]).abs().sum() < 0.3
    assert set(quick.cut) == set(plain.cut)


def test_first_tokens_are_drawn_as_the_distribution_says(tiny):
    settings = replace(SHORT, top_k=12, top_p=0.9, num_return_sequences=1000)
    settings = replace(settings, max_length=encode_prompt(tiny, PROMPT).shape[1] + 1)
    candidates = next_token_distribution(tiny, PROMPT, settings).candidates
    expected = {c.token_id: c.final for c in candidates if c.final > 0}
    drawn = Counter(s.token_ids[-1] for s in generate(tiny, PROMPT, settings).sequences)
    assert drawn.keys() <= expected.keys()
    # Pearson's chi-squared: with 11 degrees of freedom or fewer, 40 has a probability of 4 in 100,000.
    chi = sum((drawn[i] - 1000 * p) ** 2 / (1000 * p) for i, p in expected.items())
    assert chi < 40


def test_steps_hold_the_engines_probabilities_also_where_the_end_is_barred(tiny):
    settings = replace(SHORT, min_length=40, top_p=0.8, temperature=0.9)
    prompt = encode_prompt(tiny, PROMPT).shape[1]
    for sequence in generate(tiny, PROMPT, settings).sequences:
        ids = torch.tensor([sequence.token_ids])
        raw = tiny.model.all_logits(ids)[0].double().softmax(-1)
        wanted = [float(raw[prompt - 1 + i, s.token_id]) for i, s in enumerate(sequence.steps)]
        np.testing.assert_allclose([s.raw for s in sequence.steps], wanted, rtol=1e-2, atol=1e-4)
        assert all(step.raw < step.final <= 1 for step in sequence.steps if step.final < 1)
    # The first step's final probability, from transformers' own processors.
    final = {
        c.token_id: c.final for c in next_token_distribution(tiny, PROMPT, settings).candidates
    }
    step = generate(tiny, PROMPT, settings).sequences[0].steps[0]
    assert step.final == pytest.approx(final[step.token_id], rel=1e-2)


def test_stopping_keeps_what_was_written_and_the_engine_goes_on(tiny):
    seen = 0

    def enough():
        nonlocal seen
        seen += 1
        return seen == 4

    settings = replace(SHORT, min_length=40)
    whole = generate(tiny, PROMPT, settings)
    _, part = drain(stream(tiny, PROMPT, settings, enough))
    for ours, full in zip(part.sequences, whole.sequences, strict=True):
        assert (len(ours.steps), ours.stopped) == (4, "user")
        assert full.token_ids[: len(ours.token_ids)] == ours.token_ids
    assert ids_of(generate(tiny, PROMPT, settings)) == ids_of(whole)


def test_two_streams_at_once_do_not_disturb_each_other(tiny):
    settings = replace(SHORT, min_length=40)
    expected = ids_of(generate(tiny, PROMPT, settings))
    first, second = (stream(tiny, PROMPT, settings) for _ in range(2))
    next(first)
    next(second)
    assert ids_of(drain(second)[1]) == expected
    assert ids_of(drain(first)[1]) == expected


def test_what_the_engine_cannot_do_is_said_before_it_starts(tiny):
    for call in (generate, stream):
        with pytest.raises(SettingsError, match="torch") as caught:
            call(tiny, PROMPT, replace(SHORT, repetition_penalty=1.3))
        assert caught.value.field == "repetition_penalty"
        hot = replace(SHORT, temperature=500, top_k=0, top_p=1.0)
        with pytest.raises(SettingsError, match="torch") as caught:
            call(tiny, PROMPT, hot)
        assert caught.value.field == "temperature"
        drain(stream(tiny, PROMPT, replace(hot, top_k=30)))
    with pytest.raises(ValueError, match="torch"):
        load_model(tiny.name, device="cuda", engine="ctranslate2")


# Conversion


def cached():
    return sorted(
        path for path in conversion.cache_folder().glob("*") if not path.name.endswith(".lock")
    )


def test_a_conversion_is_made_once_and_anew_when_the_weights_change(tmp_path):
    folder = make_model(tmp_path / "model")
    before = len(cached())
    first = load_model(folder, engine="ctranslate2").model.folder
    written = (first / "model.bin").stat().st_mtime_ns
    assert load_model(folder, engine="ctranslate2").model.folder == first
    assert (first / "model.bin").stat().st_mtime_ns == written
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.transformer.wte.weight.data *= 2
    model.save_pretrained(folder)
    assert load_model(folder, engine="ctranslate2").model.folder != first
    assert len(cached()) == before + 2


CONVERT = """
import sys, time
import huggingface_hub.constants as constants
constants.HF_HOME = sys.argv[1]
from helpers.engines.ctranslate2 import conversion
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate
if "slow" in sys.argv:
    made = conversion._specification
    class Slow:
        def __init__(self, *arguments):
            self.spec = made(*arguments)
        def save(self, folder):
            open(folder + "/model.bin", "wb").write(b"half of it")
            print("half", flush=True)
            time.sleep(60) if "killed" in sys.argv else sys.stdin.readline()
            self.spec.save(folder)
    conversion._specification = Slow
lm = load_model(sys.argv[2], engine="ctranslate2")
settings = SamplingSettings(min_length=0, max_length=20, seed=1)
print([s.token_ids for s in generate(lm, "雪国", settings).sequences])
"""


def convert(home: Path, folder: Path, *words: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "HELPERS_LANG": "ja"}
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(home), str(folder), *words],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_conversion_starts_over_and_two_kernels_do_not_collide(tmp_path):
    folder, home = make_model(tmp_path / "model"), tmp_path / "home"
    killed = convert(home, folder, "slow", "killed")
    assert "half\n" in killed.stdout
    killed.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    killed.wait()
    # One is half way when the other begins.
    first = convert(home, folder, "slow")
    assert "half\n" in first.stdout
    second = convert(home, folder)
    assert any("待ちます" in line for line in second.stderr)
    texts = [p.communicate("go on\n", timeout=120)[0].splitlines()[-1] for p in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert texts[0] == texts[1] and texts[0].startswith("[[")
    (whole,) = [p for p in (home / "ctranslate2-int8").iterdir() if p.is_dir()]
    assert {p.name for p in whole.iterdir()} >= {"model.bin", "config.json", "vocabulary.json"}


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A model that was never converted, and an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    return make_model(tmp_path / "model")


def test_a_cache_that_cannot_be_written_is_named(bare, tmp_path, monkeypatch):
    # A file where the folder should be: not even the superuser can write into it.
    (tmp_path / "home").write_text("", encoding="utf-8")
    monkeypatch.setattr(conversion, "_specification", lambda *_: pytest.fail("it began to convert"))
    with pytest.raises(EngineUnavailable, match="HF_HOME") as caught:
        load_model(bare, engine="ctranslate2")
    assert str(tmp_path / "home") in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_disk_without_room_is_told_beforehand(bare, monkeypatch):
    usage = type(conversion.shutil.disk_usage("."))
    monkeypatch.setattr(conversion.shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 1000))
    monkeypatch.setattr(conversion, "_specification", lambda *_: pytest.fail("it began to convert"))
    with pytest.raises(EngineUnavailable, match="HF_HOME"):
        load_model(bare, engine="ctranslate2")
    assert cached() == []


def test_a_conversion_that_vanished_is_named(bare):
    lm = load_model(bare, engine="ctranslate2")
    shutil.rmtree(lm.model.folder)
    assert generate(lm, PROMPT, SHORT).sequences  # it is in memory once more
    lm.model.ready()
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="load_model"):
            generate(lm, PROMPT, SHORT)
    lm = load_model(bare, engine="ctranslate2")
    assert generate(lm, PROMPT, SHORT).sequences


def test_logits_that_would_not_fit_are_told_beforehand(tiny, monkeypatch):
    # 100 texts of 1,000 tokens take about 75 GB at gpt-1b's shape.
    monkeypatch.setattr(
        "helpers.engines.ctranslate2.runner.available_memory", lambda device: 1_000_000
    )
    begun = []
    monkeypatch.setattr(CTranslate2Runner, "_generate", lambda *_, **__: begun.append(1))
    with pytest.raises(SettingsError, match="num_return_sequences") as caught:
        generate(tiny, PROMPT, replace(SHORT, num_return_sequences=100))
    assert caught.value.field == "num_return_sequences" and not begun


@pytest.mark.parametrize("way", [{"engine": "ctranslate2"}, {"dtype": torch.int8}])
def test_weights_stay_as_the_file_has_them_whatever_the_config_says(tmp_path, monkeypatch, way):
    if "dtype" in way and not int8.can_compute():
        pytest.skip("needs VNNI")
    folder = make_model(tmp_path / "model", dtype=torch.float16)
    weights = load_file(folder / "model.safetensors")
    masks = {"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8)}  # of old files
    save_file(weights | masks, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}), "utf-8")
    seen = []
    for module, name in ((conversion, "convert"), (int8, "to_int8")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda model, *a, f=original: (seen.append(model.dtype), f(model, *a))
        )
    load_model(folder, **way)
    assert seen == [torch.float16]


def test_a_conversion_that_fails_leaves_nothing(bare, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "_specification", full)
    with pytest.raises(EngineUnavailable, match="No space left"):
        load_model(bare, engine="ctranslate2")
    assert cached() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "gptj"},
        {"activation_function": "tanh"},
        {"scale_attn_by_inverse_layer_idx": True},
    ],
    ids=str,
)
def test_a_model_that_is_computed_otherwise_is_refused(bare, changes):
    config = json.loads((bare / "config.json").read_text(encoding="utf-8"))
    (bare / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    with pytest.raises(ValueError, match='engine="torch"') as caught:
        load_model(bare, engine="ctranslate2")
    assert str(next(iter(changes.values()))) in str(caught.value) or "inverse" in str(caught.value)
    assert cached() == []


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_lengths_hidden_in_a_models_folder_do_not_count(bare, engine):
    hidden = {"eos_token_id": 2, "max_new_tokens": 3, "min_new_tokens": 2}
    (bare / "generation_config.json").write_text(json.dumps(hidden), encoding="utf-8")
    with pytest.warns(UserWarning, match="max_new_tokens = 3") as noted:
        lm = load_model(bare, device="cpu", engine=engine)
    assert {Path(warning.filename).name for warning in noted} == {"test_ctranslate2.py"}
    written = generate(lm, PROMPT, replace(SHORT, min_length=40))
    assert {len(ids) for ids in ids_of(written)} == {40}


def test_hidden_settings_that_only_transformers_follows_are_named(bare):
    def hide(**settings):
        (bare / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")

    hide(eos_token_id=2, num_beams=1, no_repeat_ngram_size=0, top_k=3, repetition_penalty=1.5)
    assert load_model(bare, engine="ctranslate2").engine == "ctranslate2"
    config = json.loads((bare / "config.json").read_text(encoding="utf-8"))
    (bare / "config.json").write_text(json.dumps(config | {"min_p": 0.1}), encoding="utf-8")
    assert load_model(bare, engine="ctranslate2").engine == "ctranslate2"
    (bare / "generation_config.json").unlink()  # transformers then takes what config.json says
    with pytest.raises(InputError, match=r"min_p = 0\.1"):
        load_model(bare, engine="ctranslate2")
    hide(eos_token_id=2, no_repeat_ngram_size=2)
    with pytest.raises(InputError, match=r"no_repeat_ngram_size = 2.*torch"):
        load_model(bare, engine="ctranslate2")
    load_model(bare, device="cpu")


@pytest.mark.parametrize(
    ("activation", "tied", "epsilon"),
    [("gelu", True, 1e-5), ("relu", False, 1e-5), ("gelu_new", False, 0.5)],
)
def test_other_activations_norms_and_an_output_layer_of_its_own(bare, activation, tied, epsilon):
    model = GPT2LMHeadModel.from_pretrained(bare)
    config = model.config
    config.activation_function, config.tie_word_embeddings = activation, tied
    config.layer_norm_epsilon = epsilon
    torch.manual_seed(1)
    other = GPT2LMHeadModel(config)
    other.load_state_dict(model.state_dict())
    if not tied:
        other.lm_head.weight = torch.nn.Parameter(torch.randn_like(other.lm_head.weight) * 0.3)
    other.save_pretrained(bare)
    lm = load_model(bare, engine="ctranslate2")
    ids = encode_prompt(lm, PROMPT)
    with torch.no_grad():
        wanted = load_model(bare, device="cpu").model(ids).logits
    # Rounding each weight to one of 255 moves the logits of so small a model by a few hundredths of their spread (0.03
    # measured). Without VNNI oneDNN adds two products in 16 bits and cuts off what does not fit: 0.24 were measured with
    # ONEDNN_MAX_CPU_ISA=AVX2. torch's oneDNN tells which of them this processor does.
    bound = 0.1 if int8.can_compute() else 0.5
    assert (lm.model.all_logits(ids) - wanted).square().mean().sqrt() < bound * wanted.std()


def test_without_ctranslate2_one_sentence_names_the_command_and_the_other_engine(bare, monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="pip install") as caught:
        load_model(bare, engine="ctranslate2")
    assert 'engine="torch"' in str(caught.value)
    assert load_model(bare, device="cpu").engine == "torch"


def test_a_ctranslate2_that_is_too_old_is_refused(bare, monkeypatch):
    monkeypatch.setattr("ctranslate2.__version__", "4.7.9")
    with pytest.raises(EngineUnavailable, match=r"4\.7\.9.*pip install") as caught:
        load_model(bare, engine="ctranslate2")
    assert 'engine="torch"' in str(caught.value)
    assert cached() == []


def test_a_damaged_conversion_is_thrown_out_and_made_anew(bare):
    load_model(bare, engine="ctranslate2")
    (folder,) = cached()
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EngineUnavailable, match='engine="torch"'):
        load_model(bare, engine="ctranslate2")
    assert cached() == []
    assert load_model(bare, engine="ctranslate2").engine == "ctranslate2"


def test_a_first_use_needs_room_for_download_and_conversion(tmp_path, monkeypatch):
    """3 GB free: enough for gpt-1b's file, and for its conversion, but not for both."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(conversion, "cache_folder", lambda: tmp_path / "int8")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=int(3e9)))
    monkeypatch.setattr("helpers.memory.available_memory", lambda device: int(20e9))
    monkeypatch.setattr("helpers.models.loading.is_cached", lambda name: False)
    monkeypatch.setattr(
        "helpers.models.loading.local_folder", lambda *_: pytest.fail("it was fetched")
    )
    with pytest.raises(EngineUnavailable, match=r"3\.9 GB.*3\.0 GB"):
        load_model("rinna/japanese-gpt-1b", engine="ctranslate2")


def test_a_model_of_unknown_size_needs_room_for_both_as_well(tmp_path, monkeypatch):
    shape = {"n_layer": 24, "n_embd": 2048, "n_head": 16, "n_positions": 1024, "vocab_size": 44928}
    config = {"model_type": "gpt2"} | shape
    monkeypatch.setattr("helpers.models.choice.local_folder", lambda *_, **__: tmp_path)
    monkeypatch.setattr("helpers.models.choice.read_config", lambda *_: config)
    sizes = {"config.json": 1000, "spiece.model": 10**6, "model.safetensors": int(2.6e9)}
    files = [SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()]
    found = SimpleNamespace(sha="0" * 40, siblings=files)
    monkeypatch.setattr("helpers.hub.download.ask_hub", lambda _: found)
    monkeypatch.setattr("helpers.hub.download._fetch", lambda *_: pytest.fail("it was fetched"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=int(3e9)))
    monkeypatch.setattr("helpers.memory.available_memory", lambda device: int(20e9))
    with pytest.raises(hub.ModelUnavailable, match=r"3\.9 GB.*3\.0 GB"):
        load_model("somebody/a-gpt2-of-theirs", engine="ctranslate2")


def test_the_engine_is_announced_by_whatever_name_the_model_is_loaded(bare, capsys, english):
    load_model(bare, engine="ctranslate2")
    assert "results differ from float32" in capsys.readouterr().out


def test_the_requirement_is_that_of_the_extra():
    from tools.project import EXTRAS

    assert EXTRAS["ctranslate2"] == EXTRAS["fast"] == [checks.REQUIREMENT]


@pytest.mark.process
def test_importing_the_engine_loads_neither_torch_nor_ctranslate2():
    code = "import sys, helpers.engines.ctranslate2.loader; print([m for m in ('torch', 'ctranslate2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.process
def test_a_process_ends_while_a_text_is_being_written(tmp_path):
    folder = make_model(tmp_path / "model", n_positions=1024)
    code = (
        "import sys, huggingface_hub.constants as c; c.HF_HOME = sys.argv[1]\n"
        "from helpers.models import load_model\n"
        "from helpers.sampling import SamplingSettings, stream\n"
        "lm = load_model(sys.argv[2], engine='ctranslate2')\n"
        "events = stream(lm, '雪国', SamplingSettings(min_length=1024, max_length=1024))\n"
        "print(next(events).sequence)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home"), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout[-2:], done.stderr) == (0, "0\n", "")


def test_another_dtype_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(checks, "require_ctranslate2", lambda: pytest.fail("work has begun"))
    with pytest.raises(ValueError, match=r"float32.*int8"):
        load_model("aozora-mini", engine="ctranslate2", dtype=torch.float32)
