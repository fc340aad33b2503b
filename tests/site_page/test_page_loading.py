"""How the page loads: without a network, by a double click, after an update, and what may go wrong."""

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect
from site_pages import (
    OPENING,
    PATIENCE,
    Visits,
    fragment,
    serving,
    slider,
    texts,
    unfold,
    until,
    written,
)

from helpers import BUNDLED_PATH
from helpers.sampling import SamplingSettings, generate
from tools import site

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


def test_after_the_first_visit_it_opens_without_a_network(opened, address):
    page = opened(fragment(seed=42, max_length=30, min_length=0), alone=True)
    first = written(page)
    until(page, "navigator.serviceWorker?.controller && 1")
    until(page, "caches.keys().then((names) => names.length >= 2)")
    page.context.set_offline(True)
    page.goto("about:blank")
    page.goto(address + fragment(seed=42, max_length=30, min_length=0))
    assert written(page) == first
    page.context.set_offline(False)


WEIGHTS = """caches.open("yukiguni-data").then(async (cache) => {
    const at = (await cache.keys()).find(({ url }) => url.endsWith("model.safetensors"));
    if (!at) return null;
    const whole = await (await cache.match(at)).arrayBuffer();
    if (CUT) await cache.put(at, new Response(whole.slice(0, CUT)));
    return [at.url, whole.byteLength];
})"""


def test_half_a_file_that_the_browser_kept_is_loaded_again(opened):
    page = opened(fragment(seed=42, max_length=30, min_length=0), alone=True)
    first = written(page)
    _, length = until(page, WEIGHTS.replace("CUT", "0"))
    until(page, WEIGHTS.replace("CUT", "1000"))
    page.reload()
    assert written(page) == first
    assert until(page, WEIGHTS.replace("CUT", "0"))[1] == length
    # The words about loading are gone, also for a screen reader.
    expect(page.locator("#progress")).not_to_contain_text("MB")


def test_after_an_update_it_opens_without_a_network_and_lessons_stay(opened, folder, tmp_path):
    """Another model and another page under the same address, as a new publication is."""
    site_here = tmp_path / "site"
    shutil.copytree(folder, site_here)
    (site_here / "lessons").mkdir(exist_ok=True)
    (site_here / "lessons" / "index.html").write_text("<title>lesson</title>", encoding="utf-8")
    state = fragment(seed=42, max_length=30, min_length=0)
    with serving(site.server(0, site_here, "127.0.0.1")) as start:
        page = opened(state, start=start)
        first = written(page)
        until(page, "navigator.serviceWorker?.controller && 1")
        page.goto(f"{start}lessons/index.html")
        page.goto(start + state)
        old = site.house()["data"]["folder"].rstrip("/")
        (site_here / old).rename(site_here / "data-0123456789")
        for path in site_here.rglob("*"):
            if path.suffix in (".html", ".js") and "data-" not in path.parent.name:
                text = path.read_text(encoding="utf-8")
                version = re.sub(r"yukiguni-\$\{\"\w+", 'yukiguni-${"0123456789', text)
                path.write_text(version.replace(old, "data-0123456789"), encoding="utf-8")
        page.reload()
        until(page, "caches.has('yukiguni-0123456789')")
        # Of the old version nothing is left but the lesson that was read.
        until(page, "caches.keys().then((names) => names.length === 3)")
        assert "data-0123456789" in until(page, WEIGHTS.replace("CUT", "0"))[0]
    page.goto("about:blank")
    page.goto(start + state)
    assert written(page) == first
    page.goto(f"{start}lessons/index.html")
    assert page.title() == "lesson"


def test_what_is_not_there_is_not_kept_by_the_browser(address, folder):
    data = site.house()["data"]["folder"]
    with urlopen(f"{address}{data}spiece.model") as answer:
        assert "immutable" in answer.headers["Cache-Control"]
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{address}{data}nothing")
    assert caught.value.headers["Cache-Control"] == "no-store"
    caught.value.close()


def test_opened_by_a_double_click_it_writes_the_same(opened, folder, model):
    page = opened(
        fragment(seed=42, max_length=40, min_length=0), start=(folder / "index.html").as_uri()
    )
    expected = generate(model, OPENING, SamplingSettings(seed=42, max_length=40, min_length=0))
    assert written(page) == [sequence.token_ids for sequence in expected.sequences]
    unfold(page)
    page.locator("#share-pane summary").click()
    expect(page.locator("#share")).to_contain_text("この端末でしか開けません")


REFUSALS = {
    "no caches": "Object.defineProperty(globalThis, 'caches', { value: undefined })",
    "caches that may not be touched": (
        "Object.defineProperty(globalThis, 'caches', { get() { throw new DOMException('', 'SecurityError'); } })"
    ),
    "a full disk": "Cache.prototype.put = async () => { throw new DOMException('', 'QuotaExceededError'); }",
    "a kept file that cannot be read": (
        "Cache.prototype.match = async () => new Response("
        "new ReadableStream({ start: (stream) => stream.error(new TypeError('unreadable')) }))"
    ),
    "no service worker": (
        "Object.defineProperty(Navigator.prototype, 'serviceWorker',"
        " { get() { throw new DOMException('', 'SecurityError'); } })"
    ),
    "a worker that does not start": (
        "const Own = Worker; globalThis.Worker = class extends Own { constructor() { super('nowhere.js'); } }"
    ),
    "neither workers nor WebAssembly": "delete globalThis.Worker; delete globalThis.WebAssembly",
}


def first_visit(opened: Visits, start: str, script: str = "") -> Page:
    """A page of its own, in which a script runs before the page's own; other than `opened` it waits for nothing."""
    page = opened._new_page((1366, 768), start=start)
    opened.alone.append(page.context)
    page.add_init_script(script)
    page.goto(start, wait_until="commit")
    return page


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_what_a_browser_refuses_does_not_keep_the_page_from_writing(
    opened, address, model, refusal
):
    settings = SamplingSettings(seed=42, max_length=30, min_length=0)
    page = first_visit(opened, address + fragment(**vars(settings)), refusal)
    expected = generate(model, OPENING, settings).sequences
    assert written(page) == [sequence.token_ids for sequence in expected]


class Faulty(site.Handler):
    """The site from a server that does not send the weights as it should."""

    fault = ""
    may_send: threading.Event

    def do_GET(self) -> None:
        if not self.path.partition("?")[0].endswith(("model.safetensors", "model.safetensors.js")):
            return super().do_GET()
        self.may_send.wait(PATIENCE / 1000)
        if self.fault == "missing":
            return self.send_error(404)
        if not self.fault:
            return super().do_GET()
        content = (BUNDLED_PATH / "model.safetensors").read_bytes()
        self.send_response(200)
        # Without its length half a file looks like a whole one.
        if self.fault == "gone half-way":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])


@pytest.fixture
def faulty(folder: Path) -> Iterator[tuple[str, type[Faulty]]]:
    handler = type("Here", (Faulty,), {"may_send": threading.Event()})
    handler.may_send.set()
    with serving(
        ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    ) as address:
        yield address, handler
        handler.may_send.set()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("missing", "ネットワークを確かめて"),
        ("gone half-way", "ネットワークを確かめて"),
        ("half", "壊れています（model.safetensors）"),
    ],
)
def test_weights_that_do_not_come_are_told_not_kept_and_come_another_time(
    opened, faulty, fault, told
):
    address, handler = faulty
    handler.fault = fault
    page = first_visit(opened, address + fragment(max_length=40, min_length=0))
    expect(page.locator("#progress")).to_contain_text(told)
    kept = "caches.open('yukiguni-data').then((cache) => cache.keys()).then((keys) => keys.map(({ url }) => url))"
    assert not any(url.endswith("model.safetensors") for url in page.evaluate(kept))
    page.get_by_label("prompt", exact=True).fill("山の中に")
    page.get_by_label("prompt", exact=True).blur()
    until(page, "decodeURIComponent(location.hash).includes('山の中に')")
    handler.fault = ""
    page.get_by_role("button", name="もう一度読み込む", exact=True).click()
    written(page)
    expect(texts(page).first).to_contain_text("山の中に")


def test_a_page_whose_script_does_not_come_says_what_to_do(opened, folder, tmp_path):
    here = tmp_path / "site"
    shutil.copytree(folder, here)
    for script in here.glob("page-*.js"):
        script.unlink()
    with serving(site.server(0, here, "127.0.0.1")) as start:
        page = first_visit(opened, start)
        expect(page.locator("#progress")).to_be_visible()
        expect(page.locator("#progress")).to_contain_text("読み込み直してください")
        expect(page.locator("#progress")).to_contain_text("reload the page")


def test_what_is_typed_and_pressed_while_the_model_loads_is_done_once_it_is_there(opened, faulty):
    address, handler = faulty
    handler.may_send.clear()
    page = first_visit(opened, address + fragment(max_length=40, min_length=0, seed=7))
    expect(page.locator("#progress")).to_contain_text("読み込んでいます")
    prompt = page.get_by_label("prompt", exact=True)
    prompt.fill("山の中に")
    slider(page, "top_k").press("ArrowLeft")
    page.get_by_role("button", name="続きを書く", exact=True).click()
    prompt.press("Control+Enter")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")
    handler.may_send.set()
    written(page)
    expect(texts(page).first).to_contain_text("山の中に")
    assert page.evaluate("[lab.run.settings.top_k, lab.run.settings.seed]") == [400, 7]


def test_too_little_memory_is_told_as_that(opened, address):
    script = "ReadableStreamDefaultReader.prototype.read = async () => { throw new RangeError('no memory'); }"
    page = first_visit(opened, address + fragment(), script)
    expect(page.locator("#progress")).to_contain_text("計算が止まりました（no memory）")
    expect(page.get_by_role("button", name="もう一度読み込む", exact=True)).to_be_visible()
    # The console has it too.
    assert set(opened.faults) == {"no memory"}
    opened.faults.clear()


def test_a_lesson_opens_though_the_disk_is_full(opened, folder, tmp_path):
    here = tmp_path / "site"
    shutil.copytree(folder, here)
    (here / "lessons").mkdir(exist_ok=True)
    (here / "lessons" / "index.html").write_text("<title>lesson</title>", encoding="utf-8")
    worker = here / "service-worker.js"
    full = (
        "Cache.prototype.put = async () => { throw new DOMException('', 'QuotaExceededError'); };\n"
    )
    worker.write_text(full + worker.read_text(encoding="utf-8"), encoding="utf-8")
    with serving(site.server(0, here, "127.0.0.1")) as start:
        page = first_visit(opened, start)
        until(page, "navigator.serviceWorker?.controller && 1")
        page.goto(f"{start}lessons/index.html")
        assert page.title() == "lesson"
