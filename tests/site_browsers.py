"""Firefox and WebKit for the site's tests, driven by what each brings along: `with open_browser("firefox") as browser:`.

Firefox speaks WebDriver BiDi itself; WebKit has WebKitWebDriver beside it (Debian: firefox-esr, webkit2gtk-driver, xvfb;
`python -m tools.browser` installs them). WebKit's small browser stands in for Safari on an iPad: the engine is Safari's.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import websocket

from tools.browser import find_firefox, find_webkit_driver

PATIENCE = 120  # seconds; a machine that is busy with other things may take long
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver names an element


class Browser:
    """One page of one browser. `evaluate` runs JavaScript in the page; click and keys are real ones."""

    def __init__(self, name: str) -> None:
        self.name = name

    def goto(self, url: str) -> None:
        """Open an address and wait until the page has loaded."""
        raise NotImplementedError

    def reload(self) -> None:
        """Load the page again and wait until it has loaded."""
        raise NotImplementedError

    def evaluate(self, body: str, *arguments: Any) -> Any:
        """What the body of an async function returns for `arguments`, as JSON carries it; errors are raised."""
        raise NotImplementedError

    def click(self, selector: str) -> None:
        """Click on the middle of the first element of a CSS selector."""
        raise NotImplementedError

    def press(self, selector: str, keys: str) -> None:
        """Focus an element and type. Special keys are WebDriver's: "\\ue014" is the right arrow, "\\ue004" is Tab."""
        raise NotImplementedError

    def wait_for(self, body: str, *arguments: Any, seconds: float = PATIENCE) -> Any:
        """Ask again until the answer is true, and return it."""
        end = time.monotonic() + seconds
        while not (answer := self.evaluate(body, *arguments)):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: not true within {seconds} s: {body}")
            time.sleep(0.1)
        return answer


def _wrapped(body: str, arguments: tuple[Any, ...]) -> str:
    """An expression that resolves to JSON text: a result, or an error with its message."""
    call = f"(async (...args) => {{ {body} }})(...{json.dumps(arguments)})"
    failed = "JSON.stringify({ error: String(e) + '\\n' + (e?.stack ?? '') })"
    return f"{call}.then((r) => JSON.stringify({{ result: r ?? null }}), (e) => {failed})"


def _unwrapped(text: str) -> Any:
    answer = json.loads(text)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


class Firefox(Browser):
    """WebDriver BiDi: one JSON message each way over a WebSocket."""

    def __init__(self, address: str) -> None:
        super().__init__("firefox")
        self._socket = websocket.create_connection(
            f"{address}/session", suppress_origin=True, timeout=PATIENCE
        )
        self._last = 0
        self._call("session.new", capabilities={})
        self._page = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def _call(self, method: str, **parameters: Any) -> Any:
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._last:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                return answer["result"]

    def goto(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def reload(self) -> None:
        self._call("browsingContext.reload", context=self._page, wait="complete")

    def evaluate(self, body: str, *arguments: Any) -> Any:
        answer = self._call(
            "script.evaluate",
            expression=_wrapped(body, arguments),
            target={"context": self._page},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return _unwrapped(answer["result"]["value"])

    def _actions(self, kind: str, actions: list[dict[str, Any]]) -> None:
        source = {"type": kind, "id": kind, "actions": actions}
        self._call("input.performActions", context=self._page, actions=[source])

    def click(self, selector: str) -> None:
        place = (
            "const e = document.querySelector(args[0]); e.scrollIntoView({ block: 'center', behavior: 'instant' });"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2].map(Math.round);"
        )
        x, y = self.evaluate(place, selector)
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        self._actions("pointer", [{"type": "pointerMove", "x": x, "y": y}, down, up])

    def press(self, selector: str, keys: str) -> None:
        self.evaluate("document.querySelector(args[0]).focus()", selector)
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._actions("key", actions)

    def close(self) -> None:
        self._socket.close()


class WebKit(Browser):
    """WebDriver: one HTTP request for each command."""

    def __init__(self, port: int) -> None:
        super().__init__("webkit")
        self._base = f"http://127.0.0.1:{port}"
        browser = str(_mini_browser())
        options = {"binary": browser, "args": ["--automation"]}
        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = self._call("POST", "/session", capabilities=wanted)["sessionId"]
        self._base += f"/session/{session}"
        self._call("POST", "/timeouts", script=PATIENCE * 1000, pageLoad=PATIENCE * 1000)

    def _call(self, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()}") from error

    def goto(self, url: str) -> None:
        self._call("POST", "/url", url=url)

    def reload(self) -> None:
        self._call("POST", "/refresh")

    def evaluate(self, body: str, *arguments: Any) -> Any:
        script = f"const done = arguments[0]; {_wrapped(body, arguments)}.then(done)"
        return _unwrapped(self._call("POST", "/execute/async", script=script, args=[]))

    def _element(self, selector: str) -> str:
        found = self._call("POST", "/element", using="css selector", value=selector)
        return f"/element/{found[ELEMENT]}"

    def click(self, selector: str) -> None:
        self._call("POST", f"{self._element(selector)}/click")

    def press(self, selector: str, keys: str) -> None:
        self._call("POST", f"{self._element(selector)}/value", text=keys)

    def close(self) -> None:
        self._call("DELETE", "")


@contextmanager
def open_browser(name: str) -> Iterator[Browser]:
    """A "firefox" or a "webkit" with a new profile, closed at the end."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        browser = {"firefox": _firefox, "webkit": _webkit}[name](stack, Path(folder))
        stack.callback(browser.close)
        yield browser


def _firefox(stack: ExitStack, folder: Path) -> Firefox:
    program = find_firefox()
    assert program, "No Firefox here: python -m tools.browser adds one."
    # It asks nobody for news, settings or updates.
    (folder / "user.js").write_text(
        "".join(
            f'user_pref("{name}", {value});\n'
            for name, value in {
                "app.normandy.enabled": "false",
                "browser.safebrowsing.downloads.remote.enabled": "false",
                "datareporting.policy.dataSubmissionEnabled": "false",
                "network.captive-portal-service.enabled": "false",
                "network.connectivity-service.enabled": "false",
                "services.settings.server": '"data:,"',
            }.items()
        )
    )
    command = [str(program), "--headless", "--no-remote", "--profile", str(folder)]
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0"], stdout=output, stderr=subprocess.STDOUT
        )
    stack.callback(_end, process)
    listening = _wait(lambda: re.search(r"ws://\S+", log.read_text("utf-8", "replace")), "Firefox")
    return Firefox(listening[0])


def _webkit(stack: ExitStack, folder: Path) -> WebKit:
    if not sys.platform.startswith("linux"):
        pytest.skip("WebKit comes with a driver on Linux only.")
    program = find_webkit_driver()
    assert program, "No WebKitWebDriver here: python -m tools.browser adds one."
    read, write = os.pipe()
    display = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    stack.callback(_end, display)
    with os.fdopen(read) as number:
        screen = f":{number.readline().strip()}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"DISPLAY": screen, "HOME": str(folder), "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
    process = subprocess.Popen(
        [str(program), f"--port={port}"],
        env={**os.environ, **own},
        stderr=subprocess.DEVNULL,
    )
    stack.callback(_end, process)
    _wait(lambda: _answers(port), "WebKitWebDriver")
    return WebKit(port)


def _mini_browser() -> Path:
    places = ("lib/*/", "lib*/", "libexec/")
    found = [p for place in places for p in Path("/usr").glob(f"{place}webkit2gtk-4.*/MiniBrowser")]
    if not found:
        raise FileNotFoundError("MiniBrowser of webkit2gtk")
    return max(found)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (answer := ready()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not start within {PATIENCE} s")
        time.sleep(0.05)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
