"""The minutes that a class needs for each lesson, by one formula: `python -m tools.lesson_time [LESSON ...]`.

Counted on the Japanese notebooks as they are in the tree: 400 characters of prose a minute, 20 seconds a code cell,
800 characters of output a minute, 2 minutes a prediction, 4 an exercise, and once 5 to start the machines. What is
folded away (solutions, answers) is not counted, pictures neither.
"""

import re
import sys
from dataclasses import dataclass, fields
from html import unescape

import nbformat
from nbformat import NotebookNode

from helpers.console import run
from tools.check_notebooks import heading_levels, text_of
from tools.lessons import lesson_sources, notebook_path
from tools.pictures import without_definitions
from tools.project import ROOT

CLASS = ("01_install", "02_setup", "03_generate")
CLASS_MINUTES = 80  # of 90: ten are left to talk
START = 5


@dataclass
class Load:
    """What a part of a lesson asks of a reader."""

    characters: int = 0
    cells: int = 0
    output: int = 0
    predictions: int = 0
    exercises: int = 0

    @property
    def minutes(self) -> float:
        """The formula."""
        reading = self.characters / 400 + self.output / 800
        return reading + self.cells / 3 + 2 * self.predictions + 4 * self.exercises

    def __add__(self, other: "Load") -> "Load":
        return Load(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def load(notebook: NotebookNode) -> tuple[Load, Load]:
    """A lesson's core, and its sections tagged `more`, from such a heading to the next of its level or above."""
    core, more = Load(), Load()
    level = None
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and (levels := heading_levels(cell.source)):
            if level is not None and levels[0] <= level:
                level = None
            if level is None and "more" in tags:
                level = levels[0]
        part = core if level is None and "more" not in tags else more
        if "solution" in tags:
            continue
        if cell.cell_type == "markdown":
            part.characters += _visible(without_definitions(cell.source))
        elif "predict" in tags:
            part.predictions += 1
        elif "exercise" in tags:
            part.exercises += 1
        else:
            part.cells += 1
            part.output += sum(_visible(_shown(output)) for output in cell.outputs)
    return core, more


def _shown(output: NotebookNode) -> str:
    """What an output shows: the text beside HTML is for where there is no page."""
    return output.get("data", {}).get("text/html") or text_of(output)


def _visible(text: str) -> int:
    """The characters that a reader sees, without spaces."""
    text = re.sub(r"<details>.*?</details>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]+>", "", text))
    text = re.sub(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])|\]\([^)]*\)", "", text)
    return len(re.sub(r"[\s#*`|\[\]]|--+", "", text))


def main(names: list[str]) -> int:
    """Print a table; 1 if the lessons of a class take longer than they may."""
    sources = [source for source in lesson_sources() if not names or source.stem in names]
    if unknown := set(names) - {source.stem for source in sources}:
        sys.exit(f"no lesson {', '.join(sorted(unknown))}")
    print(
        f"{'minutes':20} {'core':>5} {'more':>5}   characters, cells, output, predictions, exercises"
    )
    whole = Load()
    for source in sources:
        path = ROOT / notebook_path(source, "ja")
        if not path.exists():
            print(f"{source.stem:20}    not built yet: make lessons LESSONS={source.stem}")
            continue
        notebook = nbformat.read(path, as_version=4)
        core, more = load(notebook)
        numbers = [getattr(core, field.name) for field in fields(core)]
        print(
            f"{source.stem:20} {core.minutes:5.1f} {more.minutes:5.1f}   {', '.join(map(str, numbers))}"
        )
        if source.stem in CLASS:
            whole += core
    if names:
        return 0
    minutes = whole.minutes + START
    print(
        f"{'01 + 02 + 03':20} {minutes:5.1f}         with {START} to start the machines; {CLASS_MINUTES} at most"
    )
    return int(minutes > CLASS_MINUTES)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
