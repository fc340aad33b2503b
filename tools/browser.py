"""The browsers and the Japanese fonts that the tests need: found, installed, or named with the command that adds them.

`python -m tools.browser` is run by `make test`; the tests themselves only look.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.console import run

# Without a window there is a smaller one: the same engine, begun with a third of the processor time.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# Without these a browser in a container does not start, or downloads things on its own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PLAYWRIGHT_PATH = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as p: print(p.chromium.executable_path)"
)


def find_browser() -> Path | None:
    """A Chromium or Chrome that starts: the system's, or the one that Playwright has downloaded."""
    found = [shutil.which(name) for name in NAMES] + [*PLACES]
    for path in filter(None, found):
        if _starts(path):
            return Path(path)
    # In a process of its own: Playwright's synchronous interface refuses to run inside another.
    asked = subprocess.run(
        [sys.executable, "-c", _PLAYWRIGHT_PATH], capture_output=True, encoding="utf-8"
    )
    path = asked.stdout.strip()
    return Path(path) if path and _starts(path) else None


def find_firefox() -> Path | None:
    """A Firefox that starts: the site is tried in it too."""
    found = [shutil.which(name) for name in ("firefox-esr", "firefox")]
    return next((Path(path) for path in filter(None, found) if _starts(path)), None)


def find_webkit_driver() -> Path | None:
    """WebKit's driver with the screen it needs: the site is tried in it, as it is in Safari on an iPad."""
    driver = shutil.which("WebKitWebDriver")
    return Path(driver) if driver and shutil.which("Xvfb") else None


def has_japanese_font() -> bool:
    """Whether a browser here can draw Japanese; macOS and Windows always can."""
    if not sys.platform.startswith("linux"):
        return True
    if not shutil.which("fc-list"):
        return False
    listed = subprocess.run(
        ["fc-list", ":lang=ja"], capture_output=True, encoding="utf-8", check=True
    )
    return bool(listed.stdout.strip())


def main() -> int:
    """Make sure of both, say what was done, and fail with the command that adds what is missing."""
    apt = shutil.which("apt-get") is not None and os.geteuid() == 0
    if apt and not has_japanese_font():
        _run("apt-get", "update")
        _run(
            "apt-get", "install", "--yes", "fontconfig", "fonts-noto-cjk", "fonts-noto-color-emoji"
        )
    # Not each distribution has the smaller one.
    for package in ("chromium-headless-shell", "chromium"):
        if apt and not find_browser():
            _run("apt-get", "update")
            _run("apt-get", "install", "--yes", "--no-install-recommends", package)
    others = [("firefox-esr", find_firefox), ("webkit2gtk-driver", find_webkit_driver)]
    for package, find in others:
        if apt and not find():
            _run("apt-get", "update")
            _run("apt-get", "install", "--yes", "--no-install-recommends", package, "xvfb")
    if not find_browser():
        with_libraries = ["--with-deps"] if apt else []
        _run(sys.executable, "-m", "playwright", "install", *with_libraries, "chromium")
    browser, font = find_browser(), has_japanese_font()
    if browser:
        print(f"Browser for the tests: {browser}")
    else:
        print("The tests need Chromium or Chrome: sudo apt install chromium", file=sys.stderr)
    # Elsewhere Firefox may have another place, and WebKit has no driver.
    missing = [p for p, find in others if sys.platform.startswith("linux") and not find()]
    for package in missing:
        print(f"The site's tests need {package}: sudo apt install {package} xvfb", file=sys.stderr)
    if not font:
        print("The tests need a Japanese font: sudo apt install fonts-noto-cjk", file=sys.stderr)
    return 0 if browser and font and not missing else 1


def _starts(path: str) -> bool:
    if not os.access(path, os.X_OK):
        return False
    return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0


def _run(*command: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


if __name__ == "__main__":
    sys.exit(run(main))
