"""The teacher's model in the page, from a server that answers as docs/class-server.md says."""

import json
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, expect
from site_pages import (
    LENGTH,
    OPENING,
    PATIENCE,
    POSITIONS,
    VOCABULARY,
    fragment,
    serving,
    slider,
    texts,
    unfold,
    until,
    written,
)

from helpers import BUNDLED_PATH
from helpers.models import LanguageModel
from helpers.sampling import SamplingSettings, generate
from tools import site
from tools.serve_limits import Offer, checked

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]
OFFER = Offer("aozora-mini", "", VOCABULARY, POSITIONS, eos_token_id=2)


class Classroom(site.Handler):
    """The site beside a server that answers as docs/class-server.md says, with this machine's own model."""

    model: LanguageModel
    broken_after: int | None = None
    broken_times = 1000  # how many streams break off
    broken_text: int | None = None  # of several, the one that breaks off; all do without it
    may_break: threading.Semaphore  # one for each stream that breaks off: `break_off`
    asked: list[dict[str, Any]]

    def do_GET(self) -> None:
        if self.path == "/class.json":
            self._json(200, OFFER.for_the_page())
        elif self.path.startswith("/model/"):
            file = BUNDLED_PATH / self.path.rpartition("/")[2]
            self._send(200, "application/octet-stream", file.read_bytes())
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer thekey":
            return self._json(401, {"error": "Unauthorized"})
        # The gate's own check: a page may ask nothing that a class's server refuses.
        fields = checked(body, OFFER)
        self.asked.append(fields)
        if fields.get("stream"):
            return self._stream(fields)
        choice = {}
        if "prompt_logprobs" in fields:
            choice["prompt_logprobs"] = self._of_prompt(fields)
        logprobs = self._scores(fields["prompt"], fields).log_softmax(-1)
        ids = fields.get("allowed_token_ids") or range(VOCABULARY)
        told = {f"token_id:{i}": logprobs[i].item() for i in ids}
        if "logprobs" in fields:
            choice |= {"token_ids": [0], "logprobs": {"top_logprobs": [told]}}
        self._json(200, {"choices": [choice]})

    def _scores(self, ids: list[int], fields: dict[str, Any]) -> torch.Tensor:
        with torch.no_grad():
            scores = self.model.model(torch.tensor([ids])).logits[0, -1]
        penalty = fields.get("repetition_penalty", 1.0)
        known = torch.tensor(sorted(set(ids)))
        old = scores[known]
        scores[known] = torch.where(old < 0, old * penalty, old / penalty)
        return scores

    def _of_prompt(self, fields: dict[str, Any]) -> list[Any]:
        ids = fields["prompt"]
        with torch.no_grad():
            logprobs = self.model.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        told = [{str(i): {"logprob": logprobs[at, i].item()}} for at, i in enumerate(ids[1:])]
        return [None, *told]

    def _stream(self, fields: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        # In chunks, as vLLM sends it: a browser knows one that was cut off from one that ended.
        self.send_header("Transfer-Encoding", "chunked")
        self.close_connection = True
        self.end_headers()
        ids = list(fields["prompt"])
        for count in range(fields["max_tokens"]):
            breaks = self.broken_text in (None, fields.get("seed", 0) // 100 % 100)
            if breaks and count == self.broken_after and type(self).broken_times:
                type(self).broken_times -= 1
                self.may_break.acquire(timeout=PATIENCE / 1000)
                return
            logprobs = self._scores(ids, fields).log_softmax(-1)
            token = int(logprobs.argmax())
            ids.append(token)
            numbers = {"token_logprobs": [logprobs[token].item()]}
            choice = {"index": 0, "token_ids": [token], "logprobs": numbers}
            self._chunk(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def classroom(folder: Path, model: LanguageModel) -> Iterator[tuple[str, type[Classroom]]]:
    handler = type(
        "Here", (Classroom,), {"model": model, "asked": [], "may_break": threading.Semaphore(0)}
    )
    with serving(
        ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    ) as address:
        yield address, handler


def class_address(address: str, **values: Any) -> str:
    return address + fragment(
        **{"max_length": 30, "min_length": 0, "seed": 1, "key": "thekey"} | values
    )


def break_off(page: Page, handler: type[Classroom], texts: Sequence[int], steps: int) -> None:
    """Let the streams of these texts break off once the page has so many tokens of each: of a stream that is cut off,
    a browser may throw away what it has not handed on yet."""
    for text in texts:
        until(page, f"globalThis.lab?.run?.sequences[{text}]?.steps.length === {steps}")
    handler.may_break.release(len(texts))


def test_the_teachers_model_is_offered_and_writes(opened, classroom, model):
    address, handler = classroom
    page = opened(start=class_address(address, repetition_penalty=1.5), size=(360, 640))
    choice = page.get_by_role("combobox", name="モデル", exact=True)
    expect(choice).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    written(page)
    choice.select_option("class")
    expect(page.locator("#notices")).to_contain_text("乱数もサーバーのもの")
    until(page, "lab.model.info.kind === 'server' && lab.run?.settings")
    ids = written(page)
    settings = SamplingSettings(
        do_sample=False, max_length=30, min_length=0, repetition_penalty=1.5, num_return_sequences=1
    )
    # This server always takes the most probable token.
    greedy = generate(model, OPENING, settings).sequences[0]
    assert ids == [greedy.token_ids] * 3
    raws = page.evaluate("lab.run.sequences[0].steps.map((s) => s.raw)")
    assert raws == pytest.approx([step.raw for step in greedy.steps], abs=1e-4)
    # The picture's scores are the model's, their signs included: a penalty depends on them.
    logits = page.evaluate("lab.logits(lab.ids()).then((l) => [...l])")
    with torch.no_grad():
        own = model.model(torch.tensor([ids[0][:LENGTH]])).logits[0, -1]
    assert logits == pytest.approx(own.tolist(), abs=2e-3)
    before = len(handler.asked)
    slider(page, "top_k").press("ArrowLeft")
    until(page, "document.querySelector('.zones').textContent.includes('top_k = 400')")
    # A slider asks the server nothing.
    assert len(handler.asked) == before
    unfold(page)
    page.locator("#way-pane summary").click()
    expect(page.locator("#way")).to_contain_text("ここからは見えません")
    choice.select_option("here")
    until(page, "lab.model.info.kind !== 'server'")
    expect(page.locator(".way > button")).to_have_count(5)


def test_the_teachers_link_opened_again_asks_for_the_teachers_model_again(opened, classroom):
    address, _ = classroom
    page = opened(start=class_address(address, model="teacher"))
    choice = page.get_by_role("combobox", name="モデル", exact=True)
    expect(choice).to_have_value("class")
    link = page.url
    choice.select_option("here")
    until(page, "lab.model.info.kind !== 'server' && !location.hash.includes('teacher')")
    page.evaluate("link => { location.href = link }", link)
    expect(choice).to_have_value("class")
    assert page.evaluate("lab.model.info.kind") == "server"
    assert written(page)


def test_the_teachers_server_breaks_off_and_what_was_written_stays(opened, classroom):
    address, handler = classroom
    handler.broken_after = 4
    page = opened(start=class_address(address, model="teacher"))
    for steps in (4, 8, 12):
        break_off(page, handler, range(3), steps)
    expect(page.get_by_role("alert")).to_contain_text("つながりません")
    # Each is tried three times, and what came is kept.
    assert [len(ids) for ids in written(page)] == [LENGTH + 12] * 3
    expect(texts(page).first.locator(".token")).to_have_count(12)
    handler.broken_after = None
    page.get_by_role("button", name="続きを書く", exact=True).click()
    expect(page.get_by_role("alert")).to_be_empty()
    assert [len(ids) for ids in written(page)] == [30, 30, 30]


def test_one_text_breaks_off_and_the_others_are_written_to_their_end(opened, classroom):
    address, handler = classroom
    handler.broken_after, handler.broken_text = 1, 1
    page = opened(start=class_address(address, model="teacher"))
    for steps in (1, 2, 3):
        break_off(page, handler, [1], steps)
    expect(page.get_by_role("alert")).to_contain_text("つながりません")
    assert [len(ids) for ids in written(page)] == [30, LENGTH + 3, 30]


def test_a_text_that_broke_off_is_written_on_and_that_is_said(opened, classroom, model):
    address, handler = classroom
    handler.broken_after, handler.broken_times = 4, 1
    page = opened(start=class_address(address, model="teacher", num_return_sequences=1))
    break_off(page, handler, [0], 4)
    settings = SamplingSettings(do_sample=False, max_length=30, min_length=0)
    (greedy,) = generate(model, OPENING, settings).sequences
    assert written(page) == [greedy.token_ids]
    expect(page.locator("#notices")).to_contain_text("つなぎ直しました")
    expect(page.get_by_role("alert")).to_be_empty()
    streams = [fields for fields in handler.asked if fields.get("stream")]
    assert [len(fields["prompt"]) for fields in streams] == [LENGTH, LENGTH + 4]
    assert [fields["seed"] for fields in streams] == [10_000, 10_001]


def test_the_last_token_of_a_text_that_fills_the_model_has_its_probability(
    opened, classroom, model
):
    address, _ = classroom
    prompt = OPENING * 60
    while len(model.tokenizer.encode(prompt, add_special_tokens=False)) > POSITIONS - 3:
        prompt = prompt[:-1]
    limits = {"max_length": POSITIONS, "num_return_sequences": 1}
    page = opened(start=class_address(address, model="teacher", prompt=prompt, **limits))
    until(page, "lab.model?.info.kind === 'server'")
    (ids,) = written(page)
    assert len(ids) == POSITIONS
    with torch.no_grad():
        likely = model.model(torch.tensor([ids])).logits[0].softmax(-1)
    raws = page.evaluate("lab.run.sequences[0].steps.map((s) => s.raw)")
    expected = [likely[at - 1, ids[at]].item() for at in range(POSITIONS - len(raws), POSITIONS)]
    assert raws == pytest.approx(expected, abs=1e-4)


def test_a_wrong_key_is_told_and_the_page_writes_by_itself(opened, classroom):
    address, _ = classroom
    page = opened(start=class_address(address, key="wrong", model="teacher"))
    expect(page.get_by_role("alert")).to_contain_text("鍵が違います")
    page.get_by_role("combobox", name="モデル", exact=True).select_option("here")
    assert written(page)


def test_a_key_without_a_class_server_is_told(opened, address):
    page = opened(start=class_address(address))
    expect(page.locator("#notices")).to_contain_text("先生のサーバー")
    assert written(page)
