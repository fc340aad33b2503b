"""Build lessons/*.py into executed notebooks: `python -m tools.build_lessons [LESSON ...]`."""

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellControlSignal
from nbformat import NotebookNode

from helpers.console import run
from tools import facts, pictures, way
from tools.check_notebooks import code_cells, difference, output_problems, varies, word_problems
from tools.execution import execute, make_workspace
from tools.lessons import (
    EDITIONS,
    PLACEHOLDER,
    build,
    lesson_sources,
    notebook_path,
    start_copy,
)
from tools.project import ROOT

# What a setup cell imports lies beside each notebook.
WAY_IN = "yukiguni.py"


def main(arguments: list[str]) -> int:
    """Build the named lessons, or all; nothing is written for one that does not run cleanly."""
    parser = argparse.ArgumentParser(prog="make lessons", description=__doc__)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 03_generate")
    parser.add_argument(
        "--fresh", action="store_true", help="keep no output of before: after new weights"
    )
    options = parser.parse_args(arguments)
    chosen = options.lessons
    sources = {source.stem: source for source in lesson_sources()}
    if unknown := sorted(set(chosen) - set(sources)):
        parser.error(
            f"no lesson {', '.join(unknown)}; there are {', '.join(sources) or 'none yet'}"
        )

    failed = False
    for name in chosen or sources:
        for edition in EDITIONS:
            start = time.monotonic()
            problems = build_and_write(sources[name], edition, fresh=options.fresh)
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


def build_and_write(
    source: Path, edition: str, root: Path = ROOT, fresh: bool = False
) -> list[str]:
    """Build, execute and write one edition, with and without outputs; returns what kept it from being written, if anything."""
    target = root / notebook_path(source, edition)
    committed = nbformat.read(target, as_version=4) if target.exists() else None
    try:
        notebook, problems = executed(source, edition)
        if problems := [*problems, *output_problems(notebook), *word_problems(notebook)]:
            return problems
        draw_pictures(notebook, committed)
    except (ValueError, RuntimeError, CellControlSignal) as error:
        return [str(error)]
    if committed and not fresh:
        keep_varying_outputs(notebook, committed)
    for path, copy in (
        (target, notebook),
        (root / notebook_path(source, edition, start=True), start_copy(notebook)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / WAY_IN, path.parent / WAY_IN)
        nbformat.validate(copy)
        nbformat.write(copy, path)
    return []


def executed(
    source: Path, edition: str, environment: Mapping[str, str] | None = None
) -> tuple[NotebookNode, list[str]]:
    """One edition, executed in a copy of the project, its prose filled in; and what in it does not hold.

    Its pictures are named and not drawn yet: the HTML of each stands in `notebook.pictures`.

    Raises:
        ValueError: if the source breaks a convention.
        RuntimeError: a CellExecutionError, if a cell raises.
    """
    notebook = build(source, edition, building=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        path = workspace / notebook_path(source, edition)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / WAY_IN, path.parent / WAY_IN)
        execute(notebook, path.parent, environment=environment)
    found = facts.gather(notebook)
    number_cells(notebook)
    return notebook, found["problems"] + fill_in(notebook, found, edition)


def number_cells(notebook: NotebookNode) -> None:
    """Count the code cells from 1 on, also the empty ones that an exercise is to be written into, which none executes."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number


def fill_in(notebook: NotebookNode, found: Mapping[str, Any], edition: str) -> list[str]:
    """Put what the executed lesson gave into its prose; returns what was never given, or is never used."""
    used: set[str] = set()
    notebook.pictures = {}

    def replace(match: re.Match[str]) -> str:
        name, *rest = match[1].split()
        used.add(rest[0] if name == "picture" else name)
        if name == "way":
            html, alt = way.drawing(edition, *rest), way.description(edition, *rest)
            width = way.WIDTH
        elif name == "picture" and rest[0] in found["pictures"]:
            name = rest[0]
            html, alt, width = found["pictures"][name]
        else:
            return found["fill"].get(name, match[0])
        place, label = pictures.shown(name, html, alt, width)
        notebook.pictures[label] = html, width
        return place

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PLACEHOLDER.sub(replace, cell.source)
    left = {
        m[0]
        for c in notebook.cells
        if c.cell_type == "markdown"
        for m in PLACEHOLDER.finditer(c.source)
    }
    unused = {*found["fill"], *found["pictures"]} - used
    return [f"{name} was not filled by the cells that were run" for name in sorted(left)] + [
        f"{name} is filled, and no prose uses it" for name in sorted(unused)
    ]


def draw_pictures(notebook: NotebookNode, committed: NotebookNode | None) -> None:
    """Put the bytes of each picture at the end of its cell; those of an unchanged one are kept."""
    known: dict[str, str] = {}
    for cell in committed.cells if committed else []:
        if cell.cell_type == "markdown":
            known |= pictures.definitions(cell.source)
    html = notebook.pop("pictures", {})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            labels = [label for label in html if f"][{label}]" in cell.source]
            lines = [
                f"[{label}]: {known.get(label) or pictures.draw(*html[label])}" for label in labels
            ]
            cell.source = "\n\n".join([cell.source, *lines])


def keep_varying_outputs(fresh: NotebookNode, committed: NotebookNode) -> None:
    """Take over what varies, if nothing but its values would change: a rebuild leaves no trace.

    All of it or nothing: one cell's numbers are quoted by the next, so they are of one run.
    """
    known = {cell.id: cell for cell in code_cells(committed)}
    for cell in code_cells(fresh):
        old = known.get(cell.id)
        if old is None or old.source != cell.source or difference(old, cell):
            return
    for cell in filter(varies, code_cells(fresh)):
        cell.outputs = known[cell.id].outputs
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
