"""The class's server, with the real vLLM on a CPU: `make test-server`. It starts three servers, half a minute each.

The oracle is this machine's own model in float32, and for random draws the distribution that it gives.
"""

import json
import math
import random
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import sentencepiece
import torch
from class_server import (
    KEY,
    QUICK,
    RealServer,
    pupil_address,
    read_answers,
    record,
    write_model,
)
from rinna_layout import TEXT
from sentencepiece import sentencepiece_model_pb2
from site_pages import ALL_WRITTEN, fragment, until

from helpers import BUNDLED_PATH
from helpers.engines.server import text_stream
from helpers.engines.server.connection import Address, ServerUnavailable, answer_of, send
from helpers.lab import SamplingLab
from helpers.lab.records import as_code
from helpers.models import load_model
from helpers.sampling import SamplingSettings, distribution_from_logits, generate, stream
from tools import site
from tools.serve_limits import Limits

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("english"),
]
OPENING = "国境の長いトンネルを抜けると雪国であった。"
OPEN = {("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/health")}


@pytest.fixture(scope="module")
def server():
    """The bundled model."""
    running = RealServer("aozora-mini", 8171)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def there(server):
    return load_model("aozora-mini", url=server.url)


@pytest.fixture(scope="module")
def here():
    return load_model("aozora-mini", device="cpu", dtype=torch.float32)


@pytest.fixture
def as_pupil(monkeypatch):
    """Do something from the address of pupil number so-and-so: in a class each has a machine."""
    pupil = threading.local()

    def open_from_there(address, timeout):
        parts = urlsplit(address.url)
        here = (pupil_address(getattr(pupil, "number", 1)), 0)
        return HTTPConnection(parts.hostname, parts.port, timeout=timeout, source_address=here)

    def do(number, work):
        pupil.number = number
        return work()

    monkeypatch.setattr(Address, "open", open_from_there)
    return do


def fifty_prompts():
    """Sentences, their beginnings, and ids at random: from one token to 120."""
    sp = sentencepiece.SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
    lines = TEXT.splitlines()[:6]
    found = [sp.encode(line) for line in lines] + [sp.encode(line[:9]) for line in lines]
    rng = random.Random(1)
    while len(found) < 50:
        length = 1 + len(found) * 120 // 50 if len(found) % 2 else rng.randint(1, 12)
        found.append([rng.randrange(3, sp.get_piece_size()) for _ in range(length)])
    return found


def local_logits(here, ids):
    with torch.no_grad():
        return here.model(torch.tensor([ids])).logits[0, -1].float()


def probabilities(here, ids, settings):
    """Of each token behind these ids, by its id: as the model gives it, and as it is drawn."""
    prompt = torch.tensor([ids])
    told = distribution_from_logits(here, prompt, local_logits(here, ids)[None], settings)
    by_id = told.token_ids.argsort()
    return told.raw[by_id], told.final[by_id]


def may_be_drawn_with(probability, here, ids, settings, token_id):
    """Whether a token may have this probability behind these ids: sums are rounded in another order on the server.

    A temperature below 1 makes such a difference larger, and top_p's cut may fall one token earlier or later.
    """
    cuts = (
        {settings.top_p} if settings.top_p == 1 else {settings.top_p + x for x in (-1e-4, 0, 1e-4)}
    )
    told = [probabilities(here, ids, replace(settings, top_p=cut))[1][token_id] for cut in cuts]
    return any(abs(probability - float(final)) < 1e-3 for final in told)


def ids_of(language_model, ids, settings):
    """What an engine writes behind these ids: for each text its new ids."""
    rows = list(language_model.runner.steps(torch.tensor([ids]), settings))
    return [[row[i].token_id for row in rows if row[i]] for i in range(len(rows[0]))]


# --- the numbers


def test_probabilities_are_those_of_this_machine_on_fifty_prompts(there, here):
    for ids in fifty_prompts():
        local, remote = local_logits(here, ids), there.runner.logits(torch.tensor([ids]))[0]
        assert (local.softmax(-1) - remote.softmax(-1)).abs().max() < 1e-4
        # The logits too: a penalty for repetition depends on their signs.
        assert (local - remote).abs().max() < 2e-3


def test_greedy_texts_are_those_of_this_machine_on_fifty_prompts(there, here):
    prompts = fifty_prompts()

    def settings(ids):
        return SamplingSettings(do_sample=False, min_length=0, max_length=len(ids) + 80, seed=0)

    with ThreadPoolExecutor(8) as pool:
        remote = list(pool.map(lambda ids: ids_of(there, ids, settings(ids)), prompts))
    for ids, (text,) in zip(prompts, remote, strict=True):
        # Read once here: what is the most probable token behind each part of it is what this machine would write.
        with torch.no_grad():
            logits = here.model(torch.tensor([ids + text])).logits[0]
        assert text == logits.argmax(-1).tolist()[len(ids) - 1 : -1]
        assert len(text) == 80 or text[-1] == 2
    assert sum(len(text) for (text,) in remote) > 3000


NEUTRAL = SamplingSettings(min_length=0, top_k=0, top_p=1.0, max_length=40)
DRAWS = {
    "none": NEUTRAL,
    "top_k": replace(NEUTRAL, top_k=8),
    "top_p": replace(NEUTRAL, top_p=0.6),
    "cold": replace(NEUTRAL, temperature=0.5),
    "hot": replace(NEUTRAL, temperature=2.0),
    "penalty": replace(NEUTRAL, repetition_penalty=1.8),
    "reward": replace(NEUTRAL, repetition_penalty=0.7),
    "all": replace(NEUTRAL, top_k=30, top_p=0.9, temperature=0.8, repetition_penalty=1.3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_two_thousand_first_tokens_fall_as_the_picture_says(there, here, name):
    settings = DRAWS[name]
    ids = here.tokenizer.encode("雪が降る。雪が", add_special_tokens=False)
    _, final = probabilities(here, ids, settings)

    def ten(seed):
        fields = there.runner.fields(len(ids), settings, seed * 10) | {"max_tokens": 1, "n": 10}
        address = there.runner.address
        answer = answer_of(address, send(address, *there.runner.request(ids, **fields)))
        return [choice["token_ids"][0] for choice in answer["choices"]]

    with ThreadPoolExecutor(6) as pool:
        drawn = [token for tokens in pool.map(ten, range(200)) for token in tokens]
    assert len(drawn) == 2000
    observed = torch.bincount(torch.tensor(drawn), minlength=here.vocab_size).double()
    assert float(observed[final == 0].sum()) == 0
    assert chi_squared(observed, final.double() * 2000) > 0.001


def chi_squared(observed, expected):
    """The p-value; what is expected less than five times is taken together."""
    rare = expected < 5
    pairs = [(o, e) for o, e in zip(observed[~rare], expected[~rare], strict=True)]
    pairs.append((observed[rare].sum(), expected[rare].sum()))
    pairs = [(o, e) for o, e in pairs if e > 0]
    statistic = sum((o - e) ** 2 / e for o, e in pairs)
    half = torch.tensor((len(pairs) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(half, statistic / 2)) if len(pairs) > 1 else 1.0


def test_the_measure_finds_a_wrong_distribution():
    right = torch.full((10,), 200.0, dtype=torch.float64)
    wrong = right + torch.tensor([40.0] * 5 + [-40.0] * 5, dtype=torch.float64)
    assert chi_squared(right, right) > 0.5
    assert chi_squared(wrong, right) < 0.001


# --- texts


def test_a_seed_repeats_alone_and_under_load(there, as_pupil):
    settings = SamplingSettings(seed=11, max_length=60, num_return_sequences=3)

    def write(seed):
        written = generate(there, OPENING, replace(settings, seed=seed))
        return [tuple(s.token_ids) for s in written.sequences]

    alone = write(11)
    assert write(11) == alone
    assert len(set(alone)) == 3
    with ThreadPoolExecutor(10) as pool:
        load = [pool.submit(as_pupil, 2 + i, lambda i=i: write(100 + i)) for i in range(9)]
        assert pool.submit(as_pupil, 11, lambda: write(11)).result() == alone
        texts = {text for other in load for text in other.result()}
    assert len(texts) == 27
    assert not set(write(12)) & set(alone)


def test_thirty_readers_at_once_each_get_their_own(server, here, as_pupil):
    """Every text has the probabilities of its own reader's prompt and settings: nothing is mixed, nothing lost."""
    rng = random.Random(3)
    prompts = [line[: 6 + i % 9] for i, line in enumerate((TEXT.splitlines()[:5]) * 6)]
    readers = []
    for i, prompt in enumerate(prompts):
        sampled = SamplingSettings(
            seed=i,
            min_length=10 + i,
            max_length=45 + i,
            top_k=rng.choice([0, 5, 50, 500]),
            top_p=rng.choice([1.0, 0.95, 0.7]),
            temperature=rng.choice([0.5, 1.0, 1.5]),
            repetition_penalty=rng.choice([1.0, 1.3]),
            num_return_sequences=1 + i % 3,
        )
        readers.append((prompt, replace(sampled, do_sample=i % 5 != 0)))

    def write(number, reader):
        return as_pupil(
            number, lambda: generate(load_model("aozora-mini", url=server.url), *reader)
        )

    with ThreadPoolExecutor(30) as pool:
        written = list(pool.map(write, range(2, 32), readers))
    for (prompt, settings), generation in zip(readers, written, strict=True):
        start = here.tokenizer.encode(prompt, add_special_tokens=False)
        texts = settings.num_return_sequences if settings.do_sample else 1
        assert len(generation.sequences) == texts
        for sequence in generation.sequences:
            ids = sequence.token_ids
            assert ids[: len(start)] == start
            assert len(ids) == settings.max_length or sequence.stopped == "eos"
            assert 2 not in ids[: settings.min_length]
            for place in {len(start), (len(start) + len(ids)) // 2, len(ids) - 1}:
                step = sequence.steps[place - len(start)]
                raw, _ = probabilities(here, ids[:place], settings)
                assert step.raw == pytest.approx(float(raw[step.token_id]), abs=1e-4)
                assert may_be_drawn_with(step.final, here, ids[:place], settings, step.token_id)


def test_the_lab_writes_and_draws_its_picture_with_the_server(there, capsys, monkeypatch):
    lab = SamplingLab(there, prompt=OPENING)
    lab.generate()
    (run,) = lab.history
    assert len(run.sequences) == 3
    assert all(0 < step.raw <= 1 for sequence in run.sequences for step in sequence.steps)
    # What the lab copies writes the same texts again, and does not know the key.
    code = as_code(there, run)
    assert KEY not in code
    monkeypatch.setenv("HELPERS_SERVER_KEY", KEY)
    capsys.readouterr()
    exec(code, {})
    assert capsys.readouterr().out.endswith("\n".join(s.text for s in run.sequences) + "\n")


# --- what only the real server can show


def test_every_route_but_three_is_closed_with_and_without_the_key(server):
    routes = server.routes()
    assert len(routes) > 15
    assert set(routes) >= OPEN
    more = [("GET", "/"), ("GET", "/v1/completions"), ("POST", "/v1/models"), ("GET", "/metrics")]
    more += [("OPTIONS", "/v1/completions"), ("HEAD", "/health"), ("GET", "/v1/models/")]
    more += [("GET", "//v1/models"), ("GET", "/v1/%6dodels/x"), ("GET", "/HEALTH")]
    for method, path in {*routes, *more} - OPEN:
        for key in (KEY, None, "wrong"):
            status, _ = server.ask(method, re.sub(r"\{.*?\}", "x", path), {}, key)
            assert status == 404, (method, path, key)
    assert server.ask("GET", "/health", key=None)[0] == 200
    for key in (None, "wrong", KEY + "x"):
        assert server.ask("GET", "/v1/models", key=key)[0] == 401
        body = {"model": "aozora-mini", "prompt": [5], "max_tokens": 1}
        assert server.ask("POST", "/v1/completions", body, key)[0] == 401


def test_a_websocket_is_not_answered(server):
    words = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    words["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert server.ask("GET", "/v1/realtime", **words)[0] in (403, 404)


def test_the_server_outlives_whatever_is_sent(server):
    """Without the check in front of it, vLLM's engine ends with the first id beyond the vocabulary."""
    fine = {"model": "aozora-mini", "prompt": [5, 6, 7], "max_tokens": 2}
    config = json.loads((BUNDLED_PATH / "config.json").read_text(encoding="utf-8"))
    beyond, longest = config["vocab_size"], config["n_positions"]
    strange = [0, -1, 1, 2.5, 1e308, 2**31, 2**63, 2**70, True, None, "x", [], {}, [[1]], [beyond]]
    strange += [[2**31], [-1], [beyond - 1] * (longest - 1), [1] * (longest + 88), [1] * 5000]
    fields = [
        *("prompt", "max_tokens", "min_tokens", "n", "seed", "top_k", "top_p", "temperature"),
        *("repetition_penalty", "logprobs", "prompt_logprobs", "logprob_token_ids"),
        *("stop_token_ids", "stream", "model", "logit_bias", "echo", "best_of", "prompt_embeds"),
    ]
    rng = random.Random(5)
    for _ in range(250):
        body = dict(fine)
        for field in rng.sample(fields, rng.randint(1, 3)):
            body[field] = rng.choice(strange)
        status, _ = server.ask("POST", "/v1/completions", body)
        assert status < 500, body
    for body in (b"", b"[" * 60_000, b"\x00" * 1000, b"{" + b" " * 200_000 + b"}"):
        assert server.ask("POST", "/v1/completions", body)[0] == 400
    for name in ("X-data-parallel-rank", "X-Request-Id"):
        assert server.ask("POST", "/v1/completions", fine, **{name: "7"})[0] == 200


def test_the_server_outlives_one_notebook_at_its_limits(server, there):
    """Ten texts as long as can be are read once more at their end: 5,110 tokens at once."""
    settings = SamplingSettings(
        min_length=512, max_length=512, num_return_sequences=10, seed=2, top_k=50
    )
    written = generate(there, OPENING, settings)
    assert [len(sequence.token_ids) for sequence in written.sequences] == [512] * 10
    assert not any(math.isnan(step.raw) for text in written.sequences for step in text.steps)
    assert server.ask("GET", "/health")[0] == 200


def test_stopping_ends_the_work_on_the_server(server, there):
    """One pupil may have twelve requests: a thirteenth is refused, and as soon as the others are closed it is not."""
    settings = SamplingSettings(max_length=512, num_return_sequences=10, seed=1)
    first = stream(there, OPENING, settings)
    second = stream(there, OPENING, replace(settings, num_return_sequences=3))
    next(first)
    with pytest.raises(ServerUnavailable, match="too many requests"):
        next(second)
    assert Limits().pupil == 12
    first.close()
    end = time.monotonic() + 10
    while True:
        try:
            third = stream(there, OPENING, replace(settings, num_return_sequences=10))
            next(third)
            break
        except ServerUnavailable:
            assert time.monotonic() < end
            time.sleep(0.1)
    third.close()


def test_the_key_is_in_no_command_line_and_no_log(server):
    processes = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    lines = [line for line in processes.splitlines() if "launchers.api_server" in line]
    assert lines
    assert all(KEY not in line for line in lines)
    assert KEY not in server.log.read_text(encoding="utf-8")


def test_a_server_killed_in_mid_text_comes_back_and_the_text_is_kept(server, there, monkeypatch):
    monkeypatch.setattr(text_stream, "PAUSES", (0.1,))
    # What is drawn differs between processors: no text may have come to its end when the server is killed.
    settings = SamplingSettings(min_length=500, max_length=500, num_return_sequences=2, seed=1)
    events = stream(there, OPENING, settings)
    for _ in range(8):
        next(events)
    command = ["pgrep", "-f", "launchers.api_server.entry.*--port 8171"]
    for number in subprocess.run(command, capture_output=True, text=True).stdout.split():
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", number], check=False)
    with pytest.raises(ServerUnavailable) as caught:
        for _ in events:
            pass
    kept = caught.value.generation.sequences
    assert [len(s.steps) for s in kept] >= [4, 4]
    assert all(s.text.startswith(OPENING) for s in kept)
    server.wait_for("もう一度始めます")
    end = time.monotonic() + 280
    while True:
        try:
            assert generate(
                there, OPENING, replace(settings, min_length=0, max_length=40)
            ).sequences
            break
        except ServerUnavailable:
            assert time.monotonic() < end
            time.sleep(1)


# --- other models


def test_the_record_of_the_quick_tests_still_holds():
    """If not, look at what has changed; then `python tests/class_server.py` writes the new answers down.

    The ids of draws could differ on a processor whose sums round otherwise, at the edge between two tokens.
    """
    old, new = read_answers(), record()
    assert old.keys() == new.keys()
    for request, answer in old.items():
        assert answer["status"] == new[request]["status"]
        assert same(events(answer["body"]), events(new[request]["body"])), request


def events(body):
    """An answer as data. Of a stream the tokens all together: a busy server puts several into one event."""
    if not body.startswith("data: "):
        return json.loads(body)
    lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    return {
        "fields": sorted({name for choice in choices for name in choice}),
        "token_ids": [token for choice in choices for token in choice["token_ids"]],
        "logprobs": [p for choice in choices for p in choice["logprobs"]["token_logprobs"]],
        "finish_reason": choices[-1]["finish_reason"],
    }


def same(old, new):
    """Equal but for the last digits of numbers, the version's mark and the order of a stream's events."""
    if isinstance(old, dict):
        names = (old.keys() | new.keys()) - {"system_fingerprint"}
        return all(name in old and name in new and same(old[name], new[name]) for name in names)
    if isinstance(old, list):
        return len(old) == len(new) and all(same(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) < 1e-3
    return old == new


@pytest.fixture(scope="module")
def large_vocabulary(tmp_path_factory):
    """A model with 32,000 pieces, one for each of so many characters, marked as unigram: the page reads no other kind."""
    folder = tmp_path_factory.mktemp("pieces") / "pieces-32000"
    write_model(folder, vocab_size=32_000)
    codes = [*range(0x4E00, 0x9FA6), *range(0xAC00, 0xD7A4)]
    characters = "".join(map(chr, codes))
    lines = [characters[i : i + 100] for i in range(0, len(characters), 100)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 2),
        model_prefix=str(folder / "spiece"),
        model_type="char",
        vocab_size=32_000,
        character_coverage=1.0,
        control_symbols=["[PAD]", "[CLS]", "[SEP]", "[MASK]"],
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((folder / "spiece.model").read_bytes())
    proto.trainer_spec.model_type = proto.trainer_spec.UNIGRAM
    (folder / "spiece.model").write_bytes(proto.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def built_site(tmp_path_factory):
    """The lab's page, and a page in a folder as the lessons are."""
    folder = site.build(site=tmp_path_factory.mktemp("built") / "site")
    (folder / "lessons").mkdir()
    (folder / "lessons" / "index.html").write_text("lesson", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def classroom(large_vocabulary, built_site):
    """`make class`: the model with 32,000 pieces, and the site. All tablets of these tests have one address."""
    more = ["--site", str(built_site), "--pupil", "120", QUICK]
    running = RealServer(large_vocabulary, 8173, *more)
    yield running
    running.stop()


def test_the_class_gets_site_model_files_and_a_code_from_one_address(
    classroom, large_vocabulary, built_site
):
    assert "▄" in "".join(classroom.said) or "█" in "".join(classroom.said)
    assert classroom.ask("GET", "/", key=None) == (200, (built_site / "index.html").read_bytes())
    assert classroom.ask("GET", "/lessons/", key=None)[1] == b"lesson"
    for name in ("spiece.model", "config.json"):
        answer = classroom.ask("GET", f"/model/{name}", key=None)
        assert answer == (200, (large_vocabulary / name).read_bytes())
    told = json.loads(classroom.ask("GET", "/class.json", key=None)[1])
    assert (told["model"], told["vocab_size"]) == ("pieces-32000", 32_000)
    closed = ["/model/model.safetensors", "/model/../serve.py", "/../pyproject.toml", "/docs"]
    closed += [
        "/%2e%2e/%2e%2e/etc/passwd",
        "/model/%2e%2e/config.json",
        "/openapi.json",
        "/metrics",
    ]
    for path in closed:
        assert classroom.ask("GET", path)[0] == 404, path
    for method, path in set(classroom.routes()) - OPEN:
        assert classroom.ask(method, re.sub(r"\{.*?\}", "x", path), {})[0] == 404, path


WRITTEN_THERE = f"lab.model?.info.kind === 'server' && {ALL_WRITTEN} && lab.run"


def test_thirty_tablets_write_and_draw_with_the_pages_own_code(
    browser, classroom, large_vocabulary
):
    """Each with its own prompt and settings; all ask at once. Nothing is mixed, nothing lost, every figure is the model's."""
    sp = sentencepiece.SentencePieceProcessor(model_file=str(large_vocabulary / "spiece.model"))
    here = load_model(large_vocabulary, device="cpu", dtype=torch.float32)
    plain = SamplingSettings(min_length=0, num_return_sequences=1)
    tablets = []
    for i in range(30):
        settings = replace(
            plain,
            seed=i,
            max_length=12 + i,
            top_k=[0, 5, 50][i % 3],
            top_p=[1.0, 0.9][i % 2],
            repetition_penalty=[1.0, 1.3][i // 2 % 2],
        )
        prompt = chr(0x4E00 + 50 * i) + chr(0x5000 + i)
        link = fragment(prompt, **vars(settings), key=KEY, model="teacher")
        page = browser.new_context(viewport={"width": 768, "height": 1024}).new_page()
        page.goto(f"http://127.0.0.1:{classroom.port}/{link}", wait_until="commit")
        tablets.append((page, prompt, settings))
    for page, prompt, settings in tablets:
        # Thirty tablets on the processors of one machine.
        run = until(page, WRITTEN_THERE, patience=600_000)
        ids = sp.encode(prompt)
        (text,) = run["sequences"]
        assert [*run["promptIds"]] == ids == text["tokenIds"][: len(ids)]
        assert len(text["tokenIds"]) == settings.max_length or text["tokenIds"][-1] == 2
        assert settings.seed == run["settings"]["seed"]
        assert [step["tokenId"] for step in text["steps"]] == text["tokenIds"][len(ids) :]
        for place in {len(ids), (len(ids) + len(text["tokenIds"])) // 2, len(text["tokenIds"]) - 1}:
            step, before = text["steps"][place - len(ids)], text["tokenIds"][:place]
            raw, _ = probabilities(here, before, settings)
            assert step["raw"] == pytest.approx(float(raw[step["tokenId"]]), abs=1e-4)
            assert may_be_drawn_with(step["final"], here, before, settings, step["tokenId"])
        scores = torch.tensor(page.evaluate("lab.logits(lab.ids()).then((found) => [...found])"))
        assert (scores.softmax(-1) - local_logits(here, ids).softmax(-1)).abs().max() < 1e-4
        page.context.close()


def test_a_connection_that_sends_nothing_stops_nobody(classroom):
    idle = [HTTPConnection("127.0.0.1", 8173, timeout=5) for _ in range(40)]
    for connection in idle:
        connection.connect()
        connection.sock.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99\r\n")
    assert classroom.ask("GET", "/v1/models")[0] == 200
    for connection in idle:
        connection.close()
