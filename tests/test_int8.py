"""A model in int8 against the same in float32: `pytest tests/test_int8.py`."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rinna_layout import make_model
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.engines.torch import int8
from helpers.errors import InputError
from helpers.finetune import FinetuneError, TrainingSettings, fine_tune
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate, next_token_distribution, stream

pytestmark = pytest.mark.processor

ROOT = Path(__file__).parents[1]
needs_vnni = pytest.mark.skipif(not int8.can_compute(), reason="this processor has no VNNI")


@pytest.fixture(scope="module")
def lm():
    if not int8.can_compute():
        pytest.skip("this processor has no VNNI")
    return load_model(BUNDLED_MODEL, dtype=torch.int8)


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("shape", [(64, 256), (250, 77), (33, 8)])
@needs_vnni
def test_a_layer_multiplies_the_rounded_numbers_exactly(rows, shape):
    """The oracle: the same bytes multiplied as int64, by torch's ordinary product."""
    draw = torch.Generator().manual_seed(rows)
    outputs, inputs = shape
    weight = torch.randn(outputs, inputs, generator=draw) * torch.rand(outputs, 1, generator=draw)
    bias = torch.randn(outputs, generator=draw)
    x = torch.randn(rows, inputs, generator=draw) * 10 ** torch.randn(rows, 1, generator=draw)
    x[1:2] = 0
    of_row = x.abs().amax(1, keepdim=True) / 127
    of_output = weight.abs().amax(1) / 127
    bytes_of_x = (x / of_row.clamp_min(1e-30)).round().long()
    bytes_of_weight = (weight / of_output[:, None]).round().long()
    assert bytes_of_x.abs().max() == bytes_of_weight.abs().max() == 127
    wanted = (bytes_of_x @ bytes_of_weight.T).double() * of_row * of_output + bias
    with torch.no_grad():
        for lies in (weight, weight.T.contiguous().T):  # row by row, or as GPT-2's layers hold it
            ours = int8.Int8Layer(lies, bias)(x)
            torch.testing.assert_close(ours.double(), wanted, rtol=1e-5, atol=1e-5)


@needs_vnni
def test_large_sums_are_not_cut_off():
    """255 x 127 twice is more than 16 bits hold."""
    layer = int8.Int8Layer(torch.ones(128, 2048), None)
    with torch.no_grad():
        torch.testing.assert_close(layer(torch.ones(3, 2048)), torch.full((3, 128), 2048.0))


LOADING = """
import json, sys, torch
from benchmarks.measure import memory_of, peak_of_anonymous_memory, weight_bytes
from helpers.models import load_model
load_model("aozora-mini", device="cpu", dtype=torch.int8)
before = memory_of("RssFile")
with peak_of_anonymous_memory() as added:
    lm = load_model(sys.argv[1], dtype=torch.int8)
pages = memory_of("RssFile") - before
print(json.dumps({"added": added[0], "pages": pages, "weights": weight_bytes(lm.model) / 1e9}))
"""


@pytest.mark.alone
@needs_vnni
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_takes_little_more_than_the_bytes(tmp_path):
    """Not the file's 0.3 GB besides, neither as a copy nor as its pages."""
    folder = make_model(tmp_path / "model")
    config = GPT2Config(vocab_size=2000, n_positions=64, n_embd=1024, n_layer=12, n_head=8)
    GPT2LMHeadModel(config).to(torch.float16).save_pretrained(folder)
    command = [sys.executable, "-c", LOADING, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout.splitlines()[-1])
    assert 0.14 < memory["weights"] < 0.17
    assert memory["added"] < 1.2 * memory["weights"]
    assert memory["pages"] < 0.1


@needs_vnni
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_damaged_weights_do_not_pass_for_numbers(broken):
    weight = torch.ones(8, 64)
    weight[3, 5] = broken
    with torch.no_grad():
        y = int8.Int8Layer(weight, None)(torch.ones(1, 64))
    assert y.isnan().nonzero().tolist() == [[0, 3]]


@pytest.mark.process
def test_a_processor_that_would_cut_sums_off_is_found_out():
    """oneDNN can be told to do without VNNI; then products of bytes are wrong on most processors."""
    code = (
        "import torch, helpers.engines.torch.int8 as int8\n"
        "able = int8.can_compute()\n"
        "layer = int8.Int8Layer(torch.ones(128, 2048), None)\n"
        "right = (layer(torch.ones(3, 2048)) - 2048).abs().max() < 1\n"
        "assert right or not able"
    )
    for most in ("AVX2", "AVX512_CORE"):
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": most}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@needs_vnni
@pytest.mark.parametrize("layout", ["gpt2", "gpt-1b"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_file_of_any_dtype_predicts_nearly_the_same(tmp_path, layout, dtype):
    folder = make_model(tmp_path / "model", layout, dtype=dtype)
    lm = load_model(folder, dtype=torch.int8)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.randint(4, 100, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = lm.model(ids).logits, plain(ids).logits
    assert lm.dtype == torch.int8 and ours.dtype == torch.float32
    assert not torch.equal(ours, theirs)
    # A byte keeps about two digits.
    assert (ours - theirs).std() < 0.03 * theirs.std()


def test_it_costs_little_on_held_out_text(lm):
    from training.evaluate import excerpt_bits

    plain = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=torch.float32)
    processor = lm.tokenizer.sp_model
    costs = [excerpt_bits(m, processor)["bits_per_character"] for m in (lm.model, plain)]
    assert costs[0] == pytest.approx(costs[1], abs=0.02)


def test_one_seed_is_one_text_and_stream_writes_what_generate_does(lm):
    settings = SamplingSettings(seed=3, max_length=40, min_length=10)
    first, again = (generate(lm, "国境の長いトンネル", settings) for _ in range(2))
    written = [list(s.token_ids) for s in first.sequences]
    assert written == [list(s.token_ids) for s in again.sequences]
    prompt = len(lm.tokenizer.encode("国境の長いトンネル", add_special_tokens=False))
    streamed = [[], [], []]
    for event in stream(lm, "国境の長いトンネル", settings):
        if event.token_id is not None:
            streamed[event.sequence].append(event.token_id)
    assert streamed == [ids[prompt:] for ids in written]


def test_top_k_1_takes_the_likeliest_token_of_the_picture(lm):
    settings = SamplingSettings(top_k=1, num_return_sequences=1, min_length=1, max_length=30)
    text = generate(lm, "吾輩は猫である。", settings).sequences[0]
    picture = next_token_distribution(lm, "吾輩は猫である。", settings)
    prompt = len(lm.tokenizer.encode("吾輩は猫である。", add_special_tokens=False))
    best = max(picture.candidates, key=lambda candidate: candidate.final)
    assert text.token_ids[prompt] == best.token_id


def test_a_text_does_not_depend_on_those_beside_it(lm):
    ids = torch.randint(4, lm.vocab_size, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = lm.model(ids).logits
        alone = torch.cat([lm.model(row[None]).logits for row in ids])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "act",
    [
        lambda model, folder: model.to(torch.float64),
        lambda model, folder: model.float(),
        lambda model, folder: model.save_pretrained(folder),
        lambda model, folder: model.state_dict(),
        lambda model, folder: copy.deepcopy(model),
        lambda model, folder: pickle.dumps(model),
        lambda model, folder: model.load_state_dict({}, strict=False),
    ],
    ids=["dtype", "float", "save", "state_dict", "deepcopy", "pickle", "load"],
)
def test_what_it_cannot_do_is_refused_in_one_sentence(tmp_path, act):
    if not int8.can_compute():
        pytest.skip("this processor has no VNNI")
    lm = load_model(BUNDLED_MODEL, dtype=torch.int8)
    with pytest.raises(InputError, match="load_model"):
        act(lm.model, tmp_path)
    assert generate(lm, "雪", SamplingSettings(min_length=1, max_length=8)).sequences


def test_it_is_not_trained(lm):
    with pytest.raises(FinetuneError, match=r"int8.*load_for_training"):
        fine_tune(lm, "雪が降る。" * 200, "雪が降る。" * 20, TrainingSettings(steps=1))


@pytest.mark.parametrize("dtype", [torch.int16, torch.float64, "float32"])
def test_other_dtypes_are_refused_before_anything_is_fetched(monkeypatch, dtype):
    monkeypatch.setattr(
        "helpers.models.loading.local_folder", lambda *_, **__: pytest.fail("fetched")
    )
    with pytest.raises(InputError, match=r"torch\.int8"):
        load_model("rinna/japanese-gpt-1b", dtype=dtype)


def test_on_a_gpu_or_without_vnni_it_is_refused_and_told_what_to_do(monkeypatch):
    monkeypatch.setattr(
        "helpers.models.loading.local_folder", lambda *_, **__: pytest.fail("fetched")
    )
    with pytest.raises(InputError, match='device="cpu"'):
        load_model("rinna/japanese-gpt-1b", device="cuda", dtype=torch.int8)
    monkeypatch.setattr(int8, "can_compute", lambda: False)
    with pytest.raises(InputError, match='engine="ctranslate2"'):
        load_model("rinna/japanese-gpt-1b", dtype=torch.int8)


def test_another_kind_of_model_is_refused(tmp_path):
    if not int8.can_compute():
        pytest.skip("this processor has no VNNI")
    folder = make_model(tmp_path / "model")
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(config.replace('"gpt2"', '"llama"'), encoding="utf-8")
    with pytest.raises(InputError, match="llama"):
        load_model(folder, dtype=torch.int8)
