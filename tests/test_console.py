"""How commands end: `pytest tests/test_console.py`."""

import re
import subprocess
import sys

import pytest

from tools.project import ROOT, project_files

# Each command of the project: `python -m helpers.generate` and so on.
COMMANDS = [
    name
    for name in project_files()
    if re.match(r"(helpers|tools|benchmarks|training)/.*\.py", name)
    and (
        name.endswith("__main__.py")
        or re.search(r"^if __name__ ==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    )
]
# Run as a file, before anything is installed, or only to fill a file.
BY_THEMSELVES = {"tools/project.py", "tools/check_python.py"}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in BY_THEMSELVES])
def test_each_command_is_run_by_the_console(name: str):
    last = (ROOT / name).read_text(encoding="utf-8").rstrip().splitlines()[-1]
    assert last.strip().startswith("sys.exit(run("), f"{name}: end it with helpers.console.run"


PRINTS_AND_GOES_ON = """
import sys
from helpers.console import run

def main():
    for number in range(100_000):
        print(number, "雪国")
    return 3

sys.exit(run(main))
"""


@pytest.mark.process
@pytest.mark.parametrize(("reads", "status"), [(10, 141), (-1, 3)])
def test_a_command_ends_quietly_when_nobody_reads_on(reads: int, status: int):
    with subprocess.Popen(
        [sys.executable, "-c", PRINTS_AND_GOES_ON],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.read(reads)
        process.stdout.close()
        assert process.stderr.read().decode() == ""
    assert process.returncode == status


@pytest.mark.process
@pytest.mark.parametrize(
    "command", ["generate", "doctor", pytest.param("rehearse", marks=pytest.mark.slow)]
)
def test_a_readers_commands_end_quietly(command: str):
    options = {"generate": ["--max-length", "30"], "rehearse": ["--max-length", "30"]}
    with subprocess.Popen(
        [sys.executable, "-m", f"helpers.{command}", *options.get(command, [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read().decode() == ""
