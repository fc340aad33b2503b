"""The benchmarks run and print what others read: `pytest tests/test_benchmarks.py`. No speed is judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import measure
from helpers.engines.torch import int8

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parent.parent


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cpu_generate_prints_the_agreed_json():
    result = json.loads(run("cpu_generate", "--shape", "aozora-mini", "--runs", "1", "--json"))
    assert result.keys() == {"machine", "bandwidth_gb_s", "ways", "ratios"}
    assert "torch" in result["machine"]
    assert result["bandwidth_gb_s"] > 0.1
    agreed = {"article", "plain", "ctranslate2_int8"}
    if int8.can_compute():
        agreed.add("plain_int8")
    assert result["ways"].keys() == agreed
    for way in result["ways"].values():
        assert way.keys() == {"steps_per_s", "peak_gb", "load_s", "share_of_bandwidth_limit"}
        low, middle, high = (way["steps_per_s"][key] for key in ("min", "median", "max"))
        assert 0 < low <= middle <= high
        assert 0.05 < way["peak_gb"] < 5
        assert 0 < way["load_s"] < 300
        assert 0 < way["share_of_bandwidth_limit"] < 1
    article = result["ways"]["article"]["steps_per_s"]["median"]
    for name, ratio in result["ratios"].items():
        # One run: the ratio is that of the two figures, but for their rounding.
        ours = result["ways"][name]["steps_per_s"]["median"]
        assert ratio == pytest.approx(ours / article, rel=0.02, abs=0.01)
    assert result["ratios"].keys() == agreed - {"article"}


@pytest.mark.slow
def test_int8_costs_the_bundled_model_next_to_nothing():
    bits = json.loads(run("int8_bits").splitlines()[-1])["bits_per_character"]
    assert 0 < abs(bits["int8"] - bits["float32"]) < 0.02
    assert bits["difference"] == pytest.approx(bits["int8"] - bits["float32"], abs=1e-4)


def test_ways_are_measured_in_turn():
    order = []
    ways = {name: (lambda name=name: order.append(name) or len(order)) for name in "ab"}
    assert measure.in_turn(ways, 3) == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert order == list("ababab")


def test_a_failing_measurement_ends_the_benchmark_with_its_reason():
    with pytest.raises(SystemExit, match="no_such_benchmark"):
        measure.fresh("benchmarks.no_such_benchmark")


@pytest.mark.parametrize("tokens", [5, 15, 40])
def test_the_prompt_has_the_tokens_asked_for(tokens):
    from helpers.tokenizer import load_tokenizer

    tokenizer = load_tokenizer()
    prompt = measure.prompt_of(tokenizer, tokens)
    assert len(tokenizer.encode(prompt, add_special_tokens=False)) == tokens


def test_random_models_have_the_shapes_of_the_catalogue(tmp_path, monkeypatch):
    from transformers import AutoModelForCausalLM

    from helpers.models import CATALOGUE, count_parameters

    for name, shape in measure.SHAPES.items():
        prefix = "rinna/japanese-gpt" if name == "gpt-1b" else "rinna/japanese-gpt2"
        info = CATALOGUE[f"{prefix}-{name.removeprefix('gpt-')}"]
        assert count_parameters(shape | {"n_positions": 1024}) == info.parameters
        assert info.download_bytes == info.parameters * (2 if shape["dtype"] == "float16" else 4)
    monkeypatch.setattr(measure, "MODELS", tmp_path)
    small = measure.SHAPES["xsmall"] | {"n_layer": 1, "n_embd": 16, "n_head": 2}
    monkeypatch.setitem(measure.SHAPES, "xsmall", small)
    folder = measure.model_folder("xsmall")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.n_layer == 1 and model.transformer.wte.weight.std() > 0.01
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert (measure.model_folder("xsmall") / "model.safetensors").stat().st_mtime_ns == written
    assert not (tmp_path / "xsmall.partial").exists()


@pytest.mark.parametrize(("limit", "ends_with"), [(float("inf"), 0), (0.0, 1)])
def test_a_slider_that_no_longer_follows_the_hand_fails(monkeypatch, capsys, limit, ends_with):
    from benchmarks import slider_to_picture

    monkeypatch.setattr(slider_to_picture, "LIMIT", limit)
    monkeypatch.setattr(sys, "argv", ["slider_to_picture", "--moves", "11", "--json"])
    assert slider_to_picture.main() == ends_with
    result = json.loads(capsys.readouterr().out)
    assert result["vocabulary"] == 44_928 and result["moves"] == 6
    assert result["model_calls"] == 0
    low, middle, high = (result["milliseconds"][key] for key in ("min", "median", "max"))
    assert 0 < low <= middle <= high


def test_a_slider_that_runs_the_model_fails(monkeypatch, capsys):
    from benchmarks import slider_to_picture
    from helpers.lab.drafts import NextToken

    remembered = NextToken.distribution

    def forgetful(self, *arguments):
        self._logits = None
        return remembered(self, *arguments)

    monkeypatch.setattr(NextToken, "distribution", forgetful)
    monkeypatch.setattr(slider_to_picture, "LIMIT", float("inf"))
    monkeypatch.setattr(sys, "argv", ["slider_to_picture", "--moves", "8", "--json"])
    assert slider_to_picture.main() == 1
    assert json.loads(capsys.readouterr().out)["model_calls"] == 8
