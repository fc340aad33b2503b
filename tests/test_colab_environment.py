"""How the environment with Colab's versions is made: `pytest tests/test_colab_environment.py`.

What it is then used for is `make test-colab`.
"""

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from test_setup_cell import wheel

from tools import colab_environment


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
    assert [line.split(" on ")[0] for line in colab_environment.differences(wrong)] == [
        "peft: missing here, 0.20.0",
        "transformers: 5.99 here, 5.15.0",
    ]
