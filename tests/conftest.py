"""What test files share: language, threads, the browser they start, and how long each lesson took."""

import gc
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded, here and in every process that a test starts: small models lose more by waiting for a second
# thread than they gain, and other tests run beside them. A test that wants threads sets them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Texts are held to those of a CPU, also on a machine with a GPU.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest
from hypothesis import settings

from helpers.language import get_language, set_language
from tools.browser import FLAGS, find_browser
from tools.colab_environment import ENVIRONMENT, colab_versions, differences, installed_here

ROOT = Path(__file__).resolve().parent.parent
ON_COLABS_VERSIONS = Path(sys.prefix).resolve() == ENVIRONMENT
# For each save (`make check`): fewer examples of each property.
settings.register_profile("quick", max_examples=20)
# It holds on Colab's versions only.
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


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a kernel or a browser by the fixtures it asks for, and put all in the order in which workers take it.

    Kernels come first: they take longest, and at the end no worker is to wait for another. Browsers come last: Playwright
    keeps an event loop running in its thread until the session ends, and the lab, asked on a running loop, rightly leaves its
    work to it. Both are dealt out one by one, unless a file says that its tests stay together; those of all others do, as
    they share models.
    """
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if {"page", "browser"} & asked:
            item.add_marker("browser")
        if "offline" in asked:  # the environment of a lesson's kernel
            item.add_marker("kernel")
        if kind_of(item) not in ("browser", "kernel"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    long = {item.path for item in items if kind_of(item) == "process"}

    def place(item: pytest.Item) -> tuple[int, bool]:
        kind = kind_of(item)
        kind = "process" if kind == "quick" and item.path in long else kind
        together = item.get_closest_marker("xdist_group") is not None
        return ["kernel", "process", "quick", "browser"].index(kind), not together

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was imported stays: it is not searched for garbage again and again (a quarter of a second each time)."""
    gc.freeze()


def kind_of(test: pytest.Item | pytest.TestReport) -> str:
    """What takes a test's time."""
    return next(
        (kind for kind in ("browser", "kernel", "process") if kind in test.keywords), "quick"
    )


# A process or a port takes time, and `make check` is for each save: what starts one says so.
_STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "socket.bind"}
_SAYS_SO = {"process", "browser", "kernel", "slow", "alone", "server", "exact"}
_running: list[pytest.Item] = []


def _refuse_unmarked(event: str, arguments: tuple) -> None:
    if event in _STARTS and _running:
        test = _running[-1]
        if not any(mark.name in _SAYS_SO for mark in test.iter_markers()):
            raise AssertionError(
                f"{test.nodeid} starts a process or opens a port ({event}): mark it @pytest.mark.process."
            )


sys.addaudithook(_refuse_unmarked)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Know which test runs, for the hook above."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close the run with the time that each executed lesson took, and that of each kind of test on all workers together."""
    reports = [
        report
        for listed in terminalreporter.stats.values()
        for report in listed
        if isinstance(report, pytest.TestReport)
    ]
    lessons = {
        name: report.duration
        for report in reports
        if report.when == "call"
        for key, name in report.user_properties
        if key == "lesson"
    }
    kinds = Counter()
    for report in reports:
        kinds[kind_of(report)] += report.duration
    for title, times in (("lesson", lessons), ("kind of test", kinds)):
        if times:
            terminalreporter.section(f"time of each {title}")
            for name, seconds in sorted(times.items()):
                terminalreporter.write_line(f"{name:24} {seconds:6.1f} s")
