"""Build lessons/*.py into executed notebooks: `python -m tools.build_lessons [LESSON ...]`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient.exceptions import CellControlSignal
from nbformat import NotebookNode

from tools.check_notebooks import code_cells, difference, output_problems, varies
from tools.execution import execute, make_workspace
from tools.lessons import EDITIONS, build, lesson_sources, notebook_path
from tools.project import ROOT


def main(arguments: list[str]) -> int:
    """Build the named lessons, or all; nothing is written for one that does not run cleanly."""
    parser = argparse.ArgumentParser(prog="make lessons", description=__doc__)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 03_generate")
    chosen = parser.parse_args(arguments).lessons
    sources = {source.stem: source for source in lesson_sources()}
    if unknown := sorted(set(chosen) - set(sources)):
        parser.error(
            f"no lesson {', '.join(unknown)}; there are {', '.join(sources) or 'none yet'}"
        )

    failed = False
    for name in chosen or sources:
        for edition in EDITIONS:
            start = time.monotonic()
            problems = build_and_write(sources[name], edition)
            failed |= bool(problems)
            path = notebook_path(sources[name], edition)
            print(
                f"{path}: {'not written' if problems else 'built'}, "
                f"{time.monotonic() - start:.1f} s",
                *problems,
                sep="\n  ",
                flush=True,
            )
    return int(failed)


def build_and_write(source: Path, edition: str, root: Path = ROOT) -> list[str]:
    """Build, execute and write one edition; returns what stood in the way, empty if written."""
    path = notebook_path(source, edition)
    try:
        notebook = build(source, edition)
        with tempfile.TemporaryDirectory() as folder:
            workspace = make_workspace(Path(folder))
            execute(notebook, (workspace / path).parent)
    except (ValueError, RuntimeError, CellControlSignal) as error:
        return [str(error)]
    if problems := output_problems(notebook):
        return problems
    target = root / path
    if target.exists():
        keep_varying_outputs(notebook, nbformat.read(target, as_version=4))
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, target)
    return []


def keep_varying_outputs(fresh: NotebookNode, committed: NotebookNode) -> None:
    """Take over what varies, if nothing but its values would change: a rebuild leaves no trace."""
    known = {cell.id: cell for cell in code_cells(committed)}
    for cell in filter(varies, code_cells(fresh)):
        if cell.id in known and not difference(known[cell.id], cell):
            cell.outputs = known[cell.id].outputs
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
