"""What the tests of the lab's page share: visits to it, links, and where its parts are.

The site is built first (Node and `npm ci --prefix site`: `make site` sees to both).
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from helpers import BUNDLED_PATH
from helpers.tokenizer import load_tokenizer

OPENING = "国境の長いトンネルを抜けると雪国であった。"
# A machine that is busy with other things may take long: that alone is no fault.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
# In JavaScript: the ids of all texts, and nothing until they are written.
ALL_WRITTEN = (
    "globalThis.lab?.run && !lab.writing && lab.run.sequences.every((s) => s.stopped)"
    " && lab.run.sequences.map((s) => [...s.tokenIds])"
)
CONFIG = json.loads((BUNDLED_PATH / "config.json").read_text(encoding="utf-8"))
VOCABULARY, POSITIONS = CONFIG["vocab_size"], CONFIG["n_positions"]
LENGTH = len(load_tokenizer().encode(OPENING, add_special_tokens=False))
JAPANESE = re.compile("[぀-ヿ㐀-鿿]")


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """The address of a server on this machine, which answers in a thread until the end."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Visits:
    """Pages of the site. Other hosts are refused, and having asked one is a fault, as an error on a page is."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address
        self.faults: list[str] = []
        self.alone: list[BrowserContext] = []
        self._shared: Page | None = None
        self._opened = 0

    def __call__(
        self,
        fragment: str = "",
        size: tuple[int, int] = (1366, 768),
        alone: bool = False,
        **options: Any,
    ) -> Page:
        """The page as a link leads to it. Most tests share one page, which goes on as after a click on a link, its
        model loaded, and is folded up again; `alone` is a first visit, as every page with `options` is.
        """
        if not (alone or options or not fragment):
            return self._followed(fragment, size)
        page = self._new_page(size, **options)
        self.alone.append(page.context)
        page.goto((options.get("start") or self.address) + fragment)
        return page

    def _followed(self, fragment: str, size: tuple[int, int]) -> Page:
        self._opened += 1
        if self._shared is None:
            self._shared = self._new_page(size)
            self._shared.goto(self.address + fragment)
            return self._shared
        page = self._shared
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(AS_AT_FIRST)
        # No field of a state: with it no link is that of the test before.
        page.goto(f"{self.address}{fragment}&visit={self._opened}")
        return page

    def _new_page(
        self,
        size: tuple[int, int],
        start: str | None = None,
        language: str = "ja-JP",
        **options: Any,
    ) -> Page:
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale=language, **options
        )
        context.set_default_timeout(PATIENCE)
        context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        page = context.new_page()
        own = re.match(r"https?://[^/]+/", start or self.address)
        ours = (own.group() if own else "file:", "data:", "blob:")

        def note(url: str) -> None:
            if not url.startswith(ours):
                self.faults.append(f"asked for {url}")

        page.on("request", lambda request: note(request.url))
        page.on("websocket", lambda socket: self.faults.append(f"asked for {socket.url}"))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        return page


AS_AT_FIRST = """() => {
    if (document.body.classList.contains("open")) document.getElementById("more").click();
    for (const pane of document.querySelectorAll("details")) pane.open = false;
    document.getElementById("notices").replaceChildren();
    document.activeElement.blur();
    lab.newSeed = true;
    lab.run = null;
}"""


def fragment(prompt: str = OPENING, **settings: Any) -> str:
    values = {
        k: str(v).lower() if isinstance(v, bool) else v
        for k, v in ({"prompt": prompt} | settings).items()
    }
    return "#" + urlencode(values, quote_via=quote)


def until(page: Page, expression: str, patience: int = PATIENCE) -> Any:
    """What an expression gives as soon as it is true. (The page forbids what `wait_for_function` would do.)"""
    for _ in range(patience // 50):
        if value := page.evaluate(expression):
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"not true within {patience / 1000:.0f} s: {expression}")


def written(page: Page) -> list[list[int]]:
    """The ids of all texts, once they are written."""
    return until(page, ALL_WRITTEN)


def texts(page: Page) -> Locator:
    return page.locator("#texts .text")


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("spinbutton", name=name, exact=True)


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def unfold(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^(もっと|More)$")).click()


def unfold_all(page: Page) -> None:
    unfold(page)
    for pane in page.locator("details > summary").all():
        pane.click()
