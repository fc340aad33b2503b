"""The middleware in front of vLLM's routes (`--middleware tools.serve_gate.Gate`): of some thirty, three are open.

A request for a text is passed on only as a fresh copy of what was checked (`tools.serve_limits`). With a site, its files too.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from tools.serve_limits import Offer, Refused, checked

# With the key, except for /health; every other route is 404.
ROUTES = {("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/health")}
# What is passed on to vLLM: no cookies, and none of the headers that control it.
HEADERS = (b"host", b"authorization", b"accept")
# What a page needs to turn text into ids and back.
MODEL_FILES = ("spiece.model", "config.json", "tokenizer_config.json")


class Gate:
    """The middleware. It counts requests for texts, so that neither a pupil nor a class can pile them up."""

    def __init__(self, app: Callable[..., Awaitable[None]], offer: Offer | None = None) -> None:
        self.app, self.offer = app, offer or Offer.from_environment()
        self.site = StaticFiles(directory=self.offer.site, html=True) if self.offer.site else None
        self.running: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif (scope["method"], scope["path"]) == ("POST", "/v1/completions"):
            await self._text(scope, receive, send)
        elif (scope["method"], scope["path"]) in ROUTES:
            await self.app(_stripped(scope), receive, send)
        else:
            response = await self._file(scope)
            await response(scope, receive, send)

    async def _file(self, scope: dict[str, Any]) -> Response:
        """A file of the site or of the model, where there is a site; otherwise 404."""
        path = scope["path"]
        if self.site is not None and scope["method"] in ("GET", "HEAD"):
            if path == "/class.json":
                return JSONResponse(self.offer.for_the_page())
            folder, _, name = path.rpartition("/")
            if folder == "/model" and name in MODEL_FILES:
                file = Path(self.offer.folder, name)
                return FileResponse(file) if file.is_file() else _refusal(404, "not here")
            try:
                return await self.site.get_response(self.site.get_path(scope), scope)
            except HTTPException as error:
                return _refusal(error.status_code, "not here")
        return _refusal(404, "not here")

    async def _text(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        address = (scope.get("client") or ("", 0))[0]
        limits = self.offer.limits
        try:
            async with asyncio.timeout(limits.seconds):
                body = await _body(receive, limits.body)
            fields = checked(body, self.offer)
        except TimeoutError:
            return await _refusal(408, "the request did not arrive")(scope, receive, send)
        except Refused as error:
            refusal = _refusal(400, str(error), error.field, error.limit)
            return await refusal(scope, receive, send)
        if self.running[address] >= limits.pupil or self.running.total() >= limits.everyone:
            return await _refusal(429, "too many requests at once")(scope, receive, send)
        self.running[address] += 1
        try:
            copy = json.dumps(fields).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(copy)),
            ]
            await self.app(_stripped(scope, headers), _again(copy, receive), send)
        finally:
            self.running[address] -= 1
            self.running += Counter()  # drops addresses that have nothing running


async def _body(receive: Any, most: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("the connection was closed")
        body += message.get("body", b"")
        if len(body) > most:
            raise Refused(f"the request has more than {most} bytes", "body", most)
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Any) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A `receive` that begins with a body; then it is the real one, so a pupil who goes away is noticed."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def messages() -> dict[str, Any]:
        return waiting.pop() if waiting else await receive()

    return messages


def _stripped(scope: dict[str, Any], headers: list[tuple[bytes, bytes]] | None = None) -> dict:
    kept = [(name, value) for name, value in scope["headers"] if name in HEADERS]
    return scope | {"headers": kept + (headers or []), "query_string": b""}


def _refusal(status: int, message: str, field: str = "", limit: float | None = None) -> Response:
    error = {"message": message, "param": field, "limit": limit, "code": status}
    headers = {"retry-after": "2"} if status == 429 else None
    return JSONResponse({"error": error}, status_code=status, headers=headers)
