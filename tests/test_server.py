"""The engine for the class's server, held by answers that the real one gave: `pytest tests/test_server.py`.

`make test-server` asks the real one (tests/test_class_server.py), and says so if it no longer answers as recorded.
"""

import json
import math
import socket
import threading
import time
import warnings
from contextlib import closing, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
import torch
from class_server import DATA, KEY, local_server, read_answers, replay, write_model

from helpers.engines.server import connection, runner, text_stream
from helpers.engines.server.connection import Address, ServerUnavailable, address_of
from helpers.errors import InputError
from helpers.finetune import FinetuneError, TrainingSettings, fine_tune
from helpers.lab import SamplingLab
from helpers.models import how_loaded, load_model
from helpers.sampling import (
    SamplingSettings,
    SettingsError,
    distribution_from_logits,
    stream_ids,
)
from tools import serve
from tools.network import address_in_the_network
from tools.serve_limits import Limits, Offer, Refused, checked

PROMPT = [9, 30, 17, 42, 30]
BASE = SamplingSettings(min_length=0, max_length=24, num_return_sequences=2, seed=7)
# What the record holds: the loading, and each of these.
SCENES = {
    "greedy": replace(BASE, do_sample=False),
    "greedy, penalised": replace(BASE, do_sample=False, repetition_penalty=1.5),
    "everything": replace(BASE, top_k=20, top_p=0.9, temperature=0.7, repetition_penalty=1.2),
    "plain": replace(BASE, top_k=0, top_p=1.0),
    "at least": replace(BASE, min_length=20, top_k=0, top_p=1.0),
    "to the last position": replace(BASE, do_sample=False, max_length=64),
}
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("english")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model by formula, as the record's server had it."""
    return write_model(tmp_path_factory.mktemp("server") / "formula")


@pytest.fixture(scope="module")
def here(folder):
    """The same model, computed on this machine: what the server's answers are held against."""
    return load_model(folder, engine="torch")


@pytest.fixture(scope="module")
def recorded():
    return read_answers()


@pytest.fixture
def there(folder, recorded):
    """The model on a server that answers as recorded."""
    with local_server(replay(recorded)) as url:
        yield load_model(folder, url=url)


def play(model, url, scene):
    """One scene: a text with its probabilities, and the picture of its first token."""
    language_model = load_model(model, url=url)
    written = drain(stream_ids(language_model, "", SCENES[scene], torch.tensor([PROMPT])))
    picture = language_model.runner.logits(torch.tensor([PROMPT]))
    return language_model, written, picture


def drain(events):
    """All events, and what the generator returns."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


def model_logits(here, ids):
    with torch.no_grad():
        return here.model(torch.tensor([ids])).logits[0]


def test_greedy_ids_are_those_of_this_machine(here, there):
    for scene in ("greedy", "greedy, penalised", "to the last position"):
        ids = torch.tensor([PROMPT])
        _, remote = drain(stream_ids(there, "", SCENES[scene], ids))
        _, local = drain(stream_ids(here, "", SCENES[scene], ids))
        assert remote.sequences[0].token_ids == local.sequences[0].token_ids
        assert remote.sequences[0].stopped == local.sequences[0].stopped


@pytest.mark.parametrize("scene", SCENES)
def test_each_token_has_the_models_probability_and_that_of_the_draw(here, there, scene):
    settings = SCENES[scene]
    _, written = drain(stream_ids(there, "", settings, torch.tensor([PROMPT])))
    assert len(written.sequences) == (2 if settings.do_sample else 1)
    for sequence in written.sequences:
        assert sequence.token_ids[: len(PROMPT)] == PROMPT
        logits = model_logits(here, sequence.token_ids)
        for place, step in enumerate(sequence.steps, start=len(PROMPT) - 1):
            raw = logits[place].softmax(-1)[step.token_id]
            assert step.raw == pytest.approx(float(raw), abs=1e-5)
            expected = 1.0
            if settings.do_sample:
                # Our own processors on this machine's logits, as the picture has them.
                before = torch.tensor([sequence.token_ids[: place + 1]])
                told = distribution_from_logits(here, before, logits[None, place], settings)
                (found,) = (c for c in told.candidates if c.token_id == step.token_id)
                expected = found.final
            assert step.final == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("penalty", [1.0, 1.5, 0.6])
def test_the_picture_is_that_of_this_machine_whatever_the_settings(here, there, penalty):
    ids = torch.tensor([PROMPT])
    settings = replace(BASE, repetition_penalty=penalty, top_k=30, top_p=0.95, temperature=0.8)
    pictures = [
        distribution_from_logits(model, ids, model.runner.logits(ids), settings)
        for model in (here, there)
    ]
    values = [{c.token_id: (c.raw, c.final, c.cut_by) for c in p.candidates} for p in pictures]
    for token, (raw, final, cut_by) in values[0].items():
        assert values[1][token][:2] == pytest.approx((raw, final), abs=1e-5)
        assert values[1][token][2] == cut_by


def test_a_slider_asks_the_server_nothing(there, folder, recorded):
    asked = []

    def counting(*request):
        asked.append(request)
        return replay(recorded)(*request)

    with local_server(counting) as url:
        language_model = load_model(folder, url=url)
        ids = torch.tensor([PROMPT])
        logits = language_model.runner.logits(ids)
        before = len(asked)
        for top_k in (1, 5, 50):
            distribution_from_logits(language_model, ids, logits, replace(BASE, top_k=top_k))
        assert len(asked) == before


def test_weights_on_the_server_are_not_trained_here(there):
    with pytest.raises(FinetuneError, match=r'engine="server".*load_for_training'):
        fine_tune(there, "雪が降る。" * 200, "雪が降る。" * 20, TrainingSettings(steps=1))


def test_a_text_at_least_so_long_counts_the_prompt(there):
    _, written = drain(stream_ids(there, "", SCENES["at least"], torch.tensor([PROMPT])))
    for sequence in written.sequences:
        end = sequence.token_ids.index(2) if 2 in sequence.token_ids else 99
        assert end >= 20
        assert len(sequence.token_ids) <= 24


def test_events_come_one_token_each_and_all_of_them(there):
    events, written = drain(stream_ids(there, "", SCENES["plain"], torch.tensor([PROMPT])))
    for i, sequence in enumerate(written.sequences):
        own = [event.token_id for event in events if event.sequence == i]
        assert own == sequence.token_ids[len(PROMPT) :]


def test_loading_says_once_that_a_seed_gives_another_text(folder, recorded, capsys):
    with local_server(replay(recorded)) as url:
        language_model = load_model(folder, url=url)
        said = capsys.readouterr().out
        drain(stream_ids(language_model, "", SCENES["plain"], torch.tensor([PROMPT])))
    assert said.count("a seed gives a different text") == 1
    assert capsys.readouterr().out == ""


def test_auto_is_the_servers_model_where_the_environment_names_one(
    folder, recorded, monkeypatch, tmp_path
):
    # The name alone has to lead to the tokenizer: a folder of that name stands where the reader is.
    monkeypatch.chdir(folder.parent)
    with local_server(replay(recorded)) as url:
        monkeypatch.setenv("HELPERS_SERVER", url)
        language_model = load_model("auto")
        assert (language_model.engine, language_model.name) == ("server", "formula")
        # Whoever asks for a device means this machine.
        assert load_model("auto", device="cpu").engine == "torch"


def test_a_class_server_brings_the_tokenizer_of_a_model_that_is_not_here(
    folder, recorded, here, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    asked = []

    def respond(method, path, body, key):
        if not path.startswith("/model/"):
            return replay(recorded)(method, path, body, key)
        asked.append((path, key))
        return 200, (folder / path.removeprefix("/model/")).read_bytes()

    with local_server(respond) as url:
        language_model = load_model("formula", url=url)
    text = "山の中に一軒の茶店"
    assert language_model.tokenizer.encode(text) == here.tokenizer.encode(text)
    # Files need no key, so it is not sent; weights are not asked for.
    assert {key for _, key in asked} == {""}
    assert {path.split("/")[-1].split(".")[-1] for path, _ in asked} == {"model", "json"}
    assert "/model/model.safetensors" not in dict(asked)


# --- the key


def test_the_key_may_come_from_the_environment(folder, recorded, monkeypatch):
    with local_server(replay(recorded)) as url:
        monkeypatch.setenv("HELPERS_SERVER_KEY", KEY)
        assert load_model(folder, url=url.partition("#")[0]).engine == "server"


def test_the_key_is_shown_nowhere(there, folder, capsys):
    assert KEY not in repr(there) + str(there.model) + str(how_loaded(there))
    assert how_loaded(there)["url"].startswith("http://127.0.0.1:")
    for bad in (
        f"teacher:8000/#key={KEY}",
        f"ftp://{KEY}@teacher/#key={KEY}",
        f"http:///#key={KEY}",
    ):
        with pytest.raises(InputError) as caught:
            address_of(bad)
        assert KEY not in str(caught.value)


def test_a_wrong_key_is_one_sentence(folder, recorded):
    with (
        local_server(replay(recorded)) as url,
        pytest.raises(ServerUnavailable, match="the key for http"),
    ):
        load_model(folder, url=url[:-1])


@pytest.mark.parametrize(
    ("url", "host", "key"),
    [
        ("http://teacher:8000/#key=abc", "http://teacher:8000", "abc"),
        ("https://a.example/class/#key=x", "https://a.example/class", "x"),
        ("http://[fe80::1]:8000/#key=abc", "http://[fe80::1]:8000", "abc"),
        (" http://10.0.0.2:8000 ", "http://10.0.0.2:8000", ""),
        ("http://who@10.0.0.2:8000", "http://10.0.0.2:8000", ""),
    ],
)
def test_addresses(url, host, key, monkeypatch):
    monkeypatch.delenv("HELPERS_SERVER_KEY", raising=False)
    assert address_of(url) == Address(host, key)


@pytest.mark.parametrize(
    "url", ["http://192.168..1.5:8000", "http://.local:8000", "http://teach er:8000"]
)
def test_what_is_no_address_is_one_sentence(url):
    with pytest.raises(InputError, match="enter the address exactly as the teacher shows it"):
        address_of(url)


def test_encryption_asked_of_a_server_that_has_none_is_one_sentence(folder, recorded):
    with (
        local_server(replay(recorded)) as url,
        pytest.raises(ServerUnavailable, match="check that the address begins as the teacher"),
    ):
        load_model(folder, url=url.replace("http://", "https://"))


# --- what can go wrong


@contextmanager
def broken(folder, recorded, respond):
    """A model whose server answers in another way from now on."""
    now = {"respond": replay(recorded)}
    with local_server(lambda *request: now["respond"](*request)) as url:
        language_model = load_model(folder, url=url)
        now["respond"] = respond
        yield language_model


def events_of_scene(recorded, scene="greedy", count=5):
    """The first events of a recorded stream, as bytes."""
    for request, answer in recorded.items():
        if '"stream": true' in request and '"temperature": 0.0' in request:
            return [line.encode() + b"\n\n" for line in answer["body"].split("\n\n")[:count]]
    raise AssertionError("no such stream")


def write(language_model, settings=SCENES["greedy"]):
    return drain(stream_ids(language_model, "雪", settings, torch.tensor([PROMPT])))


def test_nobody_there_is_one_sentence(folder):
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerUnavailable, match="there is no server at"):
        load_model(folder, url=f"http://127.0.0.1:{port}/#key={KEY}")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((429, b'{"error":{"message":"too many"}}'), "too many requests waiting"),
        ((500, b'{"error":{"message":"EngineCore"}}'), "restarts by itself"),
        ((503, b""), "restarts by itself"),
        ((404, b"not here"), "a different version"),
        ((200, b"<html>Welcome to the school network</html>"), "was lost"),
        ((302, b""), "a different version"),
        ((400, b'{"error":{"message":"no such field","param":"logprobs"}}'), "a different version"),
    ],
)
def test_refusals_are_one_sentence(folder, recorded, answer, sentence):
    with broken(folder, recorded, lambda *_: answer) as language_model:
        with pytest.raises(ServerUnavailable, match=sentence):
            write(language_model)
        if answer[0] != 200:
            with pytest.raises(ServerUnavailable, match=sentence):
                language_model.runner.logits(torch.tensor([PROMPT]))


def test_what_the_server_does_not_allow_names_the_setting(folder, recorded):
    refusal = {"error": {"message": "too long", "param": "max_tokens", "limit": 10}}
    with broken(folder, recorded, lambda *_: (400, json.dumps(refusal).encode())) as model:
        with pytest.raises(SettingsError, match=r"max_length.*at most 10") as caught:
            write(model)
        assert caught.value.field == "max_length"


def test_a_broken_stream_keeps_what_was_written(folder, recorded, monkeypatch):
    monkeypatch.setattr(text_stream, "PAUSES", ())
    first = events_of_scene(recorded)
    with broken(folder, recorded, lambda *_: iter(first)) as language_model:
        with pytest.raises(ServerUnavailable, match="the text so far is kept") as caught:
            write(language_model)
        (sequence,) = caught.value.generation.sequences
        assert len(sequence.steps) == 5
        assert sequence.stopped == "user"


@pytest.mark.parametrize(
    "answer",
    [
        (400, b'{"error":{"message":"another","param":"model"}}'),
        (200, b'{"choices":[{}]}'),
        (200, b'{"choices":[{"prompt_logprobs":null}]}'),
    ],
    ids=["another model", "nothing told", "null"],
)
def test_a_finished_text_is_kept_whatever_its_last_reading_is_answered(folder, recorded, answer):
    def respond(method, path, body, key):
        if json.loads(body).get("stream"):
            return replay(recorded)(method, path, body, key)
        return answer

    with broken(folder, recorded, respond) as language_model:
        _, written = write(language_model)
    (sequence,) = written.sequences
    assert sequence.steps and all(math.isnan(step.raw) for step in sequence.steps)


def test_an_engine_that_dies_says_so_in_the_stream(folder, recorded, monkeypatch):
    monkeypatch.setattr(text_stream, "PAUSES", ())
    end = [b'data: {"error":{"message":"EngineCore","code":500}}\n\n', b"data: [DONE]\n\n"]
    pieces = events_of_scene(recorded) + end
    with broken(folder, recorded, lambda *_: iter(pieces)) as language_model:
        with pytest.raises(ServerUnavailable) as caught:
            write(language_model)
        assert len(caught.value.generation.sequences[0].steps) == 5


def resuming(recorded, here, asked):
    """Breaks the first stream off after four tokens; writes the most probable one, whatever the settings."""

    def respond(method, path, body, key):
        fields = json.loads(body)
        if not fields.get("stream"):
            return replay(recorded)(method, path, body, key)
        asked.append(fields)
        ids, new = fields["prompt"], fields["max_tokens"]
        pieces = []
        for _ in range(new if len(asked) > 1 else 4):
            token = int(model_logits(here, ids)[-1].argmax())
            ids = [*ids, token]
            choice = {"token_ids": [token], "logprobs": {"token_logprobs": [-0.5]}}
            pieces.append(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        return iter(pieces + ([b"data: [DONE]\n\n"] if len(asked) > 1 else []))

    return respond


@pytest.mark.parametrize("do_sample", [False, True])
def test_a_broken_stream_is_taken_up_again_where_it_was(
    folder, recorded, here, monkeypatch, do_sample
):
    """The second request holds what was written, and asks for the rest only; that a seed gives another text is said."""
    monkeypatch.setattr(text_stream, "PAUSES", (0.01,))
    asked = []
    settings = replace(SCENES["greedy"], do_sample=do_sample, num_return_sequences=1)
    with (
        warnings.catch_warnings(record=True) as said,
        broken(folder, recorded, resuming(recorded, here, asked)) as language_model,
    ):
        warnings.simplefilter("always")
        _, written = write(language_model, settings)
    told = [str(each.message) for each in said if "other random numbers" in str(each.message)]
    assert len(told) == do_sample and KEY not in "".join(told)
    _, local = drain(stream_ids(here, "", SCENES["greedy"], torch.tensor([PROMPT])))
    assert written.sequences[0].token_ids == local.sequences[0].token_ids
    assert [len(fields["prompt"]) for fields in asked] == [5, 9]
    assert [fields["max_tokens"] for fields in asked] == [19, 15]


def test_the_lab_says_that_a_text_was_resumed(folder, recorded, here, monkeypatch):
    monkeypatch.setattr(text_stream, "PAUSES", (0.01,))
    settings = SamplingSettings(num_return_sequences=1, min_length=0, max_length=24, seed=1)
    with broken(folder, recorded, resuming(recorded, here, [])) as language_model:
        lab = SamplingLab(language_model, "雪", settings)
        lab.generate()
    assert lab.history[-1].sequences[0].steps
    assert "other random numbers" in lab.writer.progress.value


def test_a_server_that_says_nothing_is_given_up(folder, recorded, monkeypatch):
    """Without another try: whoever waited as long as that would wait as long again."""
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    asked = []

    def slow(method, path, body, key):
        asked.append(json.loads(body).get("stream", False))
        yield from events_of_scene(recorded, count=3)
        time.sleep(2)

    with broken(folder, recorded, slow) as language_model:
        with pytest.raises(ServerUnavailable, match="does not answer") as caught:
            write(language_model)
        assert len(caught.value.generation.sequences[0].steps) == 3
    assert asked.count(True) == 1


def test_stopping_closes_the_request_at_once(folder, recorded):
    closed = []

    def endless():
        try:
            while True:
                yield events_of_scene(recorded, count=1)[0]
                time.sleep(0.01)
        except GeneratorExit:
            closed.append(time.monotonic())
            raise

    settings = replace(SCENES["greedy"], max_length=60)
    with broken(folder, recorded, lambda *_: endless()) as language_model:
        events = stream_ids(language_model, "", settings, torch.tensor([PROMPT]))
        for _ in range(3):
            next(events)
        events.close()
        until = time.monotonic() + 5
        while not closed and time.monotonic() < until:
            time.sleep(0.01)
    assert closed


def test_a_text_is_closed_though_each_answer_ends_by_closing(folder, recorded):
    """As this server does, and some that stand in front of one: the connection then has no socket to close."""
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield events_of_scene(recorded, count=1)[0]
                time.sleep(0.01)
        except GeneratorExit:
            closed.set()
            raise

    with broken(folder, recorded, lambda *_: endless()) as language_model:
        settings = replace(SCENES["greedy"], max_length=60)
        text = text_stream.TextStream(language_model.runner, PROMPT, settings, 0)
        text.open()
        text.next()
        text.close()
        assert closed.wait(5)


def test_another_model_than_asked_for(folder, recorded, tmp_path):
    other = write_model(tmp_path / "other")
    with local_server(replay(recorded)) as url, pytest.raises(InputError, match='is "formula"'):
        load_model(other, url=url)


def test_a_server_with_other_settings_is_found_out(folder, recorded):
    """One that tells the model's own probabilities would make every number of a draw wrong, unnoticed."""

    def raw_logprobs(method, path, body, key):
        status, text = replay(recorded)(method, path, body, key)
        return status, text.replace(b":0.0", b":-0.5")

    with (
        local_server(raw_logprobs) as url,
        pytest.raises(ServerUnavailable, match="different settings"),
    ):
        load_model(folder, url=url)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"temperature": 0.005}, "temperature"),
        ({"temperature": 3.0}, "temperature"),
        ({"num_return_sequences": 11}, "num_return_sequences"),
    ],
)
def test_what_the_server_does_differently_is_refused_before(there, changes, field):
    with pytest.raises(SettingsError) as caught:
        write(there, replace(BASE, **changes))
    assert caught.value.field == field


@pytest.mark.parametrize("argument", [{"device": "cpu"}, {"dtype": torch.float16}])
def test_device_and_dtype_are_the_servers(argument):
    with pytest.raises(InputError):
        load_model("aozora-mini", engine="server", url="http://127.0.0.1:9", **argument)


def test_without_an_address_the_sentence_shows_one(monkeypatch):
    monkeypatch.delenv("HELPERS_SERVER", raising=False)
    with pytest.raises(InputError, match="enter the address exactly as the teacher shows it"):
        load_model("aozora-mini", engine="server")


def test_a_wrong_address_of_the_environment_is_named_as_that(monkeypatch):
    monkeypatch.setenv("HELPERS_SERVER", "teacher:8000")
    with pytest.raises(InputError, match=r'^HELPERS_SERVER = "teacher:8000" cannot be used'):
        load_model("auto")


# --- the check in front of the server

OFFER = Offer("m", "/secret", vocab_size=100, n_positions=64, eos_token_id=2)
FINE = {"model": "m", "prompt": [1, 2], "max_tokens": 3}


def test_what_the_notebooks_send_passes(recorded):
    offer = Offer("formula", "", vocab_size=120, n_positions=64, eos_token_id=2)
    bodies = [key.split(" ", 2)[2] for key in recorded if key.startswith("POST")]
    assert len(bodies) > 10
    for body in bodies:
        assert checked(body.encode(), offer) == json.loads(body)


@pytest.mark.parametrize(
    "changes",
    [
        # Each of these ended vLLM's engine, or would let one pupil take all.
        {"prompt": [100]},
        {"prompt": [-1]},
        {"stop_token_ids": [100]},
        {"allowed_token_ids": [100]},
        # In a batch with such a request, the others lose the logprobs that they asked for (vLLM 0.32).
        {"logprob_token_ids": [1], "logprobs": 1},
        {"n": 11},
        {"n": 2.0},
        {"n": True},
        {"max_tokens": 63},
        {"max_tokens": None},
        {"max_tokens": "3"},
        {"prompt": []},
        {"prompt": [[1]]},
        {"prompt": "text"},
        {"prompt": [1] * 64},
        {"prompt": [1.5]},
        {"logprobs": 3},
        {"logprobs": -1},
        {"prompt_logprobs": 1},
        {"prompt_logprobs": -1},
        {"min_tokens": 4},
        {"seed": 2**63 - 1},
        {"top_k": 10**12},
        {"temperature": 1e9},
        {"temperature": True},
        {"repetition_penalty": 0.0},
        {"model": "other"},
        {"logit_bias": {"1": 100}},
        {"structured_outputs": {"regex": "(a+)+$"}},
        {"vllm_xargs": {}},
        {"stream": 1},
        {"echo": True},
        {"priority": -1},
    ],
)
def test_what_could_harm_does_not_pass(changes):
    with pytest.raises(Refused):
        checked(json.dumps(FINE | changes).encode(), OFFER)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"temperature": NaN}', b'{"prompt": [1e999]}'],
)
def test_what_is_no_request_does_not_pass(body):
    with pytest.raises(Refused):
        checked(body, OFFER)


def test_the_page_is_told_neither_key_nor_folder():
    assert "secret" not in json.dumps(OFFER.for_the_page())


def test_one_pupil_may_ask_what_a_notebook_does():
    assert Limits().pupil >= runner.SEQUENCES + 2
    assert Limits().everyone >= 30 * runner.SEQUENCES


def test_the_record_and_the_tokenizer_are_small():
    assert sum(file.stat().st_size for file in DATA.iterdir()) < 1_000_000


# --- make serve


def test_the_key_goes_by_the_environment_and_a_gpu_gets_half_precision():
    offer = serve.offer_of("aozora-mini")
    for gpu, dtype in ((True, "half"), (False, "float32")):
        words = serve.command(offer, "192.168.1.5", 8000, gpu)
        assert words[words.index("--dtype") + 1] == dtype
        assert words[words.index("--host") + 1] == "192.168.1.5"
        assert words[words.index("--middleware") + 1] == "tools.serve_gate.Gate"
        variables = serve.environment(offer, KEY, gpu)
        assert variables["VLLM_API_KEY"] == KEY
        assert Offer.from_environment(variables) == offer
        assert KEY not in " ".join(words)


@pytest.mark.parametrize("key", ["a+b", "x&y", "it's", "雪国", "a b"])
def test_a_key_that_an_address_cannot_hold_is_refused(key, capsys):
    with pytest.raises(SystemExit):
        serve.main(["aozora-mini", "--key", key])
    assert "A-Z a-z 0-9 _ . ~ -" in capsys.readouterr().err


def test_a_model_of_another_kind_and_a_port_that_is_none_are_one_sentence(tmp_path):
    other = write_model(tmp_path / "other")
    (other / "config.json").write_text('{"vocab_size": 5}', encoding="utf-8")
    with pytest.raises(SystemExit, match="a model of GPT-2's kind"):
        serve.main([str(other)])
    with pytest.raises(SystemExit, match="give another PORT="):
        serve.main(["aozora-mini", "--port", "99999"])


def test_why_vllm_did_not_start_is_shown_from_this_start_on(tmp_path):
    log = tmp_path / "serve.log"
    log.write_text("(EngineCore) ValueError: of an earlier start\n", encoding="utf-8")
    start = log.stat().st_size
    lines = ["(EngineCore) ValueError: no memory on the device", *["  File ..."] * 30]
    lines += ["RuntimeError: Engine core initialization failed. See root cause above."]
    log.write_text(log.read_text("utf-8") + "\n".join(lines), encoding="utf-8")
    said = serve.why_it_ended(log, start)
    assert "no memory on the device" in said and "earlier" not in said
    assert "serve.log" in said.splitlines()[-1] and len(said.splitlines()) < 20


def test_every_start_has_a_key_of_its_own():
    keys = {serve.new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 10 and key.isalnum() for key in keys)


def test_the_teacher_is_told_address_cell_and_command_and_when_nobody_else_can_connect(tmp_path):
    offer = serve.offer_of("aozora-mini")
    for url, alone in (("http://192.168.1.5:8000", False), ("http://127.0.0.1:8000", True)):
        said = serve.announcement(offer, url, KEY, tmp_path / "serve.log")
        assert f'load_model("aozora-mini", engine="server", url="{url}/#key={KEY}")' in said
        assert f"HELPERS_SERVER='{url}/#key={KEY}' make lab" in said
        assert ("HOST=" in said) == alone


def test_the_address_for_the_class_is_one_that_others_can_use():
    assert serve.address_for_the_class("10.1.2.3", 8000) == "http://10.1.2.3:8000"
    assert serve.address_for_the_class("fe80::1", 80) == "http://[fe80::1]:80"
    assert "0.0.0.0" not in serve.address_for_the_class("0.0.0.0", 8000)


def test_without_a_way_to_the_world_the_hotspots_address_is_told(monkeypatch):
    def unreachable(self, address):
        raise OSError("Network is unreachable")

    def interface(address):
        family = socket.AF_INET
        return [SimpleNamespace(family=family, address=address)]

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    up = {"lo": True, "hotspot": True, "cable": False}
    monkeypatch.setattr(
        psutil, "net_if_stats", lambda: {n: SimpleNamespace(isup=state) for n, state in up.items()}
    )
    addresses = {"lo": "127.0.0.1", "cable": "10.0.0.5", "hotspot": "192.168.137.1"}
    monkeypatch.setattr(
        psutil, "net_if_addrs", lambda: {n: interface(a) for n, a in addresses.items()}
    )
    assert serve.address_for_the_class("", 8000) == "http://192.168.137.1:8000"
    addresses.pop("hotspot")
    assert address_in_the_network() is None


def test_an_address_that_is_taken_or_not_this_machines_is_one_sentence(capsys):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "192.0.2.77"):
            with pytest.raises(SystemExit, match="cannot be used: give another PORT="):
                serve.main(["aozora-mini", "--host", host, "--port", str(port)])
