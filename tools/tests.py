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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, NamedTuple

from helpers.console import run
from tools import processors
from tools.colab_environment import ENVIRONMENT
from tools.project import ROOT

PYTEST = ["-m", "pytest", "-q", "--no-header", "--durations=5"]
# tests/conftest.py says which tests stay with one worker. The smallest machines have two cores; where tests wait for
# browsers and kernels, two more workers fill them.
SIDE_BY_SIDE = ["--dist", "loadgroup", "--no-loadscope-reorder", "-n", "2"]
WITH_WAITING = [*SIDE_BY_SIDE[:-1], "4"]
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
    beside: bool = False  # runs at the same time as the stage before it


LINT = [
    Stage("lint", ["-m", "ruff", "check", "."]),
    Stage("format", ["-m", "ruff", "format", "--check", "."]),
]
TYPES = Stage("types", ["-m", "mypy", "--num-workers", "2"])


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
        TYPES,
        Stage("quick tests", [*PYTEST, *SIDE_BY_SIDE, "-m", QUICK, "--hypothesis-profile=quick"]),
    ],
    "test": [
        *LINT,
        Stage("browsers", ["-m", "tools.browser"]),
        # What is executed on Colab's versions is not executed here as well.
        Stage("tests", [*PYTEST, *WITH_WAITING, "-m", f"not (alone or kernel and colab) and {ELSEWHERE}"]),
        # Neither memory nor time is measured beside another test.
        Stage("alone", [*PYTEST, "-p", "no:xdist", "-m", f"alone and {ELSEWHERE}", *marked("alone")]),
        Stage(
            "Colab's versions",
            [*PYTEST, *SIDE_BY_SIDE, "-m", f"colab and {ELSEWHERE}", *marked("colab")],
            on_colabs_versions=True,
        ),
        # The oldest kind lacks most: those between it and this machine's own wait for `test-all`.
        *(kind._replace(beside=True) for kind in as_kinds(processors.playable()[:1])),
        TYPES._replace(beside=True),
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


def together(stages: Sequence[Stage]) -> list[list[Stage]]:
    """The stages in order, in a list each with those that run beside it."""
    first = [i for i, stage in enumerate(stages) if not stage.beside]
    return [[*stages[i:j]] for i, j in pairwise([*first, len(stages)])]


def run_together(stages: Sequence[Stage]) -> list[tuple[Stage, float, int]]:
    """Run stages at the same time; returns how long each took, in seconds, and its exit status.

    What the first one says is seen as it comes, and that of the others when all have ended.
    """

    def run_one(stage: Stage, output: IO[bytes] | None) -> tuple[Stage, float, int]:
        start = time.monotonic()
        python = ENVIRONMENT / "bin" / "python" if stage.on_colabs_versions else sys.executable
        done = subprocess.run(
            [str(python), *stage.command],
            cwd=ROOT,
            env={**os.environ, **COMPILED_ONCE, **stage.environment},
            stdout=output,
            stderr=output,
        )
        return stage, time.monotonic() - start, done.returncode

    print(f"\n== {', '.join(stage.name for stage in stages)}", flush=True)
    with ThreadPoolExecutor() as pool, ExitStack() as files:
        kept = [files.enter_context(TemporaryFile()) for _ in stages[1:]]
        done = [*pool.map(run_one, stages, [None, *kept])]
        for stage, output in zip(stages[1:], kept, strict=True):
            output.seek(0)
            print(f"\n== {stage.name}\n{output.read().decode(errors='replace')}", flush=True)
    return done


def main(arguments: list[str]) -> int:
    """Run a tier's stages, all of them even if one fails, and say how long each took."""
    parser = argparse.ArgumentParser(prog="python -m tools.tests", description=__doc__)
    parser.add_argument("tier", choices=TIERS)
    chosen = parser.parse_args(arguments)
    begun, done = time.monotonic(), []
    for stages in together(TIERS[chosen.tier]):
        done += run_together(stages)
    print(f"\n== where the time of make {chosen.tier} went")
    for stage, seconds, code in done:
        print(f"{stage.name:24}{seconds:8.1f} s  {'ok' if code == 0 else f'FAILED ({code})'}")
    if chosen.tier == "test" and (missing := processors.not_playable()):
        print(
            f"not tested here, as this machine cannot play such a processor: {', '.join(missing)}"
        )
    print(f"{'in all':24}{time.monotonic() - begun:8.1f} s")
    return int(any(code for _, _, code in done))


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
