"""Wall time of each lesson, executed from its first cell to its last: `python -m benchmarks.lessons`.

On the bundled model, offline, in a copy of the project, as `make lessons` does. Reading and exercises are not in it.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.measure import in_turn, in_words, machine


def seconds_of(source: Path, workspace: Path) -> float:
    """Seconds to execute a lesson, its kernel's start included."""
    from tools.execution import execute
    from tools.lessons import build, notebook_path

    notebook = build(source, "ja")
    folder = (workspace / notebook_path(source, "ja")).parent
    start = time.perf_counter()
    execute(notebook, folder)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    from tools.execution import make_workspace
    from tools.lessons import lesson_sources

    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "copy")
        ways = {
            source.stem: (lambda source=source: seconds_of(source, workspace))
            for source in lesson_sources()
        }
        rows = in_turn(ways, options.runs, "lesson")
    print(f"\n### Wall time of the lessons\n\n{machine()}\n\n| lesson | seconds |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {in_words(seconds, digits=1)} |")


if __name__ == "__main__":
    main()
