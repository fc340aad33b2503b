"""The lessons: `pytest tests/test_notebooks.py` (one lesson: `-k 03_generate`).

Each lesson is executed twice, offline, in a copy: the Japanese edition as the builder runs it, and the English one as a
reader does, in `make test` on Google Colab's versions. What they show, and what prose says of it, is compared with what is
in git; what else must hold for a notebook is read off it.
"""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tools import lesson_time
from tools.build_lessons import WAY_IN, executed, number_cells
from tools.check_notebooks import (
    code_cells,
    comment_problems,
    differences,
    heading_levels,
    metadata_problems,
    output_problems,
    prose_problems,
    same_but_for_rounding,
    varies,
    word_problems,
)
from tools.execution import execute, make_workspace
from tools.lessons import (
    EDITIONS,
    PLACEHOLDER,
    asks,
    build,
    lesson_sources,
    notebook_path,
    start_copy,
)
from tools.pictures import definitions, without_definitions
from tools.project import ROOT

LESSONS = lesson_sources()
# PYTHONPATH of a lesson's kernel: what lies here cuts it off from the network.
OFFLINE = Path(__file__).parent / "offline"

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


def each_executed(marks: Callable[[str], list[pytest.MarkDecorator]]) -> pytest.MarkDecorator:
    """The lessons, those that take long (the last of the course) begun first: they leave no core idle at the end."""
    lessons = [pytest.param(path, marks=marks(path.stem), id=path.stem) for path in LESSONS[::-1]]
    return pytest.mark.parametrize("lesson", lessons)


each_edition = pytest.mark.parametrize("edition", EDITIONS)


def read(lesson: Path, edition: str, start: bool = False) -> NotebookNode:
    """A notebook as it is in the tree."""
    path = ROOT / notebook_path(lesson, edition, start)
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def is_solution(cell: NotebookNode) -> bool:
    return "solution" in cell.metadata.get("tags", [])


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def test_the_foundation_lessons_are_there():
    names = [lesson.stem for lesson in LESSONS]
    assert {"01_install", "02_setup", "03_generate", "04_gpu"} <= {*names}


def test_there_is_no_notebook_without_a_source():
    built = {
        notebook_path(lesson, edition, start)
        for lesson in LESSONS
        for edition in EDITIONS
        for start in (False, True)
    }
    found = {p.relative_to(ROOT).as_posix() for p in (ROOT / "notebooks").rglob("*.ipynb")}
    assert {path for path in found if ".ipynb_checkpoints" not in path} == built


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a kernel that is cut off from the network; at the end, it must not have asked for it."""
    log = tmp_path / "network.txt"
    log.touch()
    search = os.pathsep.join([str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])])
    yield {"PYTHONPATH": search, "OFFLINE_LOG": str(log)}
    assert log.read_text(encoding="utf-8") == "", "the lesson reached for the network"


# What a CPU can do decides what 04b shows.
@each_executed(lambda name: [pytest.mark.processor] * (name == "04b_cpu"))
@pytest.mark.timeout(600)
def test_lesson_runs_and_shows_what_is_in_git(
    lesson: Path, offline: dict[str, str], record_property: Callable[[str, object], None]
):
    """Its outputs, what its prose says of them, and its self-checks: the Japanese edition, as the builder runs it."""
    record_property("lesson", lesson.stem)
    fresh, problems = executed(lesson, "ja", offline)
    committed = read(lesson, "ja")
    assert output_problems(fresh) == []
    problems += differences(committed, fresh)
    problems += [
        f"cell {new.id}: the prose in git says\n{without_definitions(old.source)}\nand now it says\n{new.source}"
        for old, new in zip(committed.cells, fresh.cells, strict=True)
        if new.cell_type == "markdown"
        and not same_but_for_rounding(without_definitions(old.source), new.source)
    ]
    assert not problems, "\n".join([f"make lessons LESSONS={lesson.stem}", *problems])


# There, those that a reader may skip wait for `make test-all`.
@pytest.mark.colab
@each_executed(lambda name: [pytest.mark.slow] * (name[2] == "b"))
@pytest.mark.timeout(600)
def test_the_copy_without_outputs_shows_the_same_once_it_is_run(
    lesson: Path,
    offline: dict[str, str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
):
    """The English edition, as a reader runs it: without what the builder ran besides, and without the solutions."""
    record_property("lesson", f"{lesson.stem} in English")
    start = read(lesson, "en", start=True)
    workspace = make_workspace(tmp_path / "copy")
    folder = (workspace / notebook_path(lesson, "en", start=True)).parent
    execute(start, folder, environment=offline)
    number_cells(start)
    assert output_problems(start) == []
    reading = read(lesson, "en")
    reading.cells = [c for c in reading.cells if c.cell_type == "markdown" or not is_solution(c)]
    number_cells(reading)
    assert differences(reading, start) == []


@each_edition
@each_lesson
def test_self_checks_of_an_untouched_copy_say_so(lesson: Path, edition: str):
    said = {"ja": "… まだ書かれていません。\n", "en": "… Not written yet.\n"}[edition]
    checks = [c for c in code_cells(read(lesson, edition)) if "check" in c.metadata.get("tags", [])]
    assert [c.outputs[0].text for c in checks] == [said] * len(checks)


@each_edition
@each_lesson
def test_notebook_is_what_its_source_builds(lesson: Path, edition: str):
    """But for what the executed lesson fills into its prose: `{{name}}` may have become anything."""
    committed, built = without_outputs(read(lesson, edition)), build(lesson, edition)
    remedy = f"make lessons LESSONS={lesson.stem}"
    assert [c.id for c in committed.cells] == [c.id for c in built.cells], remedy
    for old, new in zip(committed.cells, built.cells, strict=True):
        text = without_definitions(old.source)
        pieces = PLACEHOLDER.split(new.source)[::2]
        assert re.fullmatch("(.+?)".join(map(re.escape, pieces)), text, re.DOTALL), (
            f"{remedy}\n{text}\n{new.source}"
        )
        old.source = new.source
    assert committed == built, remedy


@each_edition
@each_lesson
def test_the_copy_for_doing_is_made_from_the_one_for_reading(lesson: Path, edition: str):
    start = read(lesson, edition, start=True)
    assert start == start_copy(read(lesson, edition)), f"make lessons LESSONS={lesson.stem}"
    assert all(c.outputs == [] and c.execution_count is None for c in code_cells(start))
    assert [c for c in code_cells(start) if is_solution(c)] == []


@pytest.mark.parametrize("start", [False, True], ids=["reading", "doing"])
@each_edition
@each_lesson
def test_notebook_is_clean(lesson: Path, edition: str, start: bool):
    notebook = read(lesson, edition, start)
    nbformat.validate(notebook)
    assert metadata_problems(notebook) == []
    assert comment_problems(notebook, edition) == []
    assert prose_problems(notebook, edition) == []
    assert word_problems(notebook) == []
    if not start:
        assert output_problems(notebook) == []


@pytest.mark.parametrize(
    "folder", ["notebooks", "notebooks/en", "notebooks/start", "notebooks/start/en"]
)
def test_what_the_setup_cell_imports_lies_beside_the_notebooks(folder: str):
    beside = (ROOT / folder / WAY_IN).read_text(encoding="utf-8")
    assert beside == (ROOT / WAY_IN).read_text(encoding="utf-8")


@each_lesson
def test_editions_differ_in_language_alone(lesson: Path):
    """The same code but for the words in it; the setup cell differs in one line."""
    japanese, english = read(lesson, "ja"), read(lesson, "en")
    for first, second in zip(code_cells(japanese), code_cells(english), strict=True):
        assert without_words(first.source) == without_words(second.source)
    setups = [code_cells(notebook)[0].source.splitlines() for notebook in (japanese, english)]
    different = [pair for pair in zip(*setups, strict=True) if pair[0] != pair[1]]
    assert different == [('LANG = "ja"', 'LANG = "en"')]
    assert [c.id for c in japanese.cells] == [c.id for c in english.cells]
    assert [c.metadata for c in japanese.cells] == [c.metadata for c in english.cells]


def without_words(code: str) -> str:
    """Code without its comments, and with each text in it replaced by the names that it shows."""

    class Words(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("" if isinstance(node.value, str) else node.value)

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
            return ast.Constant("")

    return ast.unparse(Words().visit(ast.parse(code)))


@each_edition
@each_lesson
def test_each_prediction_has_room_below_it(lesson: Path, edition: str):
    cells = read(lesson, edition).cells
    asking = [
        place
        for place, c in enumerate(cells)
        if c.cell_type == "markdown" and asks(c.source, edition)
    ]
    below = [cells[place + 1].metadata.get("tags", []) for place in asking]
    assert below == [["predict"]] * len(asking)


each_taught = pytest.mark.parametrize(
    "lesson", [path for path in LESSONS if path.stem != "00_lab"], ids=lambda path: path.stem
)


@each_edition
@each_lesson
def test_the_first_cell_has_a_picture_in_the_copy_without_outputs(lesson: Path, edition: str):
    first = read(lesson, edition, start=True).cells[0].source
    shown = re.findall(r"!\[[^\]]+\]\[([\w-]+)\]", first)
    assert shown and set(shown) == set(definitions(first))


@each_taught
def test_each_exercise_has_a_solution_and_each_lesson_a_self_check(lesson: Path):
    tags = [tag for cell in code_cells(read(lesson, "ja")) for tag in cell.metadata.get("tags", [])]
    order = [tag for tag in tags if tag in ("exercise", "solution")]
    assert "check" in tags and order
    exercises = [place for place, tag in enumerate(order) if tag == "exercise"]
    assert all(order[place + 1 : place + 2] == ["solution"] for place in exercises), order


def test_the_lessons_of_a_class_fit_a_class(capsys: pytest.CaptureFixture[str]):
    """01, 02 and 03, by the formula: 80 minutes, which leaves ten of ninety to talk."""
    assert lesson_time.main([]) == 0, capsys.readouterr().out


def test_the_first_link_is_a_lab_of_three_cells():
    assert len(code_cells(read(LESSONS[0], "ja", start=True))) == 3
    for readme in ("README.md", "README.ja.md"):
        links = re.findall(r"\]\((notebooks/[^)]+)\)", (ROOT / readme).read_text(encoding="utf-8"))
        assert links[0].endswith("00_lab.ipynb"), readme


@each_lesson
def test_prose_says_the_same_in_both_languages(lesson: Path):
    pairs = zip(read(lesson, "ja").cells, read(lesson, "en").cells, strict=True)
    for japanese, english in pairs:
        assert japanese.cell_type == english.cell_type
        if japanese.cell_type == "markdown":
            assert japanese.source.strip() and english.source.strip()
            assert heading_levels(japanese.source) == heading_levels(english.source), japanese.id
            assert asks(japanese.source, "ja") == asks(english.source, "en"), japanese.id


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


def numbers(text: str) -> list[str]:
    """The numbers in a text or in its markup; two languages may name them in another order."""
    return sorted(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"<[^>]*>", " ", text)))


@each_lesson
def test_solutions_show_the_same_numbers_in_both_editions(lesson: Path):
    """No reader's copy runs them, so in English they are held against the Japanese ones, which are executed."""
    for pair in zip(*(code_cells(read(lesson, each)) for each in EDITIONS), strict=True):
        if is_solution(pair[0]) and not varies(pair[0]):
            shown = [
                [(o.get("data") or {"text/plain": o.get("text", "")}) for o in cell.outputs]
                for cell in pair
            ]
            for ja, en in zip(*shown, strict=True):
                for kind in ja.keys() & {"text/plain", "text/html"}:
                    assert numbers(ja[kind]) == numbers(en[kind]), pair[0].id


def filled(lesson: Path, edition: str) -> list[tuple[str, list[str]]]:
    """What the executed lesson gave into its prose, in order: the name in its source and the numbers in the notebook."""
    found = []
    for old, new in zip(read(lesson, edition).cells, build(lesson, edition).cells, strict=True):
        if old.cell_type == "markdown":
            parts = PLACEHOLDER.split(new.source)
            pieces, names = parts[::2], parts[1::2]
            whole = re.fullmatch(
                "(.+?)".join(map(re.escape, pieces)), without_definitions(old.source), re.DOTALL
            )
            found += zip(names, map(numbers, whole.groups()), strict=True)
    # A picture is named after what it shows, words included.
    return [(name, given) for name, given in found if " " not in name]


@each_lesson
def test_prose_is_filled_with_the_same_numbers_in_both_editions(lesson: Path):
    assert filled(lesson, "ja") == filled(lesson, "en")


def pyproject_address() -> str:
    """The repository's address, read without the tools that the notebooks were built with."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^repository = "https://github\.com/([^"]+)"$', text, re.MULTILINE)[1]


@pytest.mark.parametrize("start", [False, True], ids=["reading", "doing"])
@each_edition
@each_lesson
def test_badges_open_the_copy_without_outputs(lesson: Path, edition: str, start: bool):
    notebook = read(lesson, edition, start)
    badges = re.findall(r"colab-badge\.svg\)\]\(([^)]+)\)", notebook.cells[0].source)
    host = f"https://colab.research.google.com/github/{pyproject_address()}/blob/main"
    assert badges == [f"{host}/{notebook_path(lesson, edition, start=True)}"]
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    opened = re.findall(rf"{re.escape(host)}/([^)]+)\)", prose)
    assert opened and all(path.startswith("notebooks/start/") for path in opened)


@pytest.mark.parametrize("start", [False, True], ids=["reading", "doing"])
@each_edition
@each_lesson
def test_links_between_lessons_stay_in_their_set(lesson: Path, edition: str, start: bool):
    folder = (ROOT / notebook_path(lesson, edition, start)).parent
    home = ROOT / "notebooks" / ("start" if start else "")
    for cell in read(lesson, edition, start).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^:)]+\.ipynb)\)", cell.source):
                assert (folder / target).resolve().parent in (home, home / "en"), target


@each_edition
@each_lesson
def test_setup_cell_is_short_and_fetches_this_repository(lesson: Path, edition: str):
    setup = code_cells(read(lesson, edition, start=True))[0].source
    assert setup.startswith(f'LANG = "{edition}"\n') and len(setup.splitlines()) <= 8
    assert f' -b main https://github.com/{pyproject_address()}"' in setup


@each_lesson
@pytest.mark.parametrize(("readme", "edition"), [("README.ja.md", "ja"), ("README.md", "en")])
def test_readmes_link_every_lesson(lesson: Path, readme: str, edition: str):
    text = (ROOT / readme).read_text(encoding="utf-8")
    path, start = notebook_path(lesson, edition), notebook_path(lesson, edition, start=True)
    assert f"]({path})" in text, f"{readme} has no link to {path}"
    badge = f"https://colab.research.google.com/github/{pyproject_address()}/blob/main/{start}"
    assert f"]({badge})" in text, f"{readme} has no badge that opens {start}"
