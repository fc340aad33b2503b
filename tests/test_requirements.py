"""What is installed: `pytest tests/test_requirements.py`.

requirements.txt must leave Colab's packages as they are; constraints.txt must pin what is tested.
"""

import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from helpers import environment
from tools.project import EXTRAS, ROOT

# Absent from Colab, and without a say in any version there.
ADDED_ON_COLAB = {"matplotlib-fontja", "jupyterlab", "jupyterlab-language-pack-ja-JP"}


def lines_of(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def pins_of(path: Path) -> dict[str, Version]:
    """The versions in a file of `name==version` lines."""
    pairs = (line.split("==") for line in lines_of(path))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


READERS = [Requirement(line) for line in lines_of(ROOT / "requirements.txt")]
TESTERS = [Requirement(line) for extra in EXTRAS.values() for line in extra]
COLAB = pins_of(ROOT / "tests" / "data" / "colab-versions.txt")
TESTED = pins_of(ROOT / "constraints.txt")


@pytest.mark.parametrize("requirement", READERS, ids=lambda r: r.name)
def test_range_admits_what_colab_has(requirement: Requirement):
    if requirement.name in ADDED_ON_COLAB:
        assert requirement.name not in COLAB
    else:
        assert requirement.specifier.contains(COLAB[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("requirement", READERS, ids=lambda r: r.name)
def test_requirement_is_a_range(requirement: Requirement):
    operators = sorted(specifier.operator for specifier in requirement.specifier)
    assert operators == ["<", ">="], (
        f"{requirement}: write the lowest and the first excluded version"
    )


@pytest.mark.parametrize("requirement", READERS + TESTERS, ids=lambda r: r.name)
def test_tested_version_is_pinned_and_in_range(requirement: Requirement):
    assert requirement.specifier.contains(TESTED[canonicalize_name(requirement.name)])


def test_torch_pin_names_no_build():
    """A suffix such as +cpu would exclude every other build of the same version."""
    assert TESTED["torch"].local is None


def test_what_the_installed_packages_need_is_pinned():
    """Follow the installed requirements from ours: each package on the way has its pin."""
    waiting = [canonicalize_name(r.name) for r in READERS + TESTERS]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    # A torch with CUDA names the exact versions of these itself.
    unpinned = {n for n in seen - set(TESTED) if not re.match(r"nvidia|cuda|triton", n)}
    assert unpinned == set()


def test_a_lesson_on_colab_lacks_only_the_japanese_font(monkeypatch: pytest.MonkeyPatch):
    installed = [SimpleNamespace(name=name, version=str(COLAB[name])) for name in COLAB]
    monkeypatch.setattr(environment.metadata, "distributions", lambda: installed)
    assert [Requirement(line).name for line in environment.missing_requirements()] == [
        "matplotlib-fontja"
    ]


def test_of_two_copies_the_imported_one_counts(monkeypatch: pytest.MonkeyPatch):
    """As on Colab, where the system's own packages come last on the path."""
    copies = [SimpleNamespace(name="Py_Parsing", version=version) for version in ("2", "1")]
    monkeypatch.setattr(environment.metadata, "distributions", lambda: copies)
    assert environment.installed_versions() == {"py-parsing": "2"}


def test_nothing_is_missing_here():
    assert environment.missing_requirements() == []
