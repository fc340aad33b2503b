"""`make compat`: what it installs and what it reports: `pytest tests/test_compat.py`."""

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import compat

pytestmark = pytest.mark.process

TESTS = """
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.skip
def test_later(): pass
@pytest.fixture
def broken(): raise OSError("broken")
def test_worse(broken): pass
"""


def test_newest_is_open_upwards_and_lowest_is_not():
    newest = {r.name: r for r in map(Requirement, compat.wanted("newest", None)[0])}
    lowest = {r.name: r for r in map(Requirement, compat.wanted("lowest", None)[0])}
    assert newest.keys() == lowest.keys() >= {"torch", "transformers", "ctranslate2", "pytest"}
    for name in ("torch", "transformers", "ipywidgets"):
        assert newest[name].specifier.contains("99")
        assert not lowest[name].specifier.contains("99")
        assert not newest[name].specifier.contains("0.1")


def test_test_tools_stay_at_their_pins_beside_the_lowest_versions():
    constraints = [line.partition("==")[0] for line in compat.wanted("lowest", "2.13.0")[1]]
    assert {"torch", "pytest", "nbclient"} <= set(constraints)
    assert "transformers" not in constraints
    # ipywidgets 7.7.1 shows in JupyterLab with this one alone.
    assert "jupyterlab-widgets==1.*" in compat.wanted("lowest", None)[1]
    assert compat.wanted("newest", "2.13.0")[1] == ["torch==2.13.0"]


def test_the_page_tells_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Real tests with every kind of end, in an environment whose transformers we do not admit."""
    for name in ("requirements.txt", "constraints.txt"):
        (tmp_path / name).write_bytes((compat.ROOT / name).read_bytes())
    monkeypatch.setattr(compat, "ROOT", tmp_path)
    home = compat.home_of("newest")
    home.mkdir()
    versions = [
        f"{r.name}=={next(iter(r.specifier)).version}" for r in compat.readers_requirements()
    ]
    pins = [v if not v.startswith("transformers") else "transformers==6.1.0" for v in versions]
    (home / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_small.py").write_text(TESTS, encoding="utf-8")
    monkeypatch.setattr(compat, "_python", lambda home: Path(sys.executable))

    compat.run_tests("newest", ["tests/test_small.py"])
    outcome = compat.outcome("newest")
    assert {test: result for (_, test), result in outcome.results.items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_later": "skipped",
        "test_worse": "error",
    }
    page = compat.page({"newest": outcome}, "2.13.0")
    assert "| test_small.py | **1 passed, 1 failed, 1 error, 1 skipped** |" in page
    assert "- `test_small.py`: `test_bad`" in page and "`test_good`" not in page
    assert "**6.1.0**, outside" in page
    assert "torch was fixed at 2.13.0" in page
    assert "pytest tests/test_small.py" in page


def test_no_run_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compat, "ROOT", tmp_path)
    assert compat.outcome("lowest") is None
