"""The tests on the newest released versions and on the lowest that requirements.txt admits: `make compat`.

Makes .venv-newest and .venv-lowest, runs the tests in both, and writes what passed into docs/compat.md. "Newest"
leaves the upper bounds of requirements.txt out: a release that they exclude is what a maintainer wants to hear of.
uv resolves and installs, since pip cannot be asked for the lowest versions; uv reads its own settings from the
environment, such as UV_TORCH_BACKEND=cpu for PyTorch without CUDA.
"""

import argparse
import platform
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from helpers.console import run
from helpers.doctor import WIDGET_MAJORS
from tools.project import EXTRAS, ROOT

TABLE = ROOT / "docs" / "compat.md"
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
FAILED = ("failed", "error")
# It would hold the environment to constraints.txt, which these leave on purpose.
HELD_TO_PINS = "tests/test_requirements.py::test_what_the_installed_packages_need_is_pinned"


def readers_requirements() -> list[Requirement]:
    """What requirements.txt and the extra ctranslate2 ask for."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.split("#")[0].strip() for line in lines] + EXTRAS["ctranslate2"]
    return [Requirement(line) for line in lines if line]


def without_upper_bounds(requirement: Requirement) -> Requirement:
    """The same requirement, open upwards."""
    lower = [str(s) for s in requirement.specifier if s.operator in (">=", ">")]
    opened = Requirement(str(requirement))
    opened.specifier = SpecifierSet(",".join(lower))
    return opened


def wanted(name: str, torch: str | None) -> tuple[list[str], list[str]]:
    """The requirements and the constraints of an environment, "lowest" or "newest".

    Readers have no test tools: they stay at their pins beside the lowest versions. ipywidgets gets the browser packages
    that fit it; those that pip picks with version 7 show nothing.
    """
    readers, testers = readers_requirements(), [Requirement(line) for line in EXTRAS["test"]]
    constraints = [f"torch=={torch}"] if torch else []
    if name == "newest":
        return [str(without_upper_bounds(r)) for r in readers + testers], constraints
    tools = {canonicalize_name(tester.name) for tester in testers}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints += [pin for pin in pins if canonicalize_name(pin.partition("==")[0]) in tools]
    widgets = next(r for r in readers if r.name == "ipywidgets").specifier
    halves = next(m for m in reversed(WIDGET_MAJORS) if widgets.contains(f"{m['ipywidgets']}.999"))
    constraints += [f"{half}=={major}.*" for half, major in halves.items() if half != "ipywidgets"]
    return [str(r) for r in readers + testers], constraints


def home_of(name: str) -> Path:
    """Where an environment is made; its pins.txt and tests.xml stay there, too."""
    return ROOT / f".venv-{name}"


def install(name: str, torch: str | None, python: str) -> None:
    """Resolve the versions of an environment and make it, with this Python ("3.13" or a program's path).

    Raises:
        subprocess.CalledProcessError: if uv fails; it has said why.
    """
    home = home_of(name)
    # With pip: tests ask it what is installed.
    _uv("venv", "--quiet", "--clear", "--seed", "--python", python, str(home))
    requirements, constraints = wanted(name, torch)
    for file, lines in (("wanted.txt", requirements), ("fixed.txt", constraints)):
        (home / file).write_text("\n".join(lines), encoding="utf-8")
    how = ["--python", str(_python(home)), "--resolution", RESOLUTIONS[name], "--quiet"]
    given = [str(home / "wanted.txt"), "--constraint", str(home / "fixed.txt")]
    plain = ["--no-header", "--no-annotate", "--output-file", str(home / "pins.txt")]
    _uv("pip", "compile", *how, *given, *plain)
    _uv("pip", "install", "--quiet", "--python", str(_python(home)), "-r", str(home / "pins.txt"))


def run_tests(name: str, arguments: list[str]) -> None:
    """Run pytest in an environment; which tests fail is read from tests.xml afterwards."""
    home = home_of(name)
    (home / "arguments.txt").write_text(" ".join(arguments), encoding="utf-8")
    version = [str(_python(home)), "-c", "import platform; print(platform.python_version())"]
    python = subprocess.run(
        version, capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    (home / "python.txt").write_text(python, encoding="utf-8")
    (home / "tests.xml").unlink(missing_ok=True)
    report = f"--junitxml={home / 'tests.xml'}"
    command = [str(_python(home)), "-m", "pytest", "-q", "-p", "no:cacheprovider", report]
    subprocess.run([*command, "--deselect", HELD_TO_PINS, *arguments], cwd=ROOT)


@dataclass(frozen=True)
class Outcome:
    """What came of an environment: its versions, when it was tried, and each test's result."""

    python: str
    versions: dict[str, str]
    date: str
    arguments: str
    results: dict[tuple[str, str], str]  # (file, test): "passed", "failed", "error" or "skipped"

    @property
    def failures(self) -> list[tuple[str, str]]:
        return [test for test, result in self.results.items() if result in FAILED]


def outcome(name: str) -> Outcome | None:
    """What the last run in an environment left, or None if there was none."""
    home = home_of(name)
    if not (home / "tests.xml").is_file():
        return None
    pins = (home / "pins.txt").read_text(encoding="utf-8").split()
    versions: dict[str, str] = {
        canonicalize_name(n): v for n, _, v in (pin.partition("==") for pin in pins)
    }
    results = {}
    for case in ElementTree.parse(home / "tests.xml").iter("testcase"):
        kinds = {child.tag for child in case}
        kind = {"failure": "failed", "error": "error", "skipped": "skipped"}
        result = next((word for tag, word in kind.items() if tag in kinds), "passed")
        file = case.get("classname", "").removeprefix("tests.").partition(".")[0]
        results[f"{file}.py", case.get("name", "")] = result
    tried = datetime.fromtimestamp((home / "tests.xml").stat().st_mtime, UTC)
    arguments = (home / "arguments.txt").read_text(encoding="utf-8")
    python = (home / "python.txt").read_text(encoding="utf-8")
    return Outcome(python, versions, f"{tried:%Y-%m-%d}", arguments, results)


def page(outcomes: dict[str, Outcome], torch: str | None) -> str:
    """docs/compat.md: the versions, what passed in each file of tests, and what failed."""
    names = list(outcomes)
    lines = [
        "# Compatibility",
        "",
        "Written by `make compat`; do not edit. これは `make compat` が書くファイルです。",
        "",
        "`lowest` has the lowest versions that requirements.txt admits, `newest` the newest released ones, "
        "upper bounds left out. What these packages need in turn is as new as it can be.",
        "",
        f"{platform.system()} {platform.machine()}.",
    ]
    if torch:
        lines.append(f"torch was fixed at {torch} for both: other versions of it were not tried.")
    for name, tried in outcomes.items():
        tests = f"`pytest {tried.arguments}`" if tried.arguments else "all tests"
        lines.append(f"{name}: Python {tried.python}, {tests}, {tried.date}.")
    lines += ["", *_row("package", "requirements.txt", *names), *_rule(2 + len(names))]
    for requirement in readers_requirements():
        limits = ",".join(sorted(map(str, requirement.specifier), reverse=True))
        found = [tried.versions[canonicalize_name(requirement.name)] for tried in outcomes.values()]
        fits = requirement.specifier.contains
        shown = [v if fits(v, prereleases=True) else f"**{v}**, outside" for v in found]
        lines += _row(requirement.name, limits, *shown)
    lines += ["", *_row("tests", *names), *_rule(1 + len(names))]
    for file in sorted({file for tried in outcomes.values() for file, _ in tried.results}):
        lines += _row(file, *(_count(tried, file) for tried in outcomes.values()))
    lines += _row("**all**", *(_count(tried) for tried in outcomes.values()))
    for name, tried in outcomes.items():
        if tried.failures:
            lines += ["", f"## What failed on {name}", ""]
            lines += [f"- `{file}`: `{test}`" for file, test in tried.failures]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the command; returns 1 if a test failed, 2 if an environment could not be made or tried."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.compat",
        description=__doc__,
        epilog="What is not an option here goes to pytest, for example --ignore=tests/test_browser.py",
    )
    parser.add_argument("--torch", help="fix torch at this version, for example 2.13.0")
    parser.add_argument(
        "--python", default=sys.executable, help="the Python to try, for example 3.13 (this one)"
    )
    parser.add_argument("--only", choices=RESOLUTIONS, help="leave the other as it was last time")
    options, arguments = parser.parse_known_args()
    tried = [options.only] if options.only else list(RESOLUTIONS)
    for name in tried:
        try:
            install(name, options.torch, options.python)
        except subprocess.CalledProcessError:
            print(f"The {name} versions cannot be installed; uv says why above.", file=sys.stderr)
            return 2
        run_tests(name, arguments)
        if outcome(name) is None:
            print(f"pytest did not finish on the {name} versions.", file=sys.stderr)
            return 2
    outcomes = {name: found for name in RESOLUTIONS if (found := outcome(name))}
    text = page(outcomes, options.torch)
    TABLE.write_text(text, encoding="utf-8")
    print(text)
    return int(any(found.failures or not found.results for found in outcomes.values()))


def _count(tried: Outcome, file: str | None = None) -> str:
    counts = Counter(result for (f, _), result in tried.results.items() if file in (None, f))
    order = ("passed", "failed", "error", "skipped")
    said = [f"{counts[word]} {word}" for word in order if counts[word]]
    text = ", ".join(said) or "—"
    return f"**{text}**" if any(counts[word] for word in FAILED) else text


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _rule(columns: int) -> list[str]:
    return ["|" + "---|" * columns]


def _python(home: Path) -> Path:
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return home / folder / "python"


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(run(main))
