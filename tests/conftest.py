"""What test files share: language, threads, the browser they start, and how long each lesson took."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.language import get_language, set_language
from tools.browser import FLAGS, find_browser
from tools.colab_environment import ENVIRONMENT, colab_versions, differences, installed_here

ROOT = Path(__file__).resolve().parent.parent
ON_COLABS_VERSIONS = Path(sys.prefix).resolve() == ENVIRONMENT
# It holds there only: `make test-colab`.
collect_ignore = [] if ON_COLABS_VERSIONS else ["test_colab.py"]


def pytest_report_header() -> list[str]:
    """On Colab's versions: all that are really there, and where they are not Colab's."""
    if not ON_COLABS_VERSIONS:
        return []
    installed = installed_here()
    listed = ", ".join(
        f"{name} {installed[name]}" for name in colab_versions() if name in installed
    )
    return [
        f"Google Colab's versions: Python {platform.python_version()}, {listed}",
        "except",
        *differences(installed),
    ]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """pytest-playwright's launch arguments, with a browser that this machine has."""
    browser = find_browser()
    if browser is None:
        pytest.fail("No Chromium or Chrome here: python -m tools.browser adds one.")
    return {**browser_type_launch_args, "executable_path": str(browser), "args": FLAGS}


@pytest.fixture
def english() -> Iterator[None]:
    """Messages are in English, whatever this machine speaks."""
    before = get_language()
    set_language("en")
    yield
    set_language(before)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums are made in one order, and small models do not wait for a second thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop running in this thread until the session ends,
    and the lab, asked on a running loop, rightly leaves its work to that loop."""
    items.sort(key=lambda item: item.path.name == "test_browser.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close the run with the time that each executed lesson took."""
    times = [
        (report.duration, name)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for key, name in report.user_properties
        if key == "lesson"
    ]
    if times:
        terminalreporter.section("time of each lesson")
        for seconds, name in sorted(times, key=lambda row: row[1]):
            terminalreporter.write_line(f"{name:24} {seconds:6.1f} s")
