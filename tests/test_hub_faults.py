"""What a broken hub or network does to `load_model`: `pytest tests/test_hub_faults.py`. The hub is one on 127.0.0.1.

Each fault ends in the model loaded or in one sentence, and leaves nothing behind that fails the next time.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import torch
from hub_client import ROOT, Client, fingerprint
from huggingface_hub.errors import HfHubHTTPError
from local_hub import Hub, hub
from rinna_layout import make_model, raw
from small_disk import on_small_disk
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import BUNDLED_MODEL
from helpers.device_errors import DeviceLost
from helpers.hub import ModelUnavailable, cache, local_folder, weights_file
from helpers.hub import download as downloading

pytestmark = pytest.mark.process

XSMALL, LARGE = "rinna/japanese-gpt2-xsmall", "rinna/japanese-gpt-1b"
SMALL, MEDIUM = "rinna/japanese-gpt2-small", "rinna/japanese-gpt2-medium"
LANGUAGES = ("ja", "en")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    # The hub's client keeps what came in steps of 10 MB: only a larger file can be taken up half way.
    config = GPT2Config.from_pretrained(make_model(folder / "small"), n_inner=50_000)
    GPT2LMHeadModel(config).save_pretrained(folder / "small")
    return {
        SMALL: folder / "small",
        XSMALL: make_model(folder / "xsmall", "gpt2", do_lower_case=True),
        LARGE: make_model(folder / "1b", "gpt-1b", dtype=torch.float16),
        MEDIUM: make_model(folder / "medium", "gpt2", do_lower_case=True, safe=False),
    }


@pytest.fixture(scope="module")
def served(models):
    with hub(models) as state:
        yield state


@pytest.fixture(scope="module")
def process(served, tmp_path_factory):
    client = Client(tmp_path_factory.mktemp("home"), served.address)
    yield client
    client.close()


@pytest.fixture
def reader(process, served):
    """The reader's process, with an empty cache and a hub without faults."""
    forget(process, XSMALL, SMALL, MEDIUM, LARGE)
    served.mend()
    yield process
    served.mend()


def cache_of(client: Client, name: str) -> Path:
    return client.home / "hub" / f"models--{name.replace('/', '--')}"


def forget(client: Client, *names: str) -> None:
    for name in names:
        for path in sorted(cache_of(client, name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def assert_loaded(answer: dict, folder: Path) -> None:
    assert answer["error"] is None, answer
    assert answer["ids"] == raw(folder).encode("雪国🍣")
    if (folder / "model.safetensors").exists():
        dtype = getattr(torch, answer["dtype"])
        expected = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).to(dtype)
        assert answer["weights"] == fingerprint(expected)


def assert_one_sentence(answer: dict, name: str, language: str, *words: str) -> None:
    message = answer["message"]
    assert answer["error"] == "ModelUnavailable", answer
    assert "\n" not in message and len(message) < 400
    for word in (name, BUNDLED_MODEL, *words):
        assert word in message
    assert bool(re.search("[ぁ-ん]", message)) == (language == "ja")
    # What a notebook shows: the sentence, the cause in a line, where the rest is. No forty lines.
    lines = answer["shown"].splitlines()
    assert message in lines[0]
    assert len(lines) <= 4 and "print_exception" in lines[-1]


def assert_nothing_half_written(client: Client, name: str) -> None:
    assert list(cache_of(client, name).rglob("*.incomplete")) == []
    weights = [*cache_of(client, name).rglob("model*.safetensors")]
    assert [w for w in weights if not w.exists()] == []


def refused_then_loaded(
    reader: Client, served: Hub, name: str, *words: str, cause: bool = True
) -> None:
    """Both languages get their sentence; the fault over, the same call loads the model."""
    for language in LANGUAGES:
        answer = reader.loads(name, language)
        assert_one_sentence(answer, name, language, *words)
        assert (answer["cause"] != "NoneType") == cause
        assert_nothing_half_written(reader, name)
    served.mend()
    assert_loaded(reader.loads(name), served.models[name])


@pytest.mark.parametrize("name", [XSMALL, LARGE])
def test_a_model_comes_from_the_hub_and_then_from_the_cache(reader, served, models, name):
    answer = reader.loads(name)
    assert_loaded(answer, models[name])
    assert answer["warnings"] == []
    served.status = 503
    assert_loaded(reader.loads(name), models[name])
    assert [r for r in served.requests if "resolve" in r[1]][-1][0] == "GET"


def test_a_model_that_was_changed_on_the_hub_is_downloaded_again(
    reader, served, models, monkeypatch
):
    assert_loaded(reader.loads(XSMALL), models[XSMALL])
    monkeypatch.setitem(served.models, XSMALL, models[SMALL])
    monkeypatch.setattr(served, "version", "f" * 40)
    assert_loaded(reader.loads(XSMALL), models[SMALL])
    served.status = 503
    assert_loaded(reader.loads(XSMALL), models[SMALL])


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {}, ["HTTP 401"]),
        (403, {}, ["HTTP 403"]),
        (404, {"X-Error-Code": "RepoNotFound"}, ["HTTP 404"]),
        (429, {"Retry-After": "37"}, ["HTTP 429", "37"]),
        (500, {}, ["HTTP 500"]),
        (503, {}, ["HTTP 503"]),
    ],
)
def test_a_hub_that_refuses(reader, served, status, headers, words):
    served.status, served.headers = status, headers
    refused_then_loaded(reader, served, XSMALL, *words)


def test_a_download_that_is_told_to_wait_waits(reader, served, models):
    served.only, served.status, served.headers = "model.safetensors", 429, {"Retry-After": "3"}
    served.refusals = 2
    answer = reader.loads(XSMALL)
    assert_loaded(answer, models[XSMALL])
    # Both were really sent, and waited for.
    assert served.refusals == 0
    assert len(served.bodies("model.safetensors")) == 3
    assert answer["seconds"] > 2 * 3


@pytest.mark.parametrize("answered", [b"<html>Log in</html>", b'{"please": "log in"}'])
def test_a_login_page_in_place_of_the_hub(reader, served, answered):
    served.page = answered
    refused_then_loaded(reader, served, XSMALL)


def test_a_hub_that_says_nothing(reader, served):
    served.stalls = True
    answer = reader.loads(LARGE)
    assert_one_sentence(answer, LARGE, "en")
    # HF_HUB_ETAG_TIMEOUT is 2 seconds here.
    assert answer["seconds"] < 20
    served.stalls = False
    assert_loaded(reader.loads(LARGE), served.models[LARGE])


def test_a_connection_cut_once_is_taken_up_where_it_broke(reader, served, models):
    served.only, served.cuts = "model.safetensors", 1
    assert_loaded(reader.loads(SMALL), models[SMALL])
    size = (models[SMALL] / "model.safetensors").stat().st_size
    whole, rest = served.bodies("model.safetensors")
    start = int(re.fullmatch(r"bytes=(\d+)-(?:\d+)?", rest)[1])
    assert whole is None and 0 < start <= size // 2


def test_a_connection_that_is_cut_again_and_again(reader, served):
    served.only, served.cuts = "model.safetensors", 100
    refused_then_loaded(reader, served, XSMALL)


@pytest.mark.parametrize("file", ["model.safetensors", "spiece.model"])
def test_bytes_that_changed_on_their_way_are_not_kept(reader, served, file):
    served.damaged = {file}
    refused_then_loaded(reader, served, LARGE, file, cause=False)


def test_a_broken_header_in_the_cache_is_thrown_out(reader, served, models):
    assert_loaded(reader.loads(XSMALL), models[XSMALL])
    (weights,) = cache_of(reader, XSMALL).rglob("model.safetensors")
    body = bytearray(weights.read_bytes())
    body[:12] = b"\xff" * 12
    weights.resolve().write_bytes(body)
    served.status = 503
    assert_one_sentence(reader.loads(XSMALL, "ja"), XSMALL, "ja", "model.safetensors")
    served.mend()
    assert_loaded(reader.loads(XSMALL), models[XSMALL])


def test_a_broken_configuration_in_the_cache_is_thrown_out(reader, served, models):
    assert_loaded(reader.loads(XSMALL), models[XSMALL])
    (config,) = cache_of(reader, XSMALL).rglob("config.json")
    config.resolve().write_text('{"model_type": "gp')
    assert_one_sentence(reader.loads(XSMALL), XSMALL, "en", "config.json")
    assert_loaded(reader.loads(XSMALL), models[XSMALL])


@pytest.mark.parametrize("name", [XSMALL, MEDIUM], ids=["safetensors", "bin"])
def test_an_interrupt_in_mid_download_and_then_again(reader, served, models, name):
    weights = "model.safetensors" if name == XSMALL else "pytorch_model.bin"
    served.only, served.pause = weights, 20
    reader.begin(name)
    assert served.half_sent.wait(60)
    reader.interrupt()
    answer = reader.answer()
    # At once: not when the other half has come.
    assert answer["error"] == "Interrupted" and answer["interrupt"] and answer["seconds"] < 20
    assert answer["message"] in answer["shown"] and len(answer["shown"].splitlines()) <= 4
    assert_nothing_half_written(reader, name)
    # Offline, half a model is not taken for a whole one.
    served.mend()
    served.status = 503
    assert_one_sentence(reader.loads(name, "ja"), name, "ja", "503")
    served.mend()
    assert_loaded(reader.loads(name), models[name])
    # What had come whole is not fetched again.
    assert served.bodies("spiece.model") == []


def test_a_process_killed_in_mid_download_and_then_again(served, models, tmp_path):
    """As when Colab takes the machine away, or the memory runs out: there is no time to tidy up."""
    served.mend()
    served.only, served.pause = "model.safetensors", 60
    first = Client(tmp_path, served.address)
    first.begin(XSMALL)
    assert served.half_sent.wait(120)
    first.process.kill()
    first.process.wait(30)
    served.mend()
    served.status = 503
    later = Client(tmp_path, served.address)
    try:
        assert_one_sentence(later.loads(XSMALL, "ja"), XSMALL, "ja", "503")
        served.mend()
        assert_loaded(later.loads(XSMALL), models[XSMALL])
        assert served.bodies("spiece.model") == []
    finally:
        later.close()
        served.mend()


@pytest.fixture
def told(monkeypatch):
    """In this process: the hub tells of one file, which hf_hub_download then fails to bring."""

    def fail(error: Exception, *others: SimpleNamespace) -> None:
        def download(*_: object, **__: object) -> str:
            raise error

        file = SimpleNamespace(rfilename="model.safetensors", size=10)
        told = SimpleNamespace(sha="0" * 40, siblings=[file, *others])
        monkeypatch.setattr(downloading, "ask_hub", lambda name: told)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)

    return fail


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("status", [500, 502])
def test_a_fault_of_the_hub_itself_is_said_to_be_that(told, status):
    answer = httpx.Response(status, request=httpx.Request("GET", "http://127.0.0.1"))
    told(HfHubHTTPError("no", response=answer))
    with pytest.raises(ModelUnavailable, match="the Hugging Face Hub has a problem"):
        local_folder("somebody/not-in-the-cache")


@pytest.mark.usefixtures("english")
def test_room_is_asked_for_only_for_what_is_not_there_yet(told, monkeypatch):
    """The cache has a file larger than any disk; what is missing is small, and its download begins."""
    told(ConnectionError("begun"), SimpleNamespace(rfilename="spiece.model", size=10**18))
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda name, file, **_: file if file == "spiece.model" else None,
    )
    with pytest.raises(ModelUnavailable) as caught:
        local_folder("somebody/not-in-the-cache")
    assert "begun" in str(caught.value.__cause__)


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Data processing error: CAS service error : Reqwest Error: connection reset", "network"),
        ("Data processing error: I/O error: No space left on device (os error 28)", "HF_HOME"),
    ],
)
def test_hf_xet_raises_runtime_errors(told, message, said):
    """Xet carries the large files of the real hub; our own hub has none, so its error is put in its place."""
    told(RuntimeError(message))
    with pytest.raises(ModelUnavailable, match=said) as caught:
        local_folder("somebody/not-in-the-cache")
    assert BUNDLED_MODEL in str(caught.value) and "\n" not in str(caught.value)
    assert message in str(caught.value.__cause__)


def test_a_mistake_in_our_own_code_is_not_taken_for_the_network(told):
    told(AttributeError("no such attribute"))
    with pytest.raises(AttributeError, match="no such attribute"):
        local_folder("somebody/not-in-the-cache")
    told(DeviceLost("explained already"))
    with pytest.raises(DeviceLost, match="explained already"):
        local_folder("somebody/not-in-the-cache")


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    "text", ['{"weight_map": {', "[]", '{"weight_map": {"a": "../../secret"}}', "{}", "\udcff"]
)
@pytest.mark.parametrize("cached", [True, False])
def test_a_broken_index_of_weights_is_said_and_only_deleted_from_the_cache(
    models, tmp_path, monkeypatch, text, cached
):
    folder = tmp_path / "cache" / "model"
    shutil.copytree(models[XSMALL], folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / ("cache" if cached else "x"))
    with pytest.raises(ModelUnavailable, match="index") as caught:
        weights_file(folder)
    assert BUNDLED_MODEL in str(caught.value) and "\n" not in str(caught.value)
    assert index.exists() != cached
    good = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    index.write_text(json.dumps(good), encoding="utf-8")
    assert weights_file(folder) == index


def test_where_there_is_only_a_pickle_the_reader_is_warned(reader, models):
    for language, word in (("ja", "プログラム"), ("en", "code")):
        answer = reader.loads(MEDIUM, language)
        assert_loaded(answer, models[MEDIUM])
        (warning,) = answer["warnings"]
        assert MEDIUM in warning and "pytorch_model.bin" in warning and word in warning


def test_a_tokenizer_alone_downloads_no_weights(served, models, tmp_path):
    served.mend()
    code = (
        "from helpers.tokenizer import load_tokenizer\n"
        f"print(load_tokenizer({XSMALL!r}).encode('雪国', add_special_tokens=False))"
    )
    environment = os.environ | {"HF_ENDPOINT": served.address, "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, env=environment, timeout=120
    )
    assert json.loads(done.stdout) == raw(models[XSMALL]).encode("雪国")
    assert served.bodies("spiece.model") and not served.bodies("model.safetensors")


def test_a_repository_in_another_layout(reader, served, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    served.models["someone/else"] = tmp_path
    try:
        for language in LANGUAGES:
            answer = reader.loads("someone/else", language)
            assert_one_sentence(answer, "someone/else", language, "spiece.model")
    finally:
        del served.models["someone/else"]


def test_a_hub_that_falls_silent_in_mid_download(reader, served):
    served.only, served.pause = "model.safetensors", 100
    answer = reader.loads(XSMALL, "ja")
    assert_one_sentence(answer, XSMALL, "ja")
    # HF_HUB_DOWNLOAD_TIMEOUT is 1 second here, and it is asked six times with a second between.
    assert answer["seconds"] < 30
    assert_nothing_half_written(reader, XSMALL)
    served.mend()
    assert_loaded(reader.loads(XSMALL), served.models[XSMALL])


def command_line(home: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess:
    """`python -m helpers.generate` with one of rinna's models."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    return subprocess.run(
        [sys.executable, "-m", "helpers.generate", "雪国", "--model", XSMALL, "--max-length", "20"],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=120,
        env=kept | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)} | environment,
    )


def assert_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    for word in (XSMALL, BUNDLED_MODEL, *words):
        assert word in line


def test_the_command_line_when_the_name_of_the_hub_is_not_resolved(tmp_path):
    done = command_line(tmp_path, "http://does-not-exist.invalid", HELPERS_LANG="ja")
    assert_one_line(done, "ネットワーク")


def test_the_command_line_when_downloads_are_switched_off(tmp_path, served):
    served.mend()
    done = command_line(tmp_path, served.address, HELPERS_LANG="en", HF_HUB_OFFLINE="1")
    assert_one_line(done, "HF_HUB_OFFLINE")
    assert served.requests == []


def test_downloads_switched_off_a_model_in_the_cache_is_loaded_without_a_request(reader, served):
    assert_loaded(reader.loads(XSMALL), served.models[XSMALL])
    served.mend()
    done = command_line(reader.home, served.address, HELPERS_LANG="en", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "雪国" in done.stdout
    assert served.requests == []


@pytest.fixture(scope="module")
def small_disk(served, tmp_path_factory):
    """A reader's process whose cache has 330 kB: enough for the tokenizer, not for the model besides.

    The rest of its 4 MB is taken by a file `ballast`. Yields the process and its disk, seen from here.
    """
    home = tmp_path_factory.mktemp("small")
    (home / "disk").mkdir()
    before = on_small_disk(home / "disk", "4000k")
    client = Client(home, served.address, before=before, HF_HOME=str(home / "disk"))
    # The mount is the process's own.
    disk = Path(f"/proc/{client.process.pid}/root{home / 'disk'}")
    assert os.statvfs(disk).f_blocks * os.statvfs(disk).f_frsize == 4_096_000
    (disk / "ballast").write_bytes(b"x" * (4_096_000 - 330 * 1024))
    yield client, disk
    client.close()


@pytest.mark.parametrize("tells_sizes", [True, False], ids=["known-before", "found-out"])
def test_a_full_disk(small_disk, served, tells_sizes):
    small_disk, _ = small_disk
    served.mend()
    served.tells_sizes = tells_sizes
    for language in LANGUAGES:
        answer = small_disk.loads(XSMALL, language)
        assert_one_sentence(answer, XSMALL, language, "HF_HOME")
        assert ("MB" in answer["message"]) == tells_sizes
    assert (served.bodies("model.safetensors") == []) == tells_sizes


def test_a_disk_that_was_full_holds_no_half_model_and_later_the_whole_one(small_disk, served):
    client, disk = small_disk
    served.mend()
    served.tells_sizes = False
    assert_one_sentence(client.loads(XSMALL), XSMALL, "en", "HF_HOME")
    left = [p.name for p in disk.rglob("*") if "incomplete" in p.name or "safetensors" in p.name]
    assert left == []
    served.status = 503
    assert_one_sentence(client.loads(XSMALL), XSMALL, "en", "503")
    served.mend()
    (disk / "ballast").unlink()
    assert_loaded(client.loads(XSMALL), served.models[XSMALL])
