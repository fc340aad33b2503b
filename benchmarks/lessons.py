"""Each lesson, executed from its first cell to its last: `python -m benchmarks.lessons`.

Wall time, and the most memory that its kernel held. On the bundled model, offline, in a copy of the project, as
`make lessons` does. Reading and exercises are not in it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import fresh, in_turn, in_words, machine, spread
from helpers.console import run


def measure(stem: str) -> dict[str, float]:
    """Execute a lesson: seconds with its kernel's start, and the kernel's peak in GB. Not on Windows."""
    import resource

    from tools.execution import execute, make_workspace
    from tools.lessons import build, lesson_sources, notebook_path

    source = next(source for source in lesson_sources() if source.stem == stem)
    notebook = build(source, "ja")
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "copy")
        start = time.perf_counter()
        execute(notebook, (workspace / notebook_path(source, "ja")).parent)
        seconds = time.perf_counter() - start
    # The kernel has ended: it is the largest process that this one waited for. Kilobytes, on a Mac bytes.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": seconds, "peak_gb": peak * (1 if sys.platform == "darwin" else 1024) / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    from tools.lessons import lesson_sources

    ways = {
        source.stem: (lambda stem=source.stem: fresh("benchmarks.lessons", "--child", stem))
        for source in lesson_sources()
    }
    rows = in_turn(ways, options.runs, "lesson")
    print(f"\n### The lessons\n\n{machine()}\n\n| lesson | seconds | peak, GB |\n|---|---|---|")
    for name, runs in rows.items():
        seconds = in_words([run["seconds"] for run in runs], digits=1)
        print(f"| {name} | {seconds} | {spread([run['peak_gb'] for run in runs])['median']:.2f} |")


if __name__ == "__main__":
    sys.exit(run(main))
