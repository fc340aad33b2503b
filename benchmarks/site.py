"""The lab in the browser, in headless Chromium: `python -m benchmarks.site`.

The site is built and served by this machine. Measured are the way from the address to the first token on the page, tokens a
second for one text and for three, from a slider to its distribution, the bytes that came over HTTP, and how long the page
itself was held up while it wrote. It ends with 1 where a figure has left its limit.
"""

import argparse
import json
import statistics
import sys
import threading

from playwright.sync_api import Browser, sync_playwright

from benchmarks.measure import ROOT, machine
from helpers import BUNDLED_PATH, OPENING_LINE
from helpers.console import run
from tools import site
from tools.browser import FLAGS, find_browser

# The figures that are promised: (limit, whether it is a least or a most).
LIMITS = {
    "first token, s": (3.0, "most"),
    "one text, tokens/s": (100.0, "least"),
    "three texts, tokens/s": (200.0, "least"),
    "slider to distribution, ms": (16.0, "most"),
    "beside the weights, MB": (2.0, "most"),
}
# The page's own clock, from the address on; its policy allows no script from outside, so it is asked before the page loads.
SEEN = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("#texts")?.textContent.length) return;
  globalThis.seen = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
ENGINE = """
async ([prompt, runs]) => {
  const model = await engine.openModel(), ids = model.tokenize(prompt).ids, speed = { 1: [], 3: [] };
  let held = 0, last = performance.now(), counting = true;
  const tick = () => { const now = performance.now(); held = Math.max(held, now - last); last = now; if (counting) setTimeout(tick); };
  for (let run = 0; run <= runs; run++)
    for (const texts of [1, 3]) {
      let tokens = 0;
      const start = performance.now();
      if (run === 1 && texts === 1) { last = start; tick(); }
      await model.generate(ids, { seed: run, num_return_sequences: texts, min_length: 100 }, { onToken: () => tokens++ });
      if (run) speed[texts].push(tokens / (performance.now() - start) * 1000);
    }
  counting = false;
  const logits = await model.logits(ids), slider = [];
  for (let top_k = 1; top_k <= 50; top_k++) {
    const start = performance.now();
    model.applySettings(logits, ids, { top_k: top_k * 100 }).head(20);
    slider.push(performance.now() - start);
  }
  return { kind: model.info.kind, speed, slider, held };
}
"""


def first_token(browser: Browser, address: str) -> tuple[float, int]:
    """Seconds from the address to the first token on the page, and the bytes that came."""
    page = browser.new_page()
    lengths: list[int] = []
    page.on("response", lambda r: lengths.append(int(r.headers.get("content-length", 0))))
    page.add_init_script(SEEN)
    page.goto(address)
    while not (milliseconds := page.evaluate("globalThis.seen")):
        page.wait_for_timeout(20)
    page.wait_for_load_state("networkidle")
    page.close()
    return milliseconds / 1000, sum(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    whole = site.build()
    alone = site.build(ROOT / "tests" / "data" / "site_engine", site.SITE.with_name("site-engine"))
    figures: dict[str, float] = {}
    with (
        site.server(0, whole, "127.0.0.1") as pages,
        site.server(0, alone, "127.0.0.1") as engine,
        sync_playwright() as playwright,
    ):
        for server in (pages, engine):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        program = find_browser()
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        starts = [
            first_token(browser, f"http://127.0.0.1:{pages.server_port}/") for _ in range(runs)
        ]
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{engine.server_port}/")
        found = page.evaluate(ENGINE, [OPENING_LINE, runs])
        version = browser.version
        browser.close()
        for server in (pages, engine):
            server.shutdown()
    weights = (BUNDLED_PATH / "model.safetensors").stat().st_size
    figures["first token, s"] = statistics.median(seconds for seconds, _ in starts)
    figures["one text, tokens/s"] = statistics.median(found["speed"]["1"])
    figures["three texts, tokens/s"] = statistics.median(found["speed"]["3"])
    figures["slider to distribution, ms"] = statistics.median(found["slider"])
    figures["beside the weights, MB"] = (starts[0][1] - weights) / 1e6
    figures["page held up while writing, ms"] = found["held"]
    print(machine())
    print(f"Chromium {version}, {found['kind']}, medians of {runs}")
    print(json.dumps(figures, indent=1))
    beyond = [
        name
        for name, (limit, side) in LIMITS.items()
        if (figures[name] < limit if side == "least" else figures[name] > limit)
    ]
    if beyond:
        sys.exit(f"beyond the limit: {', '.join(beyond)}")


if __name__ == "__main__":
    sys.exit(run(main))
