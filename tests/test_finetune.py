"""Lesson 05's helper: `pytest tests/test_finetune.py` (tiny random models; under a minute)."""

import csv
import json
import math
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from rinna_layout import TEXT, make_model, raw
from small_disk import on_small_disk
from transformers import (
    PrinterCallback,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)
from transformers.pytorch_utils import Conv1D

from helpers import BUNDLED_PATH
from helpers.charts import loss_curve
from helpers.finetune import (
    FinetuneError,
    LossNotFinite,
    TrainingRun,
    TrainingSettings,
    accept_old_torchao,
    batches,
    bits_per_character,
    bits_scale,
    fine_tune,
    learning_rate_factor,
    live_curve,
    load_for_training,
    make_windows,
    read_document,
    split_text,
    training_memory,
)
from helpers.language import set_language
from helpers.sampling import SamplingSettings, generate
from helpers.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "lessons" / "data"
LEMON = (DATA / "remon.txt").read_text(encoding="utf-8")
TRAIN, HELD_OUT = split_text(TEXT)
SHORT = TrainingSettings(
    steps=12, batch_size=4, length=32, learning_rate=1e-3, warmup_steps=2, evaluate_every=4
)


pytestmark = pytest.mark.usefixtures("english")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny model in gpt-1b's layout; it has dropout, as rinna's models have."""
    return make_model(tmp_path_factory.mktemp("tiny"), "gpt-1b")


@pytest.fixture
def tiny(folder):
    return load_for_training(str(folder), device="cpu")


def weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


# --- the text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_file_of_aozora_bunko_is_recognised_and_cleaned(encoding, tmp_path):
    path = tmp_path / "424.txt"
    path.write_bytes(LEMON.replace("\n", "\r\n").encode(encoding))
    document = read_document(path)
    assert document.encoding == ("Shift_JIS" if encoding == "cp932" else "UTF-8")
    assert document.cleaned
    assert document.text.startswith("えたいの知れない不吉な塊が私の心を始終圧えつけていた。")
    assert document.text.endswith("京極を下って行った。")
    assert not re.search(r"[《》｜［］]|底本|青空文庫|【テキスト", document.text)


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", ""), "雪" * 2000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_split_loses_nothing_and_is_where_it_was_asked_for(text, share):
    learn, held = split_text(text, share)
    assert (learn + held).replace("\n", "") == text.replace("\n", "").strip()
    assert len(held) / len(text) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("share", [0, 1, -0.5, 2])
def test_a_split_that_leaves_nothing_is_refused(share):
    with pytest.raises(FinetuneError, match="held_out"):
        split_text(TEXT, share)


# --- tokens


@cache
def bundled_tokenizers():
    return load_tokenizer(), raw(BUNDLED_PATH)


@given(st.integers(2, 64), st.integers(70, 400))
@settings(deadline=None, max_examples=30)
def test_windows_predict_every_token_once(length, characters):
    tokenizer, oracle = bundled_tokenizers()
    text = TEXT[:characters]
    ids = oracle.encode(text)
    if len(ids) + 1 < length:
        return
    windows = make_windows(tokenizer, text, length)
    assert windows.input_ids.dtype == windows.labels.dtype == torch.int64
    assert windows.input_ids.shape == (len(windows), length)
    predicted = []
    for row in range(len(windows)):
        item = windows[row]
        for given_id, label in zip(item["input_ids"][1:], item["labels"][1:], strict=True):
            if label != -100:
                assert given_id == label
                predicted.append(label.item())
    assert predicted == ids


def test_bits_per_character_by_hand(tiny):
    """Each token by a forward of its own, with the tokens before it that the window holds."""
    text, window = TEXT[:160], 16
    sp = raw(Path(tiny.name))
    ids = [sp.bos_id(), *sp.encode(text)]
    bits = 0.0
    with torch.no_grad():
        for place in range(1, len(ids)):
            start = 0
            while start + window <= place:
                start += window // 2
            logits = tiny.model(torch.tensor([ids[start:place]])).logits[0, -1].double()
            bits -= math.log2(logits.softmax(-1)[ids[place]].item())
    characters = len(sp.normalize(text).replace("▁", " ").strip())
    found = bits_per_character(tiny.model, tiny.tokenizer, text, window)
    assert found == pytest.approx(bits / characters, rel=1e-5)


def test_bits_per_character_are_those_of_the_evaluation():
    from training.evaluate import EXCERPT, excerpt_bits

    model = load_for_training(device="cpu")
    lines = EXCERPT.read_text(encoding="utf-8").split("\n")
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    expected = excerpt_bits(model.model, raw(BUNDLED_PATH))["bits_per_character"]
    found = bits_per_character(model.model, model.tokenizer, text)
    assert found == pytest.approx(expected, abs=1e-4)


# --- the loop


def test_the_schedule_is_that_of_transformers():
    for warmup in (0, 1, 5):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        schedule = get_linear_schedule_with_warmup(optimizer, warmup, 12)
        mine = replace(SHORT, warmup_steps=warmup)
        for step in range(1, 13):
            assert learning_rate_factor(mine, step) == pytest.approx(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()


def test_batches_go_on_from_any_step():
    whole = batches(10, 4, seed=3)
    rows = [next(whole) for _ in range(9)]
    assert [len(r) for r in rows[:3]] == [4, 4, 2]
    assert sorted(torch.cat(rows[3:6]).tolist()) == list(range(10))
    later = batches(10, 4, seed=3, start=5)
    assert all(torch.equal(next(later), row) for row in rows[5:])


@pytest.mark.colab
def test_the_loop_does_what_trainer_does(tiny, folder, tmp_path):
    other = load_for_training(str(folder), device="cpu").model
    for model in (tiny.model, other):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    mine = replace(SHORT, keep_best=False, seed=7)
    run = fine_tune(tiny, TRAIN, HELD_OUT, mine)

    data = make_windows(tiny.tokenizer, TRAIN, mine.length)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=mine.steps,
        per_device_train_batch_size=mine.batch_size,
        learning_rate=mine.learning_rate,
        warmup_steps=mine.warmup_steps,
        optim="adamw_torch",
        seed=mine.seed,
        data_seed=mine.seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=other, args=arguments, train_dataset=data)
    trainer.remove_callback(PrinterCallback)
    trainer.train()

    scale = bits_scale(tiny.tokenizer, TRAIN)
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert [loss / scale for loss in run.losses] == pytest.approx(theirs, abs=2e-3)
    for name, value in weights(other).items():
        torch.testing.assert_close(weights(tiny.model)[name], value, atol=1e-4, rtol=1e-3)


def stop_at(step: int):
    def show(run):
        if len(run.losses) == step and not run.stopped:
            raise KeyboardInterrupt

    return show


def test_a_stopped_run_goes_on_to_the_same_numbers(folder, tmp_path):
    def load():
        return load_for_training(str(folder), device="cpu")

    mine = replace(SHORT, learning_rate=3e-3)
    straight = load()
    expected = fine_tune(straight, TRAIN, HELD_OUT, mine)

    stopped = fine_tune(load(), TRAIN, HELD_OUT, mine, show=stop_at(6), folder=tmp_path)
    assert stopped.stopped == "user" and len(stopped.losses) == 6
    torch.manual_seed(99)
    resumed = load()
    run = fine_tune(resumed, TRAIN, HELD_OUT, mine, folder=tmp_path)
    assert run.losses == expected.losses and run.held_out == expected.held_out
    assert same(weights(resumed.model), weights(straight.model))

    finished = load()
    assert fine_tune(finished, TRAIN, HELD_OUT, mine, folder=tmp_path).losses == run.losses
    assert same(weights(finished.model), weights(straight.model))


def test_the_best_weights_survive_a_stop(folder, tmp_path):
    """So large a learning rate only makes them worse: those of step 0 are the best, also after going on."""
    mine = replace(SHORT, learning_rate=1.0)
    best = load_for_training(str(folder), device="cpu")
    before = weights(best.model)
    fine_tune(best, TRAIN, HELD_OUT, mine, show=stop_at(6), folder=tmp_path)
    resumed = load_for_training(str(folder), device="cpu")
    run = fine_tune(resumed, TRAIN, HELD_OUT, mine, folder=tmp_path)
    assert run.best[0] == 0 and same(weights(resumed.model), before)


def test_stop_keeps_the_best_weights(tiny):
    fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, steps=40, learning_rate=1e-2))
    best = weights(tiny.model)
    # So large a learning rate makes them worse before the stop.
    run = fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, learning_rate=1.0), show=stop_at(10))
    assert run.stopped == "user" and len(run.losses) == 10
    assert run.best[0] == 0 and run.held_out[-1][1] > run.best[1]
    assert same(weights(tiny.model), best) and not tiny.model.training


def test_training_learns_and_leaves_the_random_state_alone(tiny):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run = fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, steps=40, learning_rate=1e-2))
    assert torch.equal(torch.rand(1), expected)
    assert run.stopped == "finished" and run.improvement > 0.2
    assert all(p.grad is None for p in tiny.model.parameters())


def test_nan_stops_and_brings_the_best_weights_back(tiny):
    before = bits_per_character(tiny.model, tiny.tokenizer, HELD_OUT)
    with pytest.raises(LossNotFinite, match="smaller learning_rate") as caught:
        fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, learning_rate=1e37))
    run = caught.value.run
    assert run.stopped == "nan" and len(run.losses) < SHORT.steps
    assert run.best == (0, before)
    assert bits_per_character(tiny.model, tiny.tokenizer, HELD_OUT) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"length": 65}, "at most 64"),
        ({"batch_size": 10**9}, "GB more memory"),
    ],
    ids=["window", "memory"],
)
def test_what_cannot_be_trained_is_refused_before_any_work(tiny, tmp_path, change, why):
    before = weights(tiny.model)
    with pytest.raises(FinetuneError, match=why):
        fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, **change), folder=tmp_path / "run")
    assert same(weights(tiny.model), before) and not (tmp_path / "run").exists()


def test_texts_that_are_too_short_are_refused(tiny):
    with pytest.raises(FinetuneError, match="999 characters"):
        split_text("雪" * 999)
    with pytest.raises(FinetuneError, match="do not fill one window"):
        fine_tune(tiny, "雪国", HELD_OUT, SHORT)
    with pytest.raises(FinetuneError, match="held-out text is empty"):
        fine_tune(tiny, TRAIN, " ", SHORT)


def test_half_precision_weights_are_refused(tiny):
    with pytest.raises(FinetuneError, match="half precision"):
        fine_tune(replace(tiny, model=tiny.model.half()), TRAIN, HELD_OUT, SHORT)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"steps": 2.5}, {"batch_size": True}, {"length": 1}, {"seed": -1}]
    + [{"learning_rate": rate} for rate in (0, -1, math.nan, math.inf)],
)
def test_settings_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(FinetuneError, match=f"^{name} = "):
        TrainingSettings(**wrong)


def test_a_checkpoint_of_another_run_or_a_broken_one_is_refused(folder, tmp_path):
    def train(settings=SHORT, text=TRAIN):
        model = load_for_training(str(folder), device="cpu")
        before = weights(model.model)
        try:
            fine_tune(model, text, HELD_OUT, settings, folder=tmp_path, show=stop_at(5))
        except FinetuneError:
            assert same(weights(model.model), before)
            raise

    train()
    with pytest.raises(FinetuneError, match="other settings or texts"):
        train(replace(SHORT, steps=13))
    with pytest.raises(FinetuneError, match="other settings or texts"):
        train(text=TRAIN[:-40])
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(FinetuneError, match="delete this file"):
        train()


@pytest.mark.parametrize("language", ["ja", "en"])
def test_refusals_are_one_line_in_either_language(language):
    set_language(language)
    with pytest.raises(FinetuneError) as caught:
        split_text("雪国")
    message = str(caught.value)
    assert "\n" not in message and bool(re.search("[ぁ-ん]", message)) == (language == "ja")


# --- memory, pictures


def test_the_memory_of_weights_and_optimizer_is_what_they_take(tiny):
    model = tiny.model
    n = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.tensor([[1, 2]])).logits.sum().backward()
    optimizer.step()
    tensors = [p.grad for p in model.parameters()]
    tensors += [v for state in optimizer.state.values() for v in state.values() if v.ndim]
    kept_best = sum(p.nbytes for p in model.parameters())
    parts = training_memory(model.config, n)
    assert parts["weights"] == sum(p.nbytes for p in model.parameters())
    assert parts["training"] == sum(t.nbytes for t in tensors) + kept_best
    # Logits, their softmax and their gradient, float32.
    settings = TrainingSettings(batch_size=3, length=5)
    one = torch.zeros(3, 5, model.config.vocab_size)
    logits = training_memory(model.config, n, settings=settings)["logits"]
    assert logits == 3 * one.nbytes


def drawn(picture: str) -> str:
    """The drawing inside a picture, which stands in it as an image."""
    (data,) = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]*)"', picture)
    return b64decode(data).decode("utf-8")


def test_the_curve_shows_what_was_measured():
    picture = loss_curve([3.0, 2.0, 1.5, 1.0], [(0, 3.25), (2, 2.75), (4, 2.875)], 8, "note")
    assert repr(picture).splitlines()[2:] == [
        "0 | – | 3.250",
        "2 | 2.500 | 2.750",
        "4 | 1.250 | 2.875",
    ]
    svg = drawn(picture)
    assert "<text" in svg and "<text" not in picture
    points = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)[:3]
    x, y = zip(*[map(float, point) for point in points], strict=True)
    assert x[0] < x[1] < x[2] and y[0] < y[2] < y[1]
    # A mean is drawn in the middle of the steps it is of: 1 and 3, of the held-out text's 0, 2, 4.
    lines = re.findall(r'<polyline points="([^"]*)"', svg)
    (means,) = [line.split() for line in lines if len(line.split()) == 2]
    assert [float(point.split(",")[0]) for point in means] == pytest.approx(
        [(x[0] + x[1]) / 2, (x[1] + x[2]) / 2], abs=0.11
    )
    for little in (loss_curve([], [], 8, ""), loss_curve([], [(0, 3.0)], 8, "")):
        assert "nan" not in drawn(little)


def test_the_live_curve_replaces_one_output(tiny, monkeypatch):
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture)

    def display(picture, display_id):
        shown.append(picture)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    run = fine_tune(tiny, TRAIN, HELD_OUT, SHORT, show=live_curve(every=0))
    assert len(shown) >= SHORT.steps
    assert "12/12" in repr(shown[-1]) and f"{run.held_out[-1][1]:.3f}" in repr(shown[-1])
    assert any("left" in repr(picture) for picture in shown)


def test_the_time_left_is_that_of_the_steps_left(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda picture, display_id: shown.append(repr(picture))
    )
    live_curve()(TrainingRun(replace(SHORT, steps=8), losses=[2.0] * 6, seconds=60.0))
    assert "step 6/8, about 20 s left" in shown[0]


def test_a_long_text_shows_that_something_goes_on(tiny, monkeypatch):
    """With a clock that jumps: before the first step there is a sign, and a share that grows."""
    clock = iter(range(10**6))
    monkeypatch.setattr("helpers.finetune.loop.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("helpers.finetune.loop.LONG", 100)
    seen = []
    long = HELD_OUT * 8
    fine_tune(
        tiny,
        TRAIN,
        long,
        replace(SHORT, steps=1),
        show=lambda run: seen.append((len(run.losses), run.measuring)),
    )
    before = [share for step, share in seen if step == 0]
    assert before[0] == 0.0 and before == sorted(before) and before[-1] > 0.5
    assert seen[-1] == (1, None)


def test_measuring_a_long_text_has_a_bar(tiny, monkeypatch, capsys):
    measured = bits_per_character(tiny.model, tiny.tokenizer, HELD_OUT)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("helpers.finetune.windows.LONG", 100)
    assert bits_per_character(tiny.model, tiny.tokenizer, HELD_OUT) == measured
    assert "measuring" in capsys.readouterr().err


# --- saved models, LoRA


@pytest.mark.colab
def test_a_saved_model_writes_the_same_again(tiny, tmp_path):
    fine_tune(tiny, TRAIN, HELD_OUT, replace(SHORT, learning_rate=1e-2))
    settings = SamplingSettings(min_length=0, max_length=40, seed=1)
    expected = generate(tiny, "雪", settings).sequences
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    again = load_for_training(str(tmp_path), device="cpu")
    assert generate(again, "雪", settings).sequences == expected
    assert (tmp_path / "spiece.model").read_bytes() == (
        Path(tiny.name) / "spiece.model"
    ).read_bytes()


def with_lora(language_model):
    torch.manual_seed(0)
    layer = language_model.model.transformer.h[0].attn.c_attn
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["c_attn"],
        fan_in_fan_out=isinstance(layer, Conv1D),
        task_type="CAUSAL_LM",
    )
    return replace(language_model, model=get_peft_model(language_model.model, config))


def logits_of(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([[2, 9, 8, 7, 6]])).logits


# peft asks for it by a name that transformers has since changed.
@pytest.mark.filterwarnings("error", "ignore:.*is_gradient_checkpointing")
@pytest.mark.colab
def test_lora_trains_saves_merges_and_reloads(folder, tmp_path):
    tiny = load_for_training(str(folder), device="cpu", gradient_checkpointing=True)
    frozen = weights(tiny.model)
    untouched = logits_of(tiny.model)
    lora = with_lora(tiny)
    run = fine_tune(lora, TRAIN, HELD_OUT, replace(SHORT, steps=20, learning_rate=2e-2))
    assert run.improvement > 0
    for name, value in weights(lora.model).items():
        original = name.removeprefix("base_model.model.").replace(".base_layer", "")
        assert "lora" in name or torch.equal(value, frozen[original])
    expected = logits_of(lora.model)
    assert not torch.allclose(expected, untouched, atol=1e-3)

    lora.model.save_pretrained(tmp_path, save_embedding_layers=False)
    # 2 layers, 4 x (32 + 96) numbers of 4 bytes each, and a short header
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 2 * 4 * 128 * 4 + 2000
    reloaded = PeftModel.from_pretrained(
        load_for_training(str(folder), device="cpu").model, tmp_path
    ).eval()
    assert torch.equal(logits_of(reloaded), expected)
    torch.testing.assert_close(logits_of(reloaded.merge_and_unload()), expected)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")
def test_lora_in_float16_as_on_a_t4(folder):
    """Frozen weights and arithmetic in float16, a scaled loss, adapters in float32: here on the CPU."""
    base = load_for_training(str(folder), device="cpu", gradient_checkpointing=True)
    base = replace(base, model=base.model.half(), dtype=torch.float16)
    lora = with_lora(base)
    assert {p.dtype for p in lora.model.parameters() if p.requires_grad} == {torch.float32}
    mine = replace(SHORT, length=16, learning_rate=2e-2)
    run = fine_tune(lora, TRAIN, HELD_OUT[:300], mine)
    assert run.stopped == "finished" and run.improvement > 0
    assert all(map(math.isfinite, run.losses))


OLD_TORCHAO = """
import sys
sys.path.insert(0, sys.argv[1])
from helpers.finetune import load_for_training
from importlib.metadata import version
from importlib.util import find_spec
{before}
from peft import LoraConfig, PeftModel, get_peft_model
base = load_for_training(sys.argv[2], device="cpu", half=True)
model = get_peft_model(base.model, LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
model.save_pretrained(sys.argv[3], save_embedding_layers=False)
PeftModel.from_pretrained(load_for_training(sys.argv[2], device="cpu").model, sys.argv[3]).merge_and_unload()
print(version("torchao"), find_spec("torchao") is not None)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "before",
    [
        "",
        pytest.param(
            "load_for_training(sys.argv[2], device='cpu', half=True)", marks=pytest.mark.slow
        ),
    ],
    ids=["peft", "load"],
)
def test_lora_beside_a_torchao_that_peft_finds_too_old(folder, tmp_path, before):
    """As on Colab, whose peft raises ImportError for Colab's own torchao. Whatever is imported first."""
    (tmp_path / "torchao").mkdir()
    (tmp_path / "torchao" / "__init__.py").write_text("", encoding="utf-8")
    info = tmp_path / "torchao-0.10.0.dist-info"
    info.mkdir()
    text = "Metadata-Version: 2.1\nName: torchao\nVersion: 0.10.0\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", OLD_TORCHAO.format(before=before)),
            *(str(tmp_path), str(folder), str(tmp_path / "adapter")),
        ],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    # It is still there for the reader.
    assert done.stdout.split() == ["0.10.0", "True"]


@pytest.mark.parametrize("accepted", [True, False])
def test_a_torchao_that_peft_accepts_is_left_alone(monkeypatch, accepted):
    from peft import import_utils
    from peft.tuners.lora import torchao as holder

    def asked() -> bool:
        if accepted:
            return True
        raise ImportError("too old")

    for module in (import_utils, holder):
        monkeypatch.setattr(module, "is_torchao_available", asked)
    accept_old_torchao()
    assert [m.is_torchao_available() for m in (import_utils, holder)] == [accepted] * 2


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")
def test_the_adapter_of_gpt_1b_takes_a_few_megabytes():
    shape = {"n_layer": 24, "n_embd": 2048, "n_head": 16, "n_inner": 8192, "vocab_size": 44928}
    from transformers import GPT2Config, GPT2LMHeadModel

    accept_old_torchao()
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_positions=1024, **shape))
        layer = LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True)
        trained, everything = get_peft_model(model, layer).get_nb_trainable_parameters()
    assert 1.2e9 < everything < 1.4e9
    assert 1e6 < trained * 4 < 10e6


# --- the class's texts, and what the lesson promises


def test_the_texts_are_by_authors_the_model_did_not_read():
    authors = {}
    with open(ROOT / "training" / "authors.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            authors[row["name"]] = row
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    files = sorted(DATA.glob("*.txt"))
    assert 2 <= len(files) <= 3 and sum(f.stat().st_size for f in DATA.iterdir()) < 300_000
    for file in files:
        text = file.read_text(encoding="utf-8")
        title, name = [line.strip() for line in text.splitlines()[:2]]
        assert authors[name]["role"] == "held-out" and int(authors[name]["died"]) <= 1967
        line = next(line for line in readme.splitlines() if f"`{file.name}`" in line)
        assert all(fact in line for fact in (name, title, authors[name]["died"]))
        assert "底本：" in text and "青空文庫" in text


@pytest.mark.parametrize("edition", ["", "en/"])
def test_the_notebook_improves_by_three_percent(edition):
    path = ROOT / "notebooks" / f"{edition}05_finetune.ipynb"
    outputs = json.dumps(nbformat.read(path, as_version=4).cells, ensure_ascii=False)
    (change,) = re.findall(r"\d\.\d+ → \d\.\d+ \((-[\d.]+)%\), step \d+", outputs)
    assert float(change) <= -3


@pytest.mark.parametrize("place", ["file/run", "/proc/nothing/here", "a\0b"])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tiny, tmp_path, place):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    before = [p.clone() for p in tiny.model.parameters()]
    with pytest.raises(FinetuneError, match="cannot be written to"):
        fine_tune(tiny, TRAIN, HELD_OUT, SHORT, folder=tmp_path / place)
    assert all(map(torch.equal, before, tiny.model.parameters()))


@pytest.mark.process
@pytest.mark.parametrize("size", ["2m", pytest.param("16k", marks=pytest.mark.slow)])
def test_a_disk_without_room_for_a_checkpoint(tmp_path, size):
    """Too small from the start it is refused before any work; filled on the way, the curve and the best weights are kept."""
    disk = tmp_path / "disk"
    disk.mkdir()
    model = make_model(tmp_path / "model")
    code = """
import json, sys
from pathlib import Path
import torch
from helpers.finetune import CheckpointNotSaved, FinetuneError, TrainingSettings, fine_tune, load_for_training
from helpers.language import set_language

set_language("en")
model, disk, said = sys.argv[1], Path(sys.argv[2]), {}
lm = load_for_training(model, device="cpu")
settings = TrainingSettings(
    steps=6, length=16, batch_size=2, learning_rate=1e-3, warmup_steps=1, evaluate_every=2
)
text = "国境の長いトンネルを抜けると雪国であった。吾輩は猫である。" * 40


def fill(run):
    if len(run.losses) == 3 and not (disk / "filler").exists():
        for size in (65536, 1024, 1):
            try:
                with open(disk / "filler", "ab", buffering=0) as filler:
                    while True:
                        filler.write(bytes(size))
            except OSError:
                pass


try:
    fine_tune(lm, text, text, settings, show=fill, folder=disk / "run")
except CheckpointNotSaved as error:
    said["filled"], said["losses"] = str(error), len(error.run.losses)
except FinetuneError as error:
    said["refused"] = str(error)
said["left"] = sorted(p.name for p in (disk / "run").iterdir())
print(json.dumps(said))
"""
    done = subprocess.run(
        [*on_small_disk(disk, size), sys.executable, "-c", code, str(model), str(disk)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    if size == "16k":
        assert "free some space" in said["refused"] and said["left"] == []
    else:
        assert "could not be saved" in said["filled"] and said["losses"] == 4
        # The last whole checkpoint stays, and nothing half written.
        assert said["left"] == ["checkpoint.pt"]
