"""The catalogue, choosing and loading: `pytest tests/test_models.py`. The hub is one on 127.0.0.1."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from local_hub import serve
from rinna_layout import make_model, raw
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

import helpers.models
from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.device import DeviceChoice
from helpers.device_errors import DeviceLost
from helpers.hub import ModelUnavailable, cache, weights_file
from helpers.models import (
    CATALOGUE,
    LARGE_MODEL,
    NotEnoughMemory,
    choose_model,
    count_parameters,
    load_model,
)
from helpers.models.files import explained_files

ROOT = Path(__file__).resolve().parent.parent
CPU = DeviceChoice(torch.device("cpu"), torch.float32, "")
T4 = DeviceChoice(torch.device("cuda"), torch.float16, "")


@pytest.mark.parametrize("inner", [None, 96])
def test_parameters_counted_from_the_config_are_those_of_the_model(inner):
    config = GPT2Config(
        vocab_size=50, n_positions=16, n_embd=32, n_layer=3, n_head=2, n_inner=inner
    )
    assert count_parameters(config.to_dict()) == GPT2LMHeadModel(config).num_parameters()


def test_the_catalogue_has_the_published_sizes():
    millions = {name: info.parameters / 1e6 for name, info in CATALOGUE.items()}
    assert millions["rinna/japanese-gpt2-xsmall"] == pytest.approx(37, abs=0.5)
    assert millions["rinna/japanese-gpt2-small"] == pytest.approx(110, abs=0.5)
    assert millions["rinna/japanese-gpt2-medium"] == pytest.approx(336, abs=0.5)
    assert millions[LARGE_MODEL] == pytest.approx(1300, abs=50)
    assert CATALOGUE[LARGE_MODEL].download_bytes == pytest.approx(2.6e9, rel=0.02)


@pytest.mark.process
def test_reading_the_catalogue_loads_neither_torch_nor_transformers():
    code = "import sys, helpers.models; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_bundled_model_loads_as_the_article_would():
    lm = load_model(BUNDLED_MODEL, device="cpu")
    assert lm.dtype == torch.float32
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    assert not lm.model.training
    plain = AutoModelForCausalLM.from_pretrained(BUNDLED_PATH, dtype=torch.float32)
    ids = torch.tensor([lm.tokenizer.encode("雪国", add_special_tokens=False)])
    with torch.no_grad():
        torch.testing.assert_close(lm.model(ids).logits, plain(ids).logits, rtol=1e-4, atol=1e-4)
    greedy = [m.generate(ids, do_sample=False, max_new_tokens=100) for m in (lm.model, plain)]
    assert torch.equal(*greedy)
    assert CATALOGUE[BUNDLED_MODEL].parameters == plain.num_parameters()


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("layout", ["gpt2", "gpt-1b"])
def test_a_half_precision_folder_runs_in_float32_on_a_cpu(tmp_path, layout, safe):
    folder = make_model(tmp_path / "模型 1", layout, dtype=torch.float16, safe=safe)
    lm = load_model(folder, device="cpu")
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    assert lm.tokenizer.eos_token_id == raw(folder).eos_id()


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr("helpers.models.choice.hub_problem", lambda name: "no hub")


@pytest.fixture
def free_memory(monkeypatch):
    """Make torch report free GPU memory, in bytes."""
    monkeypatch.delenv("HELPERS_MODEL", raising=False)

    def pretend(free: float) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free), int(16e9)))

    return pretend


def test_auto_takes_the_large_model_where_a_gpu_holds_it_and_the_hub_answers(
    free_memory, monkeypatch
):
    free_memory(15e9)
    monkeypatch.setattr("helpers.models.choice.hub_problem", lambda name: None)
    assert choose_model(T4)[0] == LARGE_MODEL


def test_auto_takes_the_bundled_model_without_a_gpu(monkeypatch):
    monkeypatch.delenv("HELPERS_MODEL", raising=False)
    name, reason = choose_model(CPU)
    assert name == BUNDLED_MODEL
    assert "GPU" in reason


@pytest.mark.parametrize("share", [0.4, 0.98])
def test_auto_takes_the_bundled_model_when_the_gpu_is_full(free_memory, share):
    free = share * CATALOGUE[LARGE_MODEL].memory_bytes(T4.dtype)
    free_memory(free)
    name, reason = choose_model(T4)
    assert name == BUNDLED_MODEL
    assert f"{free / 1e9:.1f} GB" in reason


def test_auto_takes_the_bundled_model_without_the_hub(free_memory, no_hub):
    free_memory(15e9)
    name, reason = choose_model(T4)
    assert name == BUNDLED_MODEL
    assert "no hub" in reason


def test_a_classroom_decides_what_auto_is(monkeypatch, tmp_path, capsys):
    folder = make_model(tmp_path / "class")
    monkeypatch.setenv("HELPERS_MODEL", str(folder))
    lm = load_model("auto", device="cpu")
    assert lm.name == str(folder)
    assert "HELPERS_MODEL" in lm.reason
    said = capsys.readouterr().out
    assert "HELPERS_MODEL" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["", "gpt-1b", "a/b/c", "../nowhere", "rinna/", "/no/such/folder"])
def test_an_unknown_name_is_refused_with_what_is_allowed(name):
    with pytest.raises(ValueError, match=BUNDLED_MODEL):
        load_model(name)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="torch"):
        load_model(BUNDLED_MODEL, engine="onnx")


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json"])
def test_a_broken_folder_is_named(tmp_path, broken):
    folder = make_model(tmp_path / "broken")
    (folder / broken).write_bytes(b"{ not what it should be")
    with pytest.raises(ModelUnavailable, match="broken") as caught:
        load_model(folder)
    assert caught.value.__cause__ is not None


def test_a_folder_without_weights_is_named(tmp_path):
    folder = make_model(tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="empty"):
        load_model(folder)


def run_cli(home: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HELPERS_LANG": "en",
        "HF_HUB_DISABLE_XET": "1",
    }
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "helpers.generate", "雪国", *arguments]
    return subprocess.run(
        command, capture_output=True, cwd=ROOT, env=environment, timeout=120, encoding="utf-8"
    )


NAME = "rinna/japanese-gpt2-xsmall"
SHORT = ("--model", NAME, "--min-length", "0", "--max-length", "20", "--seed", "1", "--json")


@pytest.mark.process
@pytest.mark.parametrize(
    "safe", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["safetensors", "bin"]
)
def test_a_model_comes_from_the_hub_and_then_from_the_cache(tmp_path, safe):
    folder = make_model(tmp_path / "hub", do_lower_case=True, safe=safe)
    home = tmp_path / "home"
    with serve({NAME: folder}) as endpoint:
        first = run_cli(home, endpoint, *SHORT)
    assert first.returncode == 0, first.stderr
    answer = json.loads(first.stdout)
    assert answer["model"] == NAME
    assert answer["sequences"][0]["token_ids"][:2] == raw(folder).encode("雪国")[:2]
    # The hub is gone: the same address, nobody there.
    second = run_cli(home, endpoint, *SHORT)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["sequences"] == answer["sequences"]


@pytest.mark.process
@pytest.mark.parametrize(
    "status", [404, *(pytest.param(status, marks=pytest.mark.slow) for status in (401, 503))]
)
def test_a_hub_that_refuses_is_one_sentence(tmp_path, status):
    with serve({}, status) as endpoint:
        done = run_cli(tmp_path, endpoint, *SHORT)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert NAME in done.stderr and BUNDLED_MODEL in done.stderr and str(status) in done.stderr


@pytest.mark.process
def test_no_hub_at_all_is_one_sentence(tmp_path):
    done = run_cli(tmp_path, "http://127.0.0.1:9", *SHORT)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert NAME in done.stderr and BUNDLED_MODEL in done.stderr


# Memory, told before it is spent


@pytest.fixture
def machine_with(monkeypatch):
    """Make the machine have so many bytes free, and forbid anything to be fetched."""
    monkeypatch.setattr("helpers.device.bfloat16_unit", lambda: None)

    def pretend(free: float, vnni: bool = False) -> None:
        monkeypatch.setattr("helpers.engines.torch.int8.can_compute", lambda: vnni)
        monkeypatch.setattr("helpers.memory.available_memory", lambda device: int(free))
        monkeypatch.setattr(
            "helpers.models.loading.local_folder",
            lambda *_, **__: pytest.fail("something was fetched"),
        )

    return pretend


@pytest.mark.parametrize(
    ("free", "vnni", "way", "fits"),
    [
        (4e9, True, {}, "dtype=torch.int8"),
        (2e9, True, {}, "dtype=torch.int8"),
        (1e9, True, {"dtype": torch.int8}, "rinna/japanese-gpt2-medium"),
        (4e9, False, {}, 'engine="ctranslate2"'),
        (2e9, False, {}, "rinna/japanese-gpt2-medium"),
        (8e8, False, {}, "rinna/japanese-gpt2-small"),
        (1e8, False, {}, BUNDLED_MODEL),
        (2e9, False, {"engine": "ctranslate2"}, "rinna/japanese-gpt2-medium"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_does(machine_with, free, vnni, way, fits):
    machine_with(free, vnni)
    with pytest.raises(NotEnoughMemory, match=f"{free / 1e9:.1f} GB") as caught:
        load_model(LARGE_MODEL, **way)
    assert fits in str(caught.value)
    assert isinstance(caught.value, MemoryError)


def test_a_gpu_that_is_too_small_is_told_too(machine_with):
    machine_with(1e9)
    with pytest.raises(NotEnoughMemory, match="GPU") as caught:
        helpers.models.memory_check.check_memory(
            LARGE_MODEL, CATALOGUE[LARGE_MODEL].parameters, T4, "torch"
        )
    assert "rinna/japanese-gpt2-medium" in str(caught.value)


def test_a_gpu_that_is_too_small_is_offered_the_cpu_that_is_not(monkeypatch, english):
    monkeypatch.setattr("helpers.device.bfloat16_unit", lambda: None)
    monkeypatch.setattr("helpers.engines.torch.int8.can_compute", lambda: False)
    for of_cpu, way in (
        (12.7e9, 'device="cpu" (about'),
        (4e9, 'engine="ctranslate2", device="cpu"'),
    ):
        free = {"cuda": 1e9, "cpu": of_cpu}
        monkeypatch.setattr("helpers.memory.available_memory", lambda d, f=free: int(f[d.type]))
        with pytest.raises(NotEnoughMemory) as caught:
            helpers.models.memory_check.check_memory(
                LARGE_MODEL, CATALOGUE[LARGE_MODEL].parameters, T4, "torch"
            )
        assert way in str(caught.value)


def test_a_mac_is_offered_less_memory_and_not_the_cpu_that_has_the_same(machine_with):
    machine_with(4e9, False)
    mps = DeviceChoice(torch.device("mps"), torch.float32, "")
    with pytest.raises(NotEnoughMemory, match='engine="ctranslate2", device="cpu"'):
        helpers.models.memory_check.check_memory(
            LARGE_MODEL, CATALOGUE[LARGE_MODEL].parameters, mps, "torch"
        )


def test_the_large_model_fits_colabs_cpu_runtime_in_float32(machine_with, monkeypatch):
    """12.7 GB: it is let in, and "auto" is still the bundled model, as there is no GPU."""
    machine_with(12.7e9)
    monkeypatch.delenv("HELPERS_MODEL", raising=False)
    for engine in ("torch", "ctranslate2"):
        helpers.models.memory_check.check_memory(
            LARGE_MODEL, CATALOGUE[LARGE_MODEL].parameters, CPU, engine
        )
    assert choose_model(CPU)[0] == BUNDLED_MODEL


def test_a_gpu_that_went_away_before_loading_is_one_sentence(monkeypatch):
    def gone(*_):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", gone)
    with pytest.raises(DeviceLost) as caught:
        load_model(BUNDLED_MODEL)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_dtype_can_be_asked_for():
    lm = load_model(BUNDLED_MODEL, device="cpu", dtype=torch.bfloat16)
    assert lm.dtype == lm.model.dtype == torch.bfloat16


def test_a_processor_with_bfloat16_says_that_it_uses_it(tmp_path, monkeypatch, capsys, english):
    """From 300 million weights on; a smaller model, or float32 asked for, has nothing to say."""
    folder = make_model(tmp_path / "model")
    monkeypatch.setattr("helpers.device.bfloat16_unit", lambda: "amx_bf16")
    assert load_model(folder, device="cpu").dtype == torch.float32
    monkeypatch.setattr("helpers.device.HALF_FROM", 0)
    assert load_model(folder, device="cpu", dtype=torch.float32).model.dtype == torch.float32
    assert "amx_bf16" not in capsys.readouterr().out
    assert load_model(folder, device="cpu").model.dtype == torch.bfloat16
    assert "amx_bf16" in capsys.readouterr().out


def test_a_broken_index_of_weights_is_named(tmp_path):
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    for broken in ("{", "{}"):
        (folder / "model.safetensors.index.json").write_text(broken, encoding="utf-8")
        with pytest.raises(ModelUnavailable, match=BUNDLED_MODEL):
            load_model(folder, device="cpu")


def in_parts(folder: Path, kind: str, *, missing: bool = False) -> Path:
    """The weights of a folder, which are whole, as an index that names them and perhaps one part more."""
    whole, part = folder / kind, kind.replace(".", "-00001-of-00002.", 1)
    whole.rename(folder / part)
    names = GPT2LMHeadModel(GPT2Config.from_pretrained(folder)).state_dict()
    files = dict.fromkeys(names, part)
    if missing:
        files["one more"] = kind.replace(".", "-00002-of-00002.", 1)
    text = json.dumps({"metadata": {}, "weight_map": files})
    (folder / f"{kind}.index.json").write_text(text, encoding="utf-8")
    return folder


def test_weights_of_which_a_part_is_missing_are_not_there(tmp_path):
    folder = in_parts(make_model(tmp_path / "parts"), "model.safetensors", missing=True)
    assert weights_file(folder) is None
    with pytest.raises(ModelUnavailable, match="parts"):
        load_model(folder, device="cpu")


def test_a_pickle_in_parts_is_warned_of_too(tmp_path):
    folder = in_parts(make_model(tmp_path / "parts", safe=False), "pytorch_model.bin")
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin"):
        load_model(folder, device="cpu")


def test_what_the_system_refuses_deletes_nothing_from_the_cache(tmp_path, monkeypatch):
    folder = make_model(tmp_path / "cache" / "model")
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    (folder / "config.json").write_text("{", encoding="utf-8")  # broken, but not what fails first
    with (
        pytest.raises(ModelUnavailable, match="PermissionError"),
        explained_files("a/model", folder),
    ):
        raise PermissionError(errno.EACCES, "no permission", str(folder / "model.safetensors"))
    assert (folder / "config.json").exists() and (folder / "model.safetensors").exists()


def test_the_size_of_an_unlisted_model_is_read_from_its_config(tmp_path, monkeypatch):
    folder = make_model(tmp_path / "huge")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = {"n_embd": 8192, "n_layer": 48, "n_inner": None}
    (folder / "config.json").write_text(json.dumps(config | shape), encoding="utf-8")
    monkeypatch.setattr("helpers.memory.available_memory", lambda device: int(12e9))
    with pytest.raises(NotEnoughMemory, match="huge"):
        load_model(folder, device="cpu")


LOADING = """
import json, sys
import helpers.models
from benchmarks.measure import peak_of_anonymous_memory
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
helpers.models.load_model("aozora-mini", device="cpu")
with peak_of_anonymous_memory() as added:
    lm = helpers.models.load_model(sys.argv[1], device="cpu")
weights = sum(p.numel() * p.element_size() for p in lm.model.parameters())
print(json.dumps([added[0] * 1e9, weights, str(lm.dtype)]))
"""


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_holds_the_weights_once(tmp_path):
    """A file in half precision, 0.6 GB once it is float32."""
    folder = make_model(tmp_path / "model")
    config = GPT2Config(vocab_size=2000, n_positions=64, n_embd=1024, n_layer=12, n_head=8)
    GPT2LMHeadModel(config).to(torch.float16).save_pretrained(folder)
    command = [sys.executable, "-c", LOADING, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    added, weights, dtype = json.loads(done.stdout)
    assert dtype == "torch.float32" and weights > 6e8
    # Packed one after another; held twice, all would be 600 MB more.
    assert 0.9 * weights < added < 1.1 * weights


def test_what_a_saved_copy_of_lesson_4_imports_is_still_there():
    from helpers.engines import ctranslate2
    from helpers.engines.torch import int8
    from helpers.fast import install_engine
    from helpers.int8 import can_compute

    assert install_engine is ctranslate2.install_engine
    assert can_compute is int8.can_compute


def test_what_a_saved_copy_of_lesson_4_calls_is_still_there():
    language_model = load_model("aozora-mini", device="cpu")
    language_model.writer.ready()
    assert language_model.writer is language_model.runner
