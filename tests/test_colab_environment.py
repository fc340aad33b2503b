"""How the environment with Colab's versions is made: `pytest tests/test_colab_environment.py`.

What it is then used for: the last stage of `make test`.
"""

import platform
import subprocess
import sys
import venv
from pathlib import Path

import conftest
import pytest
from test_setup_cell import wheel

from tools import colab_environment

pytestmark = pytest.mark.process


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python of an empty environment; there are wheels of some versions of three packages."""
    for version in ("1.0", "1.2", "3.0"):
        for name in ("yukiguni_exact", "yukiguni_below", "yukiguni_above"):
            wheel(tmp_path, name, version, "yukiguni_other>=9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    venv.create(tmp_path / "environment", symlinks=True)
    return tmp_path / "environment" / "bin" / "python"


def versions_in(python: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "--python", str(python), "freeze"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split("==") for line in listed.split())


def test_the_version_asked_for_or_the_nearest(environment: Path):
    """And no more than that: what a package wants of others is not heard, as Colab's own do not all agree."""
    asked = {"yukiguni-exact": "1.0", "yukiguni-below": "2.0", "yukiguni-above": "0.5"}
    nearest = colab_environment.install(asked, environment)
    assert nearest == ["yukiguni-below", "yukiguni-above"]
    assert versions_in(environment) == {
        "yukiguni_exact": "1.0",
        "yukiguni_below": "1.2",
        "yukiguni_above": "3.0",
    }


def test_what_cannot_be_had_at_all_is_said(environment: Path):
    with pytest.raises(RuntimeError, match="No matching distribution found for yukiguni-absent"):
        colab_environment.install({"yukiguni-absent": "1.0"}, environment)


def test_a_version_that_is_not_colabs_is_told():
    wrong = colab_environment.colab_versions() | {"transformers": "5.99"}
    del wrong["peft"]
    lines = [line.split(" on ")[0] for line in colab_environment.differences(wrong)]
    assert [line for line in lines if not line.startswith("Python:")] == [
        "peft: missing here, 0.20.0",
        "transformers: 5.99 here, 5.15.0",
    ]


@pytest.mark.parametrize(
    ("python", "lines"), [((3, 11, 7), ["Python: 3.11 here, 3.13 on Colab"]), ((3, 13, 1), [])]
)
def test_another_python_is_told(monkeypatch, python: tuple[int, ...], lines: list[str]):
    monkeypatch.setattr(sys, "version_info", python)
    assert colab_environment.differences(colab_environment.colab_versions()) == lines


def test_the_header_tells_what_is_there_and_what_is_missing(monkeypatch):
    """Also where the environment lacks a package: the run is to say so, and not to end before it began."""
    installed = colab_environment.colab_versions()
    del installed["peft"]
    monkeypatch.setattr(conftest, "ON_COLABS_VERSIONS", True)
    monkeypatch.setattr(conftest, "installed_here", lambda: installed)
    first, *rest = conftest.pytest_report_header()
    assert f"Python {platform.python_version()}" in first
    assert all(f"{name} {version}" in first for name, version in installed.items())
    assert "peft" not in first and "peft: missing here, 0.20.0 on Colab" in rest


def test_what_acts_by_its_presence_is_there_too():
    """peft asks for torchao although nobody imports it; Colab has one that its peft refuses."""
    assert colab_environment.colab_versions()["torchao"] == "0.10.0"
