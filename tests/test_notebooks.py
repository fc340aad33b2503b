"""The lessons: `pytest tests/test_notebooks.py` (one lesson: `-k 03_generate`).

Each lesson is executed once, offline, in a copy, and its outputs are compared with those in git;
what else must hold for a notebook is read off both editions without executing them.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tools.check_notebooks import (
    code_cells,
    comment_problems,
    differences,
    heading_levels,
    metadata_problems,
    output_problems,
    prose_problems,
)
from tools.execution import execute, make_workspace
from tools.lessons import EDITIONS, build, lesson_sources, notebook_path
from tools.project import ROOT

LESSONS = lesson_sources()
# PYTHONPATH of a lesson's kernel: what lies here cuts it off from the network.
OFFLINE = Path(__file__).parent / "offline"

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
each_edition = pytest.mark.parametrize("edition", EDITIONS)


def read(lesson: Path, edition: str) -> NotebookNode:
    """A notebook as it is in the tree."""
    return nbformat.read(ROOT / notebook_path(lesson, edition), as_version=nbformat.NO_CONVERT)


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def test_the_foundation_lessons_are_there():
    names = [lesson.stem for lesson in LESSONS]
    assert names[:4] == ["01_install", "02_setup", "03_generate", "04_gpu"]


def test_there_is_no_notebook_without_a_source():
    built = {notebook_path(lesson, edition) for lesson in LESSONS for edition in EDITIONS}
    found = {p.relative_to(ROOT).as_posix() for p in (ROOT / "notebooks").rglob("*.ipynb")}
    assert {path for path in found if ".ipynb_checkpoints" not in path} == built


@each_lesson
@pytest.mark.timeout(600)
def test_lesson_runs_and_shows_what_is_in_git(
    lesson: Path, tmp_path: Path, record_property: Callable[[str, object], None]
):
    record_property("lesson", lesson.stem)
    log = tmp_path / "network.txt"
    log.touch()
    search = os.pathsep.join([str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])])
    notebook = without_outputs(read(lesson, "ja"))
    workspace = make_workspace(tmp_path / "copy")

    folder = (workspace / notebook_path(lesson, "ja")).parent
    execute(notebook, folder, environment={"PYTHONPATH": search, "OFFLINE_LOG": str(log)})

    assert output_problems(notebook) == []
    assert log.read_text(encoding="utf-8") == "", "the lesson reached for the network"
    problems = differences(read(lesson, "ja"), notebook)
    assert not problems, "\n".join([f"make lessons LESSONS={lesson.stem}", *problems])


@each_edition
@each_lesson
def test_notebook_is_what_its_source_builds(lesson: Path, edition: str):
    committed, built = without_outputs(read(lesson, edition)), build(lesson, edition)
    remedy = f"make lessons LESSONS={lesson.stem}"
    assert [c.source for c in committed.cells] == [c.source for c in built.cells], remedy
    assert committed == built, remedy


@each_edition
@each_lesson
def test_notebook_is_clean(lesson: Path, edition: str):
    notebook = read(lesson, edition)
    nbformat.validate(notebook)
    assert metadata_problems(notebook) == []
    assert output_problems(notebook) == []
    assert comment_problems(notebook) == []
    assert prose_problems(notebook, edition) == []


@each_lesson
def test_editions_differ_in_one_code_line(lesson: Path):
    japanese, english = read(lesson, "ja"), read(lesson, "en")
    lines = [
        [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
        for notebook in (japanese, english)
    ]
    assert len(lines[0]) == len(lines[1])
    different = [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]]
    assert different == [('LANG = "ja"', 'LANG = "en"')]
    assert [c.id for c in japanese.cells] == [c.id for c in english.cells]
    assert [c.metadata for c in japanese.cells] == [c.metadata for c in english.cells]


@each_lesson
def test_prose_says_the_same_in_both_languages(lesson: Path):
    pairs = zip(read(lesson, "ja").cells, read(lesson, "en").cells, strict=True)
    for japanese, english in pairs:
        assert japanese.cell_type == english.cell_type
        if japanese.cell_type == "markdown":
            assert japanese.source.strip() and english.source.strip()
            assert heading_levels(japanese.source) == heading_levels(english.source), japanese.id


@each_lesson
def test_output_kinds_agree_between_editions(lesson: Path):
    """The English edition runs the same code, so only the words in its outputs may differ."""
    kinds = [
        [
            [(o.output_type, sorted(o.get("data", {}))) for o in cell.outputs]
            for cell in code_cells(read(lesson, each))
        ]
        for each in EDITIONS
    ]
    assert kinds[0] == kinds[1]


def pyproject_address() -> str:
    """The repository's address, read without the tools that the notebooks were built with."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^repository = "https://github\.com/([^"]+)"$', text, re.MULTILINE)[1]


@each_edition
@each_lesson
def test_badge_opens_this_very_notebook(lesson: Path, edition: str):
    first = read(lesson, edition).cells[0].source
    badges = re.findall(r"colab-badge\.svg\)\]\(([^)]+)\)", first)
    path = f"notebooks/{'en/' if edition == 'en' else ''}{lesson.stem}.ipynb"
    host = "https://colab.research.google.com/github"
    assert badges == [f"{host}/{pyproject_address()}/blob/main/{path}"]


@each_edition
@each_lesson
def test_setup_cell_fetches_this_repository(lesson: Path, edition: str):
    setup = code_cells(read(lesson, edition))[0].source
    assert setup.startswith(f'LANG = "{edition}"\n')
    assert f'"YUKIGUNI_REPOSITORY", "https://github.com/{pyproject_address()}")' in setup
    assert '"--branch", "main"' in setup


@each_lesson
@pytest.mark.parametrize(("readme", "edition"), [("README.ja.md", "ja"), ("README.md", "en")])
def test_readmes_link_every_lesson(lesson: Path, readme: str, edition: str):
    text = (ROOT / readme).read_text(encoding="utf-8")
    path = notebook_path(lesson, edition)
    assert f"]({path})" in text, f"{readme} has no link to {path}"
    badge = f"https://colab.research.google.com/github/{pyproject_address()}/blob/main/{path}"
    assert f"]({badge})" in text, f"{readme} has no badge that opens {path}"
