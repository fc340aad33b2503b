"""The tests in their tiers, and where the time went: `python -m tools.tests check`, or `test`.

`check` is for each save: lint, types, and what starts no process, browser or kernel. `test` is everything but the
real vLLM (`make test-server`), the long exactness run of the site (`make test-exact`) and what `test-all` adds: what is
rare and takes long.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from helpers.console import run
from tools import processors
from tools.colab_environment import ENVIRONMENT
from tools.project import ROOT

PYTEST = ["-m", "pytest", "-q", "--no-header", "--durations=5"]
# tests/conftest.py says which tests stay with one worker. The smallest machines have two cores; where tests wait for
# browsers and kernels, a third worker fills them.
SIDE_BY_SIDE = ["--dist", "loadgroup", "--no-loadscope-reorder", "-n", "2"]
WITH_WAITING = [*SIDE_BY_SIDE[:-1], "3"]
ELSEWHERE = "not (server or exact or slow)"
AS_ANOTHER = "processor and not (process or alone)"
# Where Python may keep nothing compiled, each worker, kernel and command would compile the tests and helpers again.
COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}


class Stage(NamedTuple):
    """One command of a tier, run by this Python or by the one with Colab's versions."""

    name: str
    command: list[str]
    on_colabs_versions: bool = False
    environment: Mapping[str, str] = MappingProxyType({})


LINT = [
    Stage("lint", ["-m", "ruff", "check", "."]),
    Stage("format", ["-m", "ruff", "format", "--check", "."]),
    Stage("types", ["-m", "mypy", "--num-workers", "2"]),
]


def marked(mark: str) -> list[str]:
    """The files with tests of this mark: to collect all files takes each worker longer than some marks' tests."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    having = [file for file in tests if f"mark.{mark}" in file.read_text("utf-8")]
    return [file.relative_to(ROOT).as_posix() for file in having]


QUICK = f"not (process or browser or kernel or alone) and {ELSEWHERE}"


def as_kinds(kinds: Sequence[processors.Kind]) -> list[Stage]:
    """What can differ between processors, on this one playing each of these kinds."""
    return [
        Stage(
            f"as on {kind.name}",
            [*PYTEST, *SIDE_BY_SIDE, "-m", f"{AS_ANOTHER} and {ELSEWHERE}", *marked("processor")],
            environment=kind.environment,
        )
        for kind in kinds
    ]  # fmt: skip


TIERS = {
    "check": [
        *LINT,
        Stage("quick tests", [*PYTEST, *SIDE_BY_SIDE, "-m", QUICK, "--hypothesis-profile=quick"]),
    ],
    "test": [
        *LINT,
        Stage("browsers", ["-m", "tools.browser"]),
        # What is executed on Colab's versions is not executed here as well.
        Stage("tests", [*PYTEST, *WITH_WAITING, "-m", f"not (alone or kernel and colab) and {ELSEWHERE}"]),
        # Neither memory nor time is measured beside another test.
        Stage("alone", [*PYTEST, "-p", "no:xdist", "-m", f"alone and {ELSEWHERE}", *marked("alone")]),
        # The oldest kind lacks most: those between it and this machine's own wait for `test-all`.
        *as_kinds(processors.playable()[:1]),
        Stage(
            "Colab's versions",
            [*PYTEST, *WITH_WAITING, "-m", f"colab and {ELSEWHERE}", *marked("colab")],
            on_colabs_versions=True,
        ),
    ],
    "test-all": [
        Stage("slow tests", [*PYTEST, "-p", "no:xdist", "-m", "slow and not (colab or server or exact)"]),
        *as_kinds(processors.playable()[1:]),
        Stage(
            "all on Colab's",
            [*PYTEST, *WITH_WAITING, "-m", "browser or colab and slow", "tests/test_browser.py", *marked("colab")],
            on_colabs_versions=True,
        ),
    ],
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run a tier's stages, all of them even if one fails, and say how long each took."""
    parser = argparse.ArgumentParser(prog="python -m tools.tests", description=__doc__)
    parser.add_argument("tier", choices=TIERS)
    chosen = parser.parse_args(arguments)
    done: list[tuple[Stage, float, int]] = []
    for stage in TIERS[chosen.tier]:
        print(f"\n== {stage.name}", flush=True)
        start = time.monotonic()
        python = ENVIRONMENT / "bin" / "python" if stage.on_colabs_versions else sys.executable
        environment = {**os.environ, **COMPILED_ONCE, **stage.environment}
        code = subprocess.run([str(python), *stage.command], cwd=ROOT, env=environment).returncode
        done.append((stage, time.monotonic() - start, code))
    print(f"\n== where the time of make {chosen.tier} went")
    for stage, seconds, code in done:
        print(f"{stage.name:24}{seconds:8.1f} s  {'ok' if code == 0 else f'FAILED ({code})'}")
    if chosen.tier == "test" and (missing := processors.not_playable()):
        print(
            f"not tested here, as this machine cannot play such a processor: {', '.join(missing)}"
        )
    print(f"{'in all':24}{sum(seconds for _, seconds, _ in done):8.1f} s")
    return int(any(code for _, _, code in done))


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
