"""What the tests of the class's server share: a model by formula, the real server, and one that replays its answers."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rinna_layout import make_tokenizer

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-server" / "bin" / "python"
DATA = ROOT / "tests" / "data" / "class_server"
ANSWERS = DATA / "answers.json"
KEY = "testkey234"
# Nothing is compiled: the numbers are the same, and a small model's server is there sooner.
QUICK = "--vllm=--enforce-eager"


def write_model(folder: Path, vocab_size: int = 120, n_positions: int = 64) -> Path:
    """A small GPT-2 whose weights come from a formula: the same ones with every version of torch."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    if vocab_size == 120:
        folder.mkdir(parents=True, exist_ok=True)
        for file in DATA.glob("[!a]*"):
            (folder / file.name).write_bytes(file.read_bytes())
    else:
        make_tokenizer(folder, vocab_size=200)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=n_positions,
        n_embd=64,
        n_layer=2,
        n_head=2,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for number, (name, weight) in enumerate(model.named_parameters()):
            wave = torch.arange(weight.numel(), dtype=torch.float64) * (1.0 + 0.37 * number)
            values = torch.sin(wave * wave % 6283.0).reshape(weight.shape)
            # Far from uniform, so that top-k and top-p have something to cut.
            weight.copy_(values * 0.4 + (1.0 if "ln" in name and "weight" in name else 0.0))
    model.save_pretrained(folder)
    return folder


def pupil_address(pupil: int) -> str:
    """Of this machine, too, as every address that begins with 127."""
    return f"127.0.0.{pupil}"


class RealServer:
    """`make serve` in a process of its own."""

    def __init__(self, model: str | Path, port: int, *more: str) -> None:
        command = [str(PYTHON), "-m", "tools.serve", str(model), "--port", str(port), "--key", KEY]
        self.port, self.log = port, ROOT / "build" / f"serve-{port}.log"
        self.log.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.said: list[str] = []
        self.url = f"http://127.0.0.1:{port}/#key={KEY}"
        try:
            self.wait_for("Ctrl-C")
        except BaseException:
            self.stop()
            raise

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def wait_for(self, words: str, seconds: float = 600) -> None:
        """Until the server has said this."""
        while (line := self.lines.get(timeout=seconds)) is not None:
            self.said.append(line)
            if words in line:
                return
        raise AssertionError("the server ended:\n" + "".join(self.said))

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of each route that vLLM says it has."""
        found = re.findall(r"Route: (\S+), Methods: (.*)", self.log.read_text(encoding="utf-8"))
        return sorted({(m.strip(), path) for path, methods in found for m in methods.split(",")})

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = KEY,
        pupil: int = 1,
        **headers: str,
    ) -> tuple[int, bytes]:
        """Status and body of an answer; each pupil asks from an address of its own."""
        here = (pupil_address(pupil), 0)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=here)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.terminate()
        self.process.wait(timeout=60)


def canonical(method: str, path: str, body: bytes) -> str:
    """A request as a key of the record."""
    fields = json.dumps(json.loads(body), sort_keys=True) if body else ""
    return f"{method} {path} {fields}".strip()


def without_chance(body: str) -> str:
    """An answer without what differs from one to the next: its number and the time."""
    body = re.sub(r'"id":"(cmpl|modelperm)-\w+"', r'"id":"\1-0"', body)
    body = re.sub(r'"root":"[^"]*"', '"root":"model"', body)
    return re.sub(r'"created":\d+', '"created":0', body)


Answer = tuple[int, bytes]


@contextmanager
def local_server(
    respond: Callable[[str, str, bytes, str], Answer | Iterator[bytes]],
) -> Iterator[str]:
    """The address of an HTTP server in this process. `respond` gets method, path, body and the key.

    It gives a status and a body, or the pieces of a stream: the connection is cut where these end.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            answer = respond(self.command, self.path, body, key)
            try:
                if isinstance(answer, tuple):
                    self.send_response(answer[0])
                    self.send_header("Content-Length", str(len(answer[1])))
                    if answer[0] in (301, 302, 307):
                        self.send_header("Location", "http://127.0.0.1:9/")
                    self.end_headers()
                    self.wfile.write(answer[1])
                else:
                    self.send_response(200)
                    self.end_headers()
                    for piece in answer:
                        self.wfile.write(piece)
                        self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                if not isinstance(answer, tuple):
                    answer.close()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/#key={KEY}"
    finally:
        server.shutdown()
        server.server_close()


def replay(
    recorded: dict[str, Any],
) -> Callable[[str, str, bytes, str], Answer]:
    """Answers as recorded; a request that the record does not hold fails the test that made it."""

    def respond(method: str, path: str, body: bytes, key: str) -> Answer:
        if key != KEY:
            return 401, b'{"error":"Unauthorized"}'
        wanted = canonical(method, path, body)
        if wanted not in recorded:
            return 599, f"not recorded: {wanted}".encode()
        return recorded[wanted]["status"], recorded[wanted]["body"].encode()

    return respond


def recorder(server: RealServer, recorded: dict[str, Any]) -> Callable[..., Answer]:
    """Passes everything on to the real server, and writes down what it says."""

    def respond(method: str, path: str, body: bytes, key: str) -> Answer:
        status, answer = server.ask(method, path, body or None, key)
        text = without_chance(answer.decode())
        recorded[canonical(method, path, body)] = {"status": status, "body": text}
        return status, answer

    return respond


def read_answers() -> dict[str, Any]:
    """The record in the tree."""
    return json.loads(ANSWERS.read_text(encoding="utf-8"))


def write_answers(recorded: dict[str, Any]) -> None:
    """Put a record into the tree, one request a line."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(recorded.items())]
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def record(port: int = 8177) -> dict[str, Any]:
    """What the real server says to each scene of the tests: `python tests/class_server.py` puts it into the tree."""
    import tempfile

    from test_server import SCENES, play

    recorded: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder, "formula"))
        server = RealServer(model, port, QUICK)
        try:
            with local_server(recorder(server, recorded)) as url:
                for scene in SCENES:
                    play(model, url, scene)
        finally:
            server.stop()
    return recorded


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    write_answers(record())
