"""All benchmarks, one after another: `make bench`, or `python -m benchmarks --runs 1` for a quick look.

With gpt-1b's shape it takes about an hour on two cores, 8 GB of memory and 10 GB of disk for random weights and their
conversions; `--shapes small xsmall aozora-mini` leaves the large ones out.
"""

import argparse
import subprocess
import sys

from benchmarks.measure import ROOT, SHAPE_NAMES
from helpers.console import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", choices=SHAPE_NAMES, default=SHAPE_NAMES)
    options = parser.parse_args()
    runs = ["--runs", str(options.runs)]
    commands = []
    for shape in reversed(options.shapes):
        commands.append(["cpu_generate", "--shape", shape, *runs])
        commands.append(["weight_layout", "--shape", shape, *runs])
        commands.append(["gpu_generate", "--shape", shape, *runs])
    largest = options.shapes[0]
    commands += [
        ["loading", "--shape", largest, *runs],
        ["long_prompt", "--shape", largest, *runs],
        ["int8_bits"],
        ["start_up", *runs],
        ["slider_to_picture"],
        ["site", *runs],
        ["lessons", *runs],
    ]
    failed = []
    for module, *arguments in commands:
        print(f"\n$ python -m benchmarks.{module} {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(module)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    sys.exit(run(main))
