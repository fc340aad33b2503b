"""Talking to the class's server: one request, its answer or its stream, and a sentence for each way it can fail.

Python's own `http.client`: it follows no redirect and asks no proxy, so the key goes to the address given and nowhere
else, and closing a connection is at once what the server takes for "stop".
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from helpers.errors import Explained, InputError
from helpers.settings import SettingsError

if TYPE_CHECKING:
    from helpers.results import Generation

CONNECT = 5.0  # seconds to connect
PATIENCE = 60.0  # seconds without data before giving up on the server
# The settings as the server names them, and those whose names differ from ours.
SETTINGS = {"temperature", "top_k", "top_p", "repetition_penalty", "prompt"}
FIELDS = {"n": "num_return_sequences", "max_tokens": "max_length", "min_tokens": "min_length"}


class ServerUnavailable(Explained, ConnectionError):
    """The class's server cannot be used; the message says why. `generation` keeps what was written before."""

    generation: Generation | None = None


@dataclass(frozen=True)
class Address:
    """The URL of a server, and the key. The key appears in no text that is shown."""

    url: str
    key: str = field(default="", repr=False)

    def open(self, timeout: float) -> HTTPConnection:
        """A connection, not yet made."""
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout)


def address_of(url: str | None) -> Address:
    """From `http://teacher:8000/#key=...`, as the server prints it, or from HELPERS_SERVER where there is none.

    The part after the `#` is never sent. Without it, HELPERS_SERVER_KEY has the key.

    Raises:
        InputError: a ValueError; it is not an address.
    """
    given = url or os.environ.get("HELPERS_SERVER", "")
    try:
        parts = urlsplit(given.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    # What a name may be: parts of 1 to 63 characters, between dots, without a space.
    named = host and all(
        re.fullmatch(r"[^\s.]{1,63}", part) for part in host.rstrip(".").split(".")
    )
    if not host or not named or parts.scheme not in ("http", "https"):
        # It may hold a key: only the part before it is shown.
        shown = given.partition("#")[0].rpartition("@")[2][:60]
        name = "HELPERS_SERVER" if given and not url else "url"
        raise InputError(
            f'{name} = "{shown}" は使えません。先生の画面にあるアドレスを、"http://192.168.1.5:8000/#key=…" のように'
            "そのまま指定してください。",
            f'{name} = "{shown}" cannot be used: enter the address exactly as the teacher shows it, such as '
            '"http://192.168.1.5:8000/#key=...".',
        )
    key = parse_qs(parts.fragment).get("key", [os.environ.get("HELPERS_SERVER_KEY", "")])[0].strip()
    if not (key.isascii() and key.isprintable()):
        raise wrong_key(f"{parts.scheme}://{host}")
    name = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    return Address(base, key)


def send(address: Address, path: str, body: dict[str, Any] | None = None) -> HTTPConnection:
    """Make a request; its answer is for `answer_of` or `events_of`. Closing the connection aborts it.

    Raises:
        ServerUnavailable: no server answers.
    """
    connection = address.open(CONNECT)
    headers = {"Authorization": f"Bearer {address.key}"} if address.key else {}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    with _explained(address):
        connection.connect()
        connection.sock.settimeout(PATIENCE)
        prefix = urlsplit(address.url).path
        connection.request("GET" if body is None else "POST", prefix + path, data, headers)
    return connection


def answer_of(address: Address, connection: HTTPConnection) -> Any:
    """The JSON that a request was answered with; the connection is closed.

    Raises:
        ServerUnavailable: the server refused, failed, or is not one of ours.
        SettingsError: a setting is beyond what the server allows.
    """
    try:
        with _explained(address):
            response = connection.getresponse()
            text = response.read()
    finally:
        connection.close()
    _check(address, response, text)
    try:
        return json.loads(text)
    except ValueError as error:
        raise other_version(address) from error


def file_of(address: Address, path: str) -> bytes | None:
    """A file that the server hands out, without the key; None where it has none.

    Raises:
        ServerUnavailable: no server answers.
    """
    connection = send(replace(address, key=""), path)
    try:
        with _explained(address):
            response = connection.getresponse()
            content = response.read()
    finally:
        connection.close()
    # Some networks answer everything with a login page, which is not a file of a model.
    page = (response.getheader("Content-Type") or "").startswith("text/html")
    return content if response.status == 200 and not page else None


def events_of(
    address: Address, connection: HTTPConnection
) -> Generator[dict[str, Any], None, None]:
    """The events of a stream, each as soon as it is there. Closing the iterator closes the connection.

    Raises:
        ServerUnavailable: as `answer_of`; or the stream ended too early.
        SettingsError: as `answer_of`.
    """
    response = None
    try:
        with _explained(address):
            response = connection.getresponse()
            text = response.read() if response.status != 200 else b""
        _check(address, response, text)
        while True:
            with _explained(address):
                line = response.readline()
            if not line:
                raise broken_off(address)
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                return
            try:
                event = json.loads(line[6:])
            except ValueError as error:
                raise other_version(address) from error
            if "error" in event:
                # The engine died in the middle: vLLM says so as an event.
                raise broken_off(address)
            yield event
    finally:
        if response is not None:
            response.close()
        connection.close()


def _check(address: Address, response: HTTPResponse, text: bytes) -> None:
    if response.status == 200:
        return
    if response.status == 401:
        raise wrong_key(address.url)
    if response.status == 429:
        raise ServerUnavailable(
            f"{address.url} は今、順番待ちでいっぱいです。少し待ってから、もう一度実行してください。",
            f"{address.url} has too many requests waiting: wait a moment and run this again.",
        )
    if response.status >= 500:
        raise ServerUnavailable(
            f"{address.url} のサーバーで問題が起きました（{response.status}）。自動で始め直すので、"
            "1 分ほど待ってから、もう一度実行してください。",
            f"the server at {address.url} has failed ({response.status}); it restarts by itself: wait a minute "
            "and run this again.",
        )
    try:
        error = json.loads(text)["error"]
        name, limit, message = error.get("param") or "", error.get("limit"), error["message"]
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise other_version(address) from cause
    if name == "model":
        raise wrong_model(address, str(message))
    if response.status != 400 or name not in FIELDS.keys() | SETTINGS:
        raise other_version(address) from ValueError(str(message))
    setting = FIELDS.get(name, name)
    most = "" if limit is None else f"{limit:g}"
    raise SettingsError(
        setting,
        f"{setting} は、このサーバーでは使えない値です{f'（{most} まで）' if most else ''}。",
        f"{setting} has a value that this server does not accept{f' (at most {most})' if most else ''}.",
    ) from ValueError(str(message))


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """What the network raises, as one sentence; the cause is kept."""
    try:
        yield
    except TimeoutError as error:
        raise ServerUnavailable(
            f"{address.url} から返事が来ません。先生のパソコンと同じネットワークにいるか、アドレスが合っているかを"
            "確かめてください。混んでいるときは、少し待ってから、もう一度実行してください。",
            f"{address.url} does not answer: check that you are on the same network as the teacher's machine and that "
            "the address is right; if the class is busy, wait a moment and run this again.",
        ) from error
    except (HTTPException, ConnectionResetError, BrokenPipeError) as error:
        raise broken_off(address) from error
    except ssl.SSLError as error:
        raise ServerUnavailable(
            f"{address.url} と、暗号化した接続ができません。アドレスの初めが先生の画面と同じか（http:// と https://）を"
            "確かめてください。同じなら、サーバーの証明書がこのパソコンに知られていません。",
            f"no encrypted connection to {address.url}: check that the address begins as the teacher shows it (http:// or "
            "https://); if it does, this computer does not know the server's certificate.",
        ) from error
    except OSError as error:
        raise ServerUnavailable(
            f"{address.url} に、サーバーが見つかりません。先生がサーバーを動かしているか、同じネットワークにいるかを"
            "確かめてください（Colab からは、学校の中のサーバーに届きません）。",
            f"there is no server at {address.url}: check that the teacher has started it and that you are on the same "
            "network (Colab cannot reach a server inside a school).",
        ) from error


def broken_off(address: Address) -> ServerUnavailable:
    """The connection broke."""
    return ServerUnavailable(
        f"{address.url} との接続が途中で切れました。そこまでの文章は残っています。もう一度実行してください。",
        f"the connection to {address.url} was lost; the text so far is kept: run this again.",
    )


def wrong_key(url: str) -> ServerUnavailable:
    """The server does not know the key. It is not repeated."""
    return ServerUnavailable(
        f"{url} の鍵が違います。先生の画面にあるアドレスを、# の後ろまでそのまま url に入れてください"
        "（または環境変数 HELPERS_SERVER_KEY に鍵を入れます）。",
        f"the key for {url} is wrong: set url to the whole address that the teacher shows, including the part "
        "after the # (or set the environment variable HELPERS_SERVER_KEY to the key).",
    )


def wrong_model(address: Address, served: str) -> InputError:
    """Another model is served than was asked for."""
    return InputError(
        f'{address.url} にあるモデルは "{served}" です。load_model("{served}", ...) のように指定してください。',
        f'the model at {address.url} is "{served}": ask for that one, load_model("{served}", ...).',
    )


def other_version(address: Address) -> ServerUnavailable:
    """Something answers, but not as it should."""
    return ServerUnavailable(
        f"{address.url} は、このノートブックが使える形では答えません（別の版か、別の設定のサーバーです）。"
        "先生に、同じ版の make serve で始めてもらってください。",
        f"{address.url} does not answer as these notebooks expect (a different version, or different settings): "
        "ask the teacher to start it with make serve from the same version.",
    )
