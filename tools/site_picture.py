"""The READMEs' pictures of the lab in the browser, to be retaken when the model or the page has changed: `python -m tools.site_picture`."""

from __future__ import annotations

import sys
import threading

from playwright.sync_api import ViewportSize, expect, sync_playwright

from helpers.console import run
from tools.browser import FLAGS, find_browser
from tools.project import ROOT
from tools.site import build, server

SIZE = ViewportSize(width=1280, height=760)
# For each language the file, and how the page says that all is written.
PICTURES = {"ja-JP": ("site.png", "書き終えました"), "en-US": ("site-en.png", "Written")}
PATIENCE = 120_000


def main() -> None:
    running = server(0, build(), host="127.0.0.1")
    threading.Thread(target=running.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_browser()), args=FLAGS)
        for locale, (name, written) in PICTURES.items():
            page = browser.new_page(viewport=SIZE, locale=locale, color_scheme="light")
            page.goto(f"http://127.0.0.1:{running.server_port}/")
            expect(page.locator("#progress")).to_contain_text(written, timeout=PATIENCE)
            # The speed that stands beside it is this machine's own.
            page.evaluate("document.getElementById('progress').textContent = ''")
            page.screenshot(path=ROOT / "docs" / "images" / name)
            print(f"docs/images/{name}")
        browser.close()
    running.shutdown()


if __name__ == "__main__":
    sys.exit(run(main))
