"""`python -m helpers.doctor`, with things really broken: `pytest tests/test_doctor.py`."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import matplotlib
import psutil
import pytest
import sentencepiece
import transformers
from safetensors.torch import load_file, save_file

from helpers import BUNDLED_PATH, doctor
from helpers.doctor import machine, model, packages, report
from helpers.hub import cache, download
from tools.project import ROOT

pytestmark = pytest.mark.usefixtures("english")


def install(folder: Path, name: str, version: str, *requires: str) -> None:
    """Make a package that is installed as far as metadata tells; `folder` goes first on the path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Provides-Extra: fast",
    ]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundled model, in place of the real one: to be damaged."""
    copy = tmp_path / "aozora_mini"
    shutil.copytree(BUNDLED_PATH, copy)
    for module in (download, model):
        monkeypatch.setattr(module, "BUNDLED_PATH", copy)
    return copy


def found(look) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in report._guarded("it", look)}


@pytest.mark.process
def test_the_command_without_network_on_a_cp932_console():
    """The whole page, as a class without network would see it on Windows."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("HELPERS_LANG", "HF_HUB_OFFLINE")
    }
    environment |= {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(ROOT / "nowhere"),
        "PYTHONIOENCODING": "cp932",
        "PYTHONUTF8": "0",
        "PYTHONWARNDEFAULTENCODING": "1",
    }
    command = [sys.executable, "-m", "helpers.doctor", "--json", "--lang", "ja"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    errors = done.stderr.decode("utf-8", "replace")
    answer = json.loads(done.stdout.decode("utf-8"))
    findings = {finding["name"]: finding for finding in answer["findings"]}
    assert (done.returncode, answer["ok"]) == (0, True), findings
    assert findings["transformers"]["values"]["installed"] == transformers.__version__
    assert findings["transformers"]["values"]["tested"]
    assert findings["network"]["status"] == doctor.NOTE
    assert "aozora-mini" in findings["network"]["found"]
    for name in ("python", "memory", "disk", "font", "widgets", "tokenizer", "model"):
        assert findings[name]["status"] == doctor.OK, findings[name]
    ours = [line for line in errors.splitlines() if "EncodingWarning" in line and str(ROOT) in line]
    assert [line for line in ours if ".venv" not in line] == []


@pytest.mark.parametrize(
    ("name", "version"),
    [("transformers", "4.57.0"), ("torch", "2.5.1"), ("sentencepiece", "0.3.0")],
)
def test_a_version_out_of_range(tmp_path, monkeypatch, capsys, name, version):
    install(tmp_path, name, version)
    monkeypatch.syspath_prepend(tmp_path)
    finding = found(packages.check_packages)[name]
    assert finding.status == doctor.NG
    assert finding.values["installed"] == version and version in str(finding)
    assert "make run" in finding.next_step


@pytest.mark.process
def test_exit_status_and_page_agree(tmp_path, monkeypatch, capsys):
    install(tmp_path, "peft", "99.0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        machine, "check_network", lambda: doctor.Finding("network", doctor.NOTE, "")
    )
    assert doctor.main(["--lang", "en"]) == 1
    page = capsys.readouterr().out.splitlines()
    assert [line for line in page if line.startswith("[NG]")] == [
        line for line in page if line.startswith("[NG] peft: 99.0")
    ]
    assert "1 × [NG]" in page[-1]
    assert doctor.main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_missing_packages(monkeypatch):
    real = packages.metadata.version

    def version(name: str) -> str:
        if name in ("safetensors", "jupyterlab"):
            raise packages.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(packages.metadata, "version", version)
    findings = found(packages.check_packages)
    assert findings["safetensors"].status == doctor.NG and "make run" in str(
        findings["safetensors"]
    )
    assert findings["jupyterlab"].status == doctor.NOTE and "Colab" in str(findings["jupyterlab"])


def test_installed_as_a_package_the_ranges_come_from_its_metadata(tmp_path, monkeypatch):
    """constraints.txt stays in the repository: the page says that there is nothing to compare with."""
    install(
        tmp_path, packages.PROJECT, "0.1.0", "tqdm>=4.66", "ctranslate2>=99; extra == 'ctranslate2'"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "REQUIREMENTS", tmp_path / "requirements.txt")
    findings = found(packages.check_packages)
    assert findings["tested"].status == doctor.NOTE
    assert findings["tqdm"].status == doctor.OK and findings["tqdm"].values["tested"] is None
    assert findings["ctranslate2"].status == doctor.NG


@pytest.mark.parametrize(
    ("ipywidgets", "lab", "classic", "status"),
    [
        ("8.1.9", "3.0.17", "4.0.16", doctor.OK),
        ("7.7.1", "1.1.11", "3.6.10", doctor.OK),
        # What pip picks beside ipywidgets 7: in JupyterLab nothing shows.
        ("7.7.1", "3.0.17", "3.6.10", doctor.NG),
        ("8.1.9", "1.1.11", "4.0.16", doctor.NG),
    ],
)
def test_widgets_whose_halves_do_not_fit(tmp_path, monkeypatch, ipywidgets, lab, classic, status):
    install(tmp_path, "ipywidgets", ipywidgets)
    install(tmp_path, "jupyterlab-widgets", lab)
    install(tmp_path, "widgetsnbextension", classic)
    monkeypatch.syspath_prepend(tmp_path)
    finding = found(packages.check_widgets)["widgets"]
    assert finding.status == status
    assert ("close Jupyter" in finding.next_step) == (status == doctor.NG)


def test_a_font_that_is_gone(monkeypatch):
    """Without IPAexGothic matplotlib falls back to DejaVu Sans, which has no kanji."""

    def fall_back() -> None:
        matplotlib.rcParams["font.family"] = ["DejaVu Sans"]

    monkeypatch.setattr("helpers.charts.use_japanese_font", fall_back)
    finding = found(packages.check_font)["font"]
    assert finding.status == doctor.NG and "boxes" in finding.found
    assert "matplotlib-fontja" in finding.next_step


def test_a_tokenizer_that_disagrees_with_sentencepiece(monkeypatch):
    """The one in transformers itself, which takes unknown characters for the end of the text."""
    stock = transformers.T5Tokenizer.from_pretrained(BUNDLED_PATH)
    monkeypatch.setattr("helpers.tokenizer.load_tokenizer", lambda name: stock)
    finding = found(model.check_tokenizer)["tokenizer"]
    assert finding.status == doctor.NG
    assert "𠮷野家で🍣" in finding.values["wrong"]
    assert "git checkout" in finding.next_step


def test_a_tokenizer_whose_settings_were_edited(bundle):
    config = json.loads((bundle / "tokenizer_config.json").read_text(encoding="utf-8"))
    (bundle / "tokenizer_config.json").write_text(
        json.dumps(config | {"do_lower_case": True}), encoding="utf-8"
    )
    finding = found(model.check_tokenizer)["tokenizer"]
    assert finding.status == doctor.NG and "Hello, WORLD" in finding.values["wrong"]


def test_a_vocabulary_of_another_model(bundle):
    """The same number of pieces in another order: nothing is missing, and everything is wrong."""
    original = sentencepiece.SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString((bundle / "spiece.model").read_bytes())
    ordinary = [piece for piece in proto.pieces if piece.type == piece.NORMAL]
    texts = [piece.piece for piece in ordinary]
    scores = [piece.score for piece in ordinary]
    for piece, text, score in zip(
        ordinary, texts[1:] + texts[:1], scores[1:] + scores[:1], strict=True
    ):
        piece.piece, piece.score = text, score
    (bundle / "spiece.model").write_bytes(proto.SerializeToString())
    assert original.get_piece_size() == len(proto.pieces)
    assert found(model.check_tokenizer)["tokenizer"].status == doctor.OK
    finding = found(model.check_model)["model"]
    assert finding.status == doctor.NG and "git checkout" in finding.next_step


@pytest.mark.parametrize("damage", ["truncated", "not a number", "one layer at random"])
def test_a_damaged_model(bundle, damage):
    file = bundle / "model.safetensors"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        weights = load_file(file)
        name = next(name for name in weights if name.endswith("wte.weight"))
        if damage == "not a number":
            weights[name][7, 3] = float("nan")
        else:
            weights[name] = weights[name][weights[name].argsort(0)[:, 0]]
        save_file(weights, file, metadata={"format": "pt"})
    finding = found(model.check_model)["model"]
    assert finding.status == doctor.NG and "git checkout" in finding.next_step


def test_little_memory_and_a_full_disk(monkeypatch):
    memory = psutil.virtual_memory()._replace(available=300_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    finding = found(machine.check_memory)["memory"]
    assert finding.status == doctor.NG and "close other programs" in finding.next_step
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    finding = found(machine.check_disk)["disk"]
    assert finding.status == doctor.NG and str(Path.cwd()) in finding.next_step


def test_the_largest_model_that_memory_holds_is_named(monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda device: 64_000_000_000)
    finding = found(machine.check_memory)["memory"]
    assert finding.status == doctor.OK and "up to rinna/japanese-gpt-1b" in finding.found


def test_the_fuller_of_two_disks_is_what_is_looked_at(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda path: usage(10**12, 0, 5_000_000 if str(tmp_path) in str(path) else 10**11),
    )
    finding = found(machine.check_disk)["disk"]
    assert finding.status == doctor.NG and str(tmp_path) in finding.next_step


def test_a_hub_that_never_answers(monkeypatch):
    monkeypatch.setattr(machine, "NETWORK_SECONDS", 0.1)
    monkeypatch.setattr(download, "why_hub_fails", lambda name: machine.threading.Event().wait(30))
    finding = found(machine.check_network)["network"]
    assert finding.status == doctor.NOTE and "no answer" in finding.found


def test_the_hub_is_asked_although_the_large_model_is_in_the_cache(monkeypatch, tmp_path):
    from helpers.models import LARGE_MODEL

    asked = []

    def ask(name: str):
        asked.append(name)
        raise ConnectionError("no route")

    monkeypatch.setattr(download, "ask_hub", ask)
    for module in (cache, download):
        monkeypatch.setattr(module, "cached_folder", lambda name, weights, revision=None: tmp_path)
    assert download.hub_problem(LARGE_MODEL) is None and asked == []
    finding = found(machine.check_network)["network"]
    assert asked == [LARGE_MODEL]
    assert finding.status == doctor.NOTE and "check the network" in finding.found
    assert "needs no network" in finding.next_step


def test_whatever_a_broken_library_raises_is_a_finding(monkeypatch):
    def choose_device():
        raise RuntimeError("libtorch.so:\n undefined symbol")

    monkeypatch.setattr("helpers.device.choose_device", choose_device)
    finding = next(report._guarded("device", machine.check_device))
    assert finding.status == doctor.NG and "undefined symbol" in finding.found
    assert "\n" not in str(finding)
