"""A Hugging Face hub on 127.0.0.1 that serves folders under model names, for the real download code."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(models: dict[str, Path], status: int = 200) -> Iterator[str]:
    """Serve each folder as a model repository; yields the address for HF_ENDPOINT. Another status refuses all."""

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
            path = self.path.split("?")[0].strip("/")
            if status != 200:
                return self._answer(b"{}", status)
            for name, folder in models.items():
                files = sorted(p.name for p in folder.iterdir())
                if path.startswith(f"api/models/{name}/tree/"):
                    rows = [
                        {"type": "file", "path": f, "size": (folder / f).stat().st_size, "oid": SHA}
                        for f in files
                    ]
                    return self._answer(json.dumps(rows).encode(), Content_Type="application/json")
                if path.startswith(f"api/models/{name}"):
                    info = {
                        "id": name,
                        "sha": SHA,
                        "siblings": [{"rfilename": f} for f in files],
                    }
                    return self._answer(json.dumps(info).encode(), Content_Type="application/json")
                if path.startswith(f"{name}/resolve/"):
                    file = folder / path.rsplit("/", 1)[1]
                    if file.is_file():
                        body = file.read_bytes()
                        etag = f'"{hashlib.sha256(body).hexdigest()}"'
                        return self._answer(body, ETag=etag, X_Repo_Commit=SHA)
                    return self._answer(b"", 404, X_Error_Code="EntryNotFound")
            return self._answer(b"{}", 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
