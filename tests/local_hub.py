"""A Hugging Face hub on 127.0.0.1 that serves folders under model names, for the real download code, and its faults."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

SHA = "0123456789abcdef0123456789abcdef01234567"
# The real hub keeps these apart from git, under their SHA-256.
LARGE = (".safetensors", ".bin", ".model")


@dataclass
class Hub:
    """What is served, and what goes wrong; change it at any time. A fault hits paths that contain `only`."""

    models: dict[str, Path]
    address: str = ""
    version: str = SHA
    # Every request is refused with this status and these headers; or, if `refusals` is not 0, only so many requests for
    # a file's content: the number counts down.
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refusals: int = 0
    only: str = ""
    # Accept, and say nothing.
    stalls: bool = False
    # How many bodies of files end half way, the connection closed; how many seconds their other half takes.
    cuts: int = 0
    pause: float = 0
    # These files arrive with one byte changed, their size as announced.
    damaged: set[str] = field(default_factory=set)
    # Any address is answered with this page, as networks do that want a login.
    page: bytes | None = None
    # Whether the hub says how large its files are; some mirrors do not.
    tells_sizes: bool = True
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    half_sent: threading.Event = field(default_factory=threading.Event)

    def mend(self) -> None:
        """No more faults, and an empty log."""
        fresh = Hub({})
        for name in (
            "status",
            "headers",
            "refusals",
            "only",
            "stalls",
            "cuts",
            "pause",
            "damaged",
            "page",
            "tells_sizes",
        ):
            setattr(self, name, getattr(fresh, name))
        self.requests.clear()
        self.half_sent.clear()

    def bodies(self, file: str) -> list[str | None]:
        """The Range of each request for a file's content, None for the whole."""
        return [r for method, path, r in self.requests if method == "GET" and path.endswith(file)]


@contextmanager
def hub(models: dict[str, Path]) -> Iterator[Hub]:
    """Serve each folder as a model repository."""
    state = Hub(models)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: bytes, code: int = 200, **headers: str) -> None:
            self.send_response(code)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            path = unquote(self.path.split("?")[0].strip("/"))
            state.requests.append((self.command, path, self.headers.get("Range")))
            if state.only in path:
                if state.stalls:
                    while state.stalls:
                        time.sleep(0.05)
                    self.close_connection = True
                    return
                if state.page is not None:
                    self._answer(state.page, Content_Type="text/html")
                    return
                only_some = state.refusals > 0
                content = self.command == "GET" and "/resolve/" in path
                if state.status != 200 and (content or not only_some):
                    code = state.status
                    if only_some:
                        state.refusals -= 1
                        state.status = code if state.refusals else 200
                    self._answer(b"{}", code, **state.headers)
                    return
            for name, folder in state.models.items():
                files = sorted(p for p in folder.iterdir() if p.is_file())
                if path.startswith(f"api/models/{name}/tree/"):
                    self._json([{"type": "file", "path": f.name, **_metadata(f)} for f in files])
                    return
                if path == f"api/models/{name}" or path.startswith(f"api/models/{name}/revision/"):
                    siblings = [{"rfilename": f.name, **_metadata(f)} for f in files]
                    if not state.tells_sizes:
                        siblings = [{"rfilename": f.name} for f in files]
                    self._json({"id": name, "sha": state.version, "siblings": siblings})
                    return
                if path.startswith(f"{name}/resolve/"):
                    file = folder / path.rsplit("/", 1)[1]
                    if file.is_file():
                        self._file(file)
                    else:
                        self._answer(b"", 404, X_Error_Code="EntryNotFound")
                    return
            self._answer(b"{}", 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET

        def _json(self, value: object) -> None:
            self._answer(json.dumps(value).encode(), Content_Type="application/json")

        def _file(self, file: Path) -> None:
            body = file.read_bytes()
            headers = {
                "ETag": f'"{_etag(file.name, body)}"',
                "X-Repo-Commit": state.version,
                "Accept-Ranges": "bytes",
            }
            if self.command == "HEAD":
                self._answer(body, **headers)
                return
            if file.name in state.damaged:
                body = body[:-1] + bytes([body[-1] ^ 1])
            start, total, code = 0, len(body), 200
            if (wanted := self.headers.get("Range")) and wanted.startswith("bytes="):
                start, code = int(wanted.removeprefix("bytes=").split("-")[0]), 206
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            body = body[start:]
            if state.only in file.name and (state.cuts or state.pause):
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                half = len(body) // 2
                self.wfile.write(body[:half])
                self.wfile.flush()
                state.half_sent.set()
                if state.cuts:
                    state.cuts -= 1
                    self.close_connection = True
                    return
                time.sleep(state.pause)
                self.wfile.write(body[half:])
                return
            self._answer(body, code, **headers)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            # A client that goes away in mid-answer is what some tests want.
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.stalls = False
        server.shutdown()
        server.server_close()


@contextmanager
def serve(models: dict[str, Path], status: int = 200) -> Iterator[str]:
    """As `hub`; yields the address for HF_ENDPOINT. Another status refuses all."""
    with hub(models) as state:
        state.status = status
        yield state.address


def _etag(name: str, body: bytes) -> str:
    if name.endswith(LARGE):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _metadata(file: Path) -> dict[str, object]:
    body = file.read_bytes()
    size, etag = len(body), _etag(file.name, body)
    if file.name.endswith(LARGE):
        return {
            "size": size,
            "blobId": SHA,
            "oid": SHA,
            "lfs": {"sha256": etag, "oid": etag, "size": size, "pointerSize": 130},
        }
    return {"size": size, "blobId": etag, "oid": etag}
