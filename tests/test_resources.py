"""Too little memory, a GPU that goes away, a full disk: `pytest tests/test_resources.py`.

Memory and disk are really small here, in a process of its own. There is no GPU: what it would raise is raised by the
forward pass of a small model, at the moment and with the exception that torch uses.
"""

import gc
import json
import os
import subprocess
import sys
import textwrap
import weakref
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from rinna_layout import make_model
from small_disk import on_small_disk
from transformers import GPT2Config, GPT2LMHeadModel

import helpers.device
import helpers.memory
import helpers.models
from helpers import BUNDLED_MODEL
from helpers.device import choose_device
from helpers.device_errors import DeviceLost, OutOfMemory
from helpers.engines.torch import runner
from helpers.hub import ModelUnavailable
from helpers.language import set_language
from helpers.models import CATALOGUE, LARGE_MODEL, NotEnoughMemory, choose_model, load_model
from helpers.sampling import SamplingSettings, generate, next_token_distribution, stream

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "雪の降る夜には"
FOUR = SamplingSettings(
    min_length=40, max_length=40, top_k=0, top_p=1.0, num_return_sequences=4, seed=5
)
CUDA_FULL = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 14.74 GiB"
)
CUDA_GONE = (
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"
)


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return load_model(make_model(tmp_path_factory.mktemp("model")), device="cpu")


pytestmark = pytest.mark.usefixtures("english")


class Card:
    """A GPU with memory for so many tokens, all sequences and their caches together."""

    def __init__(
        self, lm, monkeypatch, tokens: int, raises=torch.OutOfMemoryError, words=CUDA_FULL
    ):
        self.tokens, self.raises, self.words = tokens, raises, words
        self.batches: list[int] = []
        self.held: list[weakref.ref] = []
        self.held_at_next: list[int] = []
        self.lm, self.forward = lm, lm.model.forward
        monkeypatch.setattr(lm.model, "forward", self)

    def __call__(self, input_ids, **more):
        if self.held:
            self.held_at_next.append(sum(ref() is not None for ref in self.held))
            self.held.clear()
        # transformers 5.24 calls it by another name.
        held = more.get("cache", more.get("past_key_values"))
        before = held.get_seq_length() if held is not None else 0
        self.batches.append(len(input_ids))
        if len(input_ids) * (before + input_ids.shape[1]) > self.tokens:
            activations = torch.ones(1000)
            self.held.append(weakref.ref(activations))
            raise self.raises(self.words)
        return self.forward(input_ids=input_ids, **more)


def ids_of(generation):
    return [sequence.token_ids for sequence in generation.sequences]


def streamed(events):
    """What a stream yields, and what it returns."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


@pytest.mark.parametrize("room", [2 * 39, 39, 3 * 39])
def test_fewer_sequences_at_a_time_give_the_same_texts(lm, monkeypatch, room):
    expected = generate(lm, PROMPT, FOUR)
    card = Card(lm, monkeypatch, room)
    generation = generate(lm, PROMPT, FOUR)
    assert ids_of(generation) == ids_of(expected)
    assert max(card.batches) == 4 and min(card.batches) <= room // 39
    for one, other in zip(generation.sequences, expected.sequences, strict=True):
        assert [s.token_id for s in one.steps] == [s.token_id for s in other.steps]
        assert [s.raw for s in one.steps] == pytest.approx([s.raw for s in other.steps], abs=1e-5)
    # What the failed attempts held was given back before the next one began.
    assert card.held_at_next and set(card.held_at_next) == {0}


def test_memory_that_runs_out_after_the_draw_changes_no_text(lm, monkeypatch):
    """A draw that was not used is drawn again: the random numbers stand where they stood."""
    expected = generate(lm, PROMPT, FOUR)
    draw, calls = runner._draw, 0

    def draws_and_fails_once(*arguments):
        nonlocal calls
        calls += 1
        drawn = draw(*arguments)
        if calls == 5:
            raise torch.OutOfMemoryError(CUDA_FULL)
        return drawn

    monkeypatch.setattr(runner, "_draw", draws_and_fails_once)
    assert ids_of(generate(lm, PROMPT, FOUR)) == ids_of(expected) and calls > 5


def test_a_stream_goes_on_from_where_it_was(lm, monkeypatch):
    expected = generate(lm, PROMPT, FOUR)
    card = Card(lm, monkeypatch, 2 * 39)
    events, generation = streamed(stream(lm, PROMPT, FOUR))
    assert ids_of(generation) == ids_of(expected)
    # No token twice: the texts on the screen go on.
    for i, sequence in enumerate(generation.sequences):
        assert [e.token_id for e in events if e.sequence == i] == [
            s.token_id for s in sequence.steps
        ]
    assert card.batches.index(2) > 5


@pytest.mark.parametrize(
    ("language", "function"), [("ja", generate), ("en", lambda *a: streamed(stream(*a))[1])]
)
def test_what_was_written_is_kept_and_the_sentence_says_what_fits(
    lm, monkeypatch, function, language
):
    set_language(language)
    expected = generate(lm, PROMPT, FOUR)
    Card(lm, monkeypatch, 30)
    with pytest.raises(OutOfMemory) as caught:
        function(lm, PROMPT, FOUR)
    message = str(caught.value)
    assert "31" in message and "max_length" in message and BUNDLED_MODEL in message
    assert "GPU" not in message and "\n" not in message
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    kept = caught.value.generation
    # 30 tokens were read, and each told the next one.
    assert ids_of(kept) == [ids[:31] for ids in ids_of(expected)]
    fitting = replace(FOUR, min_length=31, max_length=31)
    assert [len(ids) for ids in ids_of(function(lm, PROMPT, fitting))] == [31] * 4


def test_a_prompt_that_does_not_fit(lm, monkeypatch):
    Card(lm, monkeypatch, 1)
    with pytest.raises(OutOfMemory, match=BUNDLED_MODEL) as caught:
        generate(lm, PROMPT, FOUR)
    assert caught.value.generation is None
    with pytest.raises(OutOfMemory, match=BUNDLED_MODEL):
        next_token_distribution(lm, PROMPT)


def lose_all_tensors(card: Card, monkeypatch, kind) -> None:
    """From the card's failure on no tensor can be read: on a real GPU each further call raises as well."""

    def gone(*_):
        raise kind(CUDA_GONE)

    def fail(*arguments, **more):
        try:
            return answer(*arguments, **more)
        except kind:
            for name in ("tolist", "item", "cpu", "numpy", "__bool__"):
                monkeypatch.setattr(torch.Tensor, name, gone)
            raise

    answer = card.__call__
    monkeypatch.setattr(card.lm.model, "forward", fail)


KINDS = [RuntimeError, *([torch.AcceleratorError] if hasattr(torch, "AcceleratorError") else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_that_goes_away(lm, monkeypatch, kind):
    expected = generate(lm, PROMPT, FOUR)
    with monkeypatch.context() as lost:
        lose_all_tensors(Card(lm, lost, 4 * 20, kind, CUDA_GONE), lost, kind)
        with pytest.raises(DeviceLost, match="restart the kernel") as caught:
            streamed(stream(lm, PROMPT, FOUR))
        with pytest.raises(kind, match="CUDA error"):
            torch.ones(1).tolist()
    assert ids_of(caught.value.generation) == [ids[:21] for ids in ids_of(expected)]
    assert CUDA_GONE in str(caught.value.__cause__)
    for function in (generate, next_token_distribution):
        Card(lm, monkeypatch, 0, kind, CUDA_GONE)
        with pytest.raises(DeviceLost, match="restart the kernel"):
            function(lm, PROMPT, FOUR)


@pytest.mark.parametrize("kind", [RuntimeError, FloatingPointError, KeyError])
def test_whatever_ends_a_text_keeps_what_was_written(lm, monkeypatch, kind):
    expected = generate(lm, PROMPT, FOUR)
    Card(lm, monkeypatch, 4 * 20, kind, "a mistake in the model")
    with pytest.raises(kind, match="a mistake in the model") as caught:
        streamed(stream(lm, PROMPT, FOUR))
    assert ids_of(caught.value.generation) == [ids[:21] for ids in ids_of(expected)]


def test_a_model_that_begins_to_compute_nan_keeps_what_was_written(lm, monkeypatch):
    forward, calls = lm.model.forward, []

    def decay(**more):
        output = forward(**more)
        calls.append(1)
        if len(calls) > 5:
            output.logits.fill_(float("nan"))
        return output

    monkeypatch.setattr(lm.model, "forward", decay)
    with pytest.raises(FloatingPointError) as caught:
        streamed(stream(lm, PROMPT, FOUR))
    assert [len(s.steps) for s in caught.value.generation.sequences] == [5] * 4


def test_other_errors_stay_what_they_are(lm, monkeypatch):
    Card(lm, monkeypatch, 0, RuntimeError, "a mistake in the model")
    with pytest.raises(RuntimeError, match="a mistake in the model") as caught:
        generate(lm, PROMPT, FOUR)
    assert type(caught.value) is RuntimeError


@pytest.mark.parametrize(
    ("raises", "words", "said"),
    [
        (torch.OutOfMemoryError, CUDA_FULL, "not enough memory"),
        (RuntimeError, CUDA_GONE, "restart"),
    ],
)
def test_the_lab_keeps_what_was_written(lm, monkeypatch, raises, words, said):
    from helpers.lab import SamplingLab, writer

    # On a busy machine the time for work that no button can stop would end it first.
    monkeypatch.setattr(writer, "BLOCKING_TIME", 1000.0)
    lab = SamplingLab(lm, PROMPT, FOUR)
    Card(lm, monkeypatch, 20, raises, words)
    lab.generate()
    assert said in lab.problem.value and "Traceback" not in lab.problem.value
    if raises is not RuntimeError:
        (run,) = lab.history
        assert [len(ids) for ids in ids_of(run)] == [21] * 4
        assert run.sequences[0].text in lab.history_pane.copy_box.value
    assert lab.prompt_box.value == PROMPT
    assert not lab.generate_button.disabled
    gc.collect()


def test_on_colab_without_a_gpu_the_reason_says_where_to_get_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert "Colab" not in choose_device().reason
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819")
    assert "Runtime" in choose_device().reason
    set_language("ja")
    assert "ランタイムのタイプを変更" in choose_device().reason


@pytest.mark.parametrize(("free", "fits"), [(12.7e9, True), (4e9, False)])
def test_a_colab_machine_without_a_gpu_holds_gpt_1b_in_float32(monkeypatch, free, fits):
    """12.7 GB; asked for by name it is downloaded, and "auto" takes the bundled model."""
    memory = psutil.virtual_memory()._replace(total=int(free), available=int(free))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    for name in ("_left_by_cgroups", "_left_by_limits"):
        monkeypatch.setattr(helpers.memory, name, list)
    monkeypatch.setattr(helpers.device, "bfloat16_unit", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("HELPERS_MODEL", raising=False)
    begun = []

    def download(name, **_):
        begun.append(name)
        raise ModelUnavailable("far enough")

    monkeypatch.setattr("helpers.models.loading.local_folder", download)
    assert choose_device(parameters=CATALOGUE[LARGE_MODEL].parameters).dtype == torch.float32
    with pytest.raises(ModelUnavailable if fits else NotEnoughMemory):
        load_model(LARGE_MODEL)
    assert begun == ([LARGE_MODEL] if fits else [])
    assert choose_model(choose_device())[0] == BUNDLED_MODEL


def python(
    code: str, *arguments: str, before: tuple[str, ...] | list[str] = (), **environment: str
):
    """Run code in a process of its own; returns what its last line says as JSON."""
    done = subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=200,
        env=os.environ | {"HELPERS_LANG": "en", "PYTHONPATH": str(ROOT)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LIMIT = """
import gc, json, resource, sys
from dataclasses import replace
from pathlib import Path
import torch, transformers
from helpers.models import load_model
from helpers.device_errors import OutOfMemory
from helpers.sampling import SamplingSettings, generate

# Each failed attempt searches for garbage, and need not do so in what was imported.
gc.freeze()

def leave(megabytes):
    status = Path("/proc/self/status").read_text().split()
    used = int(status[status.index("VmData:") + 1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + megabytes * 1_000_000, -1))
"""
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux limits a process's memory so"
)


@pytest.mark.process
@linux
def test_a_process_without_memory_says_so_and_writes_fewer_at_a_time(tmp_path):
    # 13 M weights, 26 MB as float16, which become 52 MB of float32.
    folder = make_model(tmp_path / "wide")
    config = GPT2Config.from_pretrained(folder, n_inner=100_000)
    GPT2LMHeadModel(config).half().save_pretrained(folder)
    said = python(
        LIMIT
        + """
lm = load_model("aozora-mini", device="cpu")
many = SamplingSettings(min_length=0, max_length=6, num_return_sequences=100, seed=1)
expected = generate(lm, "雪国", many)
# Each number of rows has routines of its own, which take some megabytes when they are first made.
for rows in (50, 25):
    generate(lm, "雪国", replace(many, num_return_sequences=rows))
load_model(sys.argv[1], device="cpu")
batches = []
lm.model.register_forward_pre_hook(lambda m, a, k: batches.append(len(k["input_ids"])), with_kwargs=True)
# How much a process can still use of what it has depends on the allocator: what is looked for is a limit at which
# the texts are written, but not all at once.
again = None
for megabytes in range(1, 60):
    batches.clear()
    leave(megabytes)
    try:
        written = generate(lm, "雪国", many)
    except OutOfMemory:
        continue
    if len(set(batches)) > 1:
        again = written
    break
leave(25)
try:
    load_model(sys.argv[1], device="cpu")
    message = ""
except OutOfMemory as error:
    message = str(error)
same = again and [s.token_ids for s in again.sequences] == [s.token_ids for s in expected.sequences]
print(json.dumps({"message": message, "same": same, "batches": sorted(set(batches))}))
""",
        str(folder),
    )
    assert "memory" in said["message"] and BUNDLED_MODEL in said["message"]
    assert said["same"], f"at no limit were the texts written in parts: {said}"
    assert min(said["batches"]) < max(said["batches"]) == 100


@pytest.mark.process
def test_a_full_disk_while_saving_and_converting(lm, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    said = python(
        """
        import json, sys
        from pathlib import Path
        from helpers.engines.ctranslate2 import EngineUnavailable
        from helpers.engines.ctranslate2.conversion import convert
        from helpers.models import load_model
        from helpers.sampling import SamplingSettings, generate
        from helpers.lab.records import NotSaved, load, save

        folder, disk = sys.argv[1], Path(sys.argv[2])
        file, target, said = disk / "lab.json", disk / "converted", {}
        lm = load_model(folder, device="cpu")
        run = generate(lm, "雪の降る夜には", SamplingSettings(min_length=0, max_length=20, seed=1))
        save([run], file)
        try:
            save([run] * 100, file)
        except NotSaved as error:
            said["saving"] = str(error)
        said["kept"] = load(file) == [run]
        try:
            convert(lm.model, lm.tokenizer.eos_token_id, target)
        except EngineUnavailable as error:
            said["converting"] = str(error)
        said["left"] = sorted(p.name for p in disk.iterdir() if p.stat().st_size and p.suffix != ".lock")
        try:
            load_model(folder, engine="ctranslate2")
        except EngineUnavailable as error:
            said["beforehand"] = str(error)
        print(json.dumps(said))
        """,
        lm.name,
        str(disk),
        before=on_small_disk(disk, "40k"),
        HF_HOME=str(disk / "home"),
    )
    assert "No space left" in said["saving"] and "lab.json" in said["saving"]
    assert said["kept"]
    assert "No space left" in said["converting"]
    assert said["left"] == ["home", "lab.json"] or said["left"] == ["lab.json"]
    assert "HF_HOME" in said["beforehand"]
