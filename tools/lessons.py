"""Lesson sources to notebooks: one percent-format file gives a Japanese and an English edition.

A prose cell stands twice in the source, `lang="ja"` and at once `lang="en"`. A code cell stands once; `tools.say`
puts it into the edition's language. Each edition exists twice: with outputs, for reading, and without them, for
doing (`start_copy`). CONTRIBUTING.md lists the tags and the placeholders.
"""

import copy
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from tools import facts, say, way
from tools.project import BRANCH, REPOSITORY, ROOT, colab_address

EDITIONS = ("ja", "en")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
# What each tag means to the builder is said in CONTRIBUTING.md.
TAGS = {"varies", "hide", "predict", "exercise", "solution", "check", "more", "build", "cases"}
# Code whose output is the point: Colab folds a form, JupyterLab a hidden source.
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}
PREDICT = {"ja": "**予想してみましょう", "en": "**Predict"}
COMPARE = {
    "ja": "予想とくらべる（実行してから、押して開きます）",
    "en": "Compare with your prediction (run the cell, then click to open)",
}
PREDICTION = 'prediction = ""  # @param {type:"string"}'
SETUP_CELL = ROOT / "tools" / "setup_cell.txt"
_COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
PLACEHOLDER = re.compile(r"\{\{([\w ]*)\}\}")
_STANDING = "{{badge}}, {{nav}}, {{way STATION}}, {{repository}} and {{branch}}"


def lesson_sources(folder: Path = ROOT / "lessons") -> list[Path]:
    """The lessons' sources in their order: 03_generate, 03b_settings, 04_gpu."""
    return sorted(folder.glob("[0-9][0-9]*_*.py"))


def notebook_path(source: Path, edition: str, start: bool = False) -> str:
    """Where a lesson's notebook lies, from the repository's root; `start` is the one without outputs."""
    return f"notebooks/{'start/' if start else ''}{'en/' if edition == 'en' else ''}{source.stem}.ipynb"


def build(source: Path, edition: str, building: bool = False) -> NotebookNode:
    """One edition of a lesson as a notebook that has not been executed.

    What the executed lesson fills in still stands as `{{name}}` in its prose. With `building`, the cells tagged
    `build` are there too.

    Raises:
        ValueError: if the source breaks a convention; the sentence names the cell and the remedy.
    """
    cells = list(_cells_of(source, edition))
    for _, cell in cells:
        tags = cell.metadata.get("tags", [])
        if unknown := set(tags) - TAGS:
            raise ValueError(f"{source.name}: no tag {sorted(unknown)}; there are {sorted(TAGS)}.")
        if cell.cell_type == "code":
            cell.source = _code(cell.source, source, edition)
    given = _given([cell for _, cell in cells], source)
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    seen: dict[str, int] = {}
    check = ""
    for key, cell in cells:
        tags, text = cell.metadata.get("tags", []), cell.source
        if {"build", "cases"} & {*tags}:
            if not building:
                continue
            text = facts.calling(text) if "build" in tags else facts.trying(check, text)
        if cell.cell_type == "code" and not text and "exercise" not in tags:
            continue
        check = text if "check" in tags else check
        if cell.cell_type == "code":
            new = nbformat.v4.new_code_cell(text)
        else:
            new = nbformat.v4.new_markdown_cell(_prose(text, source, edition, given))
        if tags:
            new.metadata["tags"] = tags
        if {"hide", "check"} & set(tags):
            new.metadata.update(copy.deepcopy(FOLDED))
        seen[key] = seen.get(key, 0) + 1
        new["id"] = _identifier(source.stem, cell.cell_type, key, seen[key])
        notebook.cells.append(new)
    notebook.cells = list(_with_room_for_predictions(notebook.cells, source, edition))
    return notebook


def _given(cells: list[NotebookNode], source: Path) -> dict[str, set[str]]:
    """What the build cells give to prose: values and pictures. The sentence of each claim must stand in prose."""
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    given: dict[str, set[str]] = {"fill": set(), "picture": set()}
    for cell in cells:
        if "build" in cell.metadata.get("tags", []):
            given["fill"] |= facts.filled(cell.source)
            given["picture"] |= {*facts.firsts(cell.source, "picture")}
            for sentence in facts.firsts(cell.source, "claim"):
                if "".join(sentence.split()) not in "".join(prose.split()):
                    raise ValueError(f"{source.name}: no prose says what is claimed: {sentence}")
    return given


def start_copy(notebook: NotebookNode) -> NotebookNode:
    """The notebook for doing, from the one for reading: no outputs; solutions, and what answers a prediction, folded."""
    start = copy.deepcopy(notebook)
    cells: list[NotebookNode] = []
    solution: list[NotebookNode] = []
    asked = ""  # "predicted" below a prediction, "run" when there was code to run after it
    # What its code says, since a solution may be code alone.
    japanese = any('LANG = "ja"' in cell.source for cell in start.cells)
    for cell in [*start.cells, None]:
        if cell is not None and "solution" in cell.metadata.get("tags", []):
            solution.append(cell)
            continue
        if solution:
            cells.append(_folded(solution, "解答を見る" if japanese else "Solution"))
            solution = []
        if cell is None:
            break
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            predicts = "predict" in cell.metadata.get("tags", [])
            asked = "predicted" if predicts else asked and "run"
        elif asked == "run":
            cell.source = _covered(cell.source, COMPARE["ja" if japanese else "en"])
            asked = ""
        cells.append(cell)
    start.cells = cells
    return start


def _covered(prose: str, label: str) -> str:
    """Prose below a prediction's code, its first paragraph folded: there stands what happened."""
    answer, _, rest = prose.partition("\n\n")
    if answer.startswith(("#", "<details")):
        return prose
    return f"<details><summary>{label}</summary>\n\n{answer}\n\n</details>\n\n{rest}".strip()


def _folded(solution: list[NotebookNode], label: str) -> NotebookNode:
    """A solution's cells, prose and code with what it printed, as one prose cell that opens on a click."""
    parts = [f"<details><summary>{label}</summary>"]
    for cell in solution:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        printed = "".join(o.text for o in cell.outputs if o.get("name") == "stdout").strip("\n")
        if printed:
            parts.append(f"```text\n{printed}\n```")
    folded = nbformat.v4.new_markdown_cell("\n\n".join([*parts, "</details>"]))
    folded["id"] = solution[0].id
    folded.metadata["tags"] = ["solution"]
    return folded


def title(source: Path, edition: str) -> str:
    """A lesson's title: the first heading of that edition.

    Raises:
        ValueError: if the edition opens without a heading.
    """
    _, first = next(_cells_of(source, edition))
    heading = re.match(r"# +(.+)", first.source)
    if first.cell_type != "markdown" or not heading:
        raise ValueError(f"{source.name}: the first cell must open with '# ' and the title.")
    return heading[1].strip()


def _cells_of(source: Path, edition: str) -> Iterator[tuple[str, NotebookNode]]:
    """One edition's cells, each with the text that its identifier is made from.

    Both halves of a prose pair are known by the Japanese half: so a cell keeps one identifier in
    both editions, and correcting the English changes no link to it.
    """
    cells = jupytext.read(source, fmt="py:percent").cells
    code = [c.source.splitlines() for c in cells if c.cell_type == "code"]
    language_lines = sum(lines.count('LANG = "ja"') for lines in code)
    if language_lines != 1:
        raise ValueError(
            f'{source.name}: {language_lines} lines read LANG = "ja"; exactly one cell, the one'
            " with '# {{setup}}', must have it."
        )
    remaining = iter(cells)
    for cell in remaining:
        if cell.cell_type == "code":
            yield cell.source, cell
            continue
        english = next(remaining, None)
        languages = [c.metadata.get("lang") if c else None for c in (cell, english)]
        if english is None or languages != ["ja", "en"]:
            opening = cell.source.strip().splitlines()[:1]
            raise ValueError(
                f"{source.name}: the prose cell {opening} and the next cell have lang={languages};"
                ' write a cell with lang="ja" and right after it the same with lang="en".'
            )
        english.metadata["tags"] = cell.metadata.get("tags", [])
        yield cell.source, cell if edition == "ja" else english


def _code(text: str, source: Path, edition: str) -> str:
    try:
        text = say.resolve(text, edition)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{source.name}: {error}") from None
    if edition == "en":
        text = re.sub(r'^LANG = "ja"$', 'LANG = "en"', text, flags=re.MULTILINE)
    text = text.replace("# {{setup}}", SETUP_CELL.read_text("utf-8").strip())
    return text.replace("{{repository}}", REPOSITORY).replace("{{branch}}", BRANCH)


def _prose(text: str, source: Path, edition: str, given: dict[str, set[str]]) -> str:
    """Prose with its placeholders filled in, but for those that wait for the executed lesson."""

    def replace(match: re.Match[str]) -> str:
        name, *rest = match[1].split() or [""]
        if name == "badge":
            return badge(source, edition)
        if name == "nav":
            return navigation(source, edition)
        if name in ("repository", "branch"):
            return {"repository": REPOSITORY, "branch": BRANCH}[name]
        if name == "way":
            way.drawing(edition, *rest)
            return match[0]
        if name in given["fill"] or (name == "picture" and set(rest) <= given["picture"]):
            return match[0]
        ours = ", ".join(sorted(given["fill"] | given["picture"])) or "nothing here"
        raise ValueError(
            f"{source.name}: unknown placeholder {match[0]}; there are {_STANDING}, and what cells tagged build fill:"
            f" {ours}."
        )

    return PLACEHOLDER.sub(replace, text)


def _with_room_for_predictions(
    cells: list[NotebookNode], source: Path, edition: str
) -> Iterator[NotebookNode]:
    """Below each prose cell that asks for a prediction, a place to write it: the lesson's own, or a line of text."""
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        yield cell
        if cell.cell_type != "markdown" or not asks(cell.source, edition):
            continue
        if following is not None and "predict" in following.metadata.get("tags", []):
            continue
        room = nbformat.v4.new_code_cell(PREDICTION, metadata={"tags": ["predict"]})
        room["id"] = _identifier(source.stem, "predict", cell.id, 1)
        yield room


def asks(prose: str, edition: str) -> bool:
    """Whether a prose cell asks for a prediction: a paragraph of it begins with the mark."""
    return re.search(rf"^{re.escape(PREDICT[edition])}", prose, re.MULTILINE) is not None


def badge(source: Path, edition: str) -> str:
    """The badge that opens this edition in Colab, without outputs; the edition with them; and the other language."""
    words, reading, other, label = {
        "ja": ("Colab で開く", "結果つきで読む", "en", "English edition"),
        "en": ("Open in Colab", "read it with its results", "ja", "日本語版"),
    }[edition]
    badge = f"[![{words}]({_COLAB_BADGE})]({colab_address(notebook_path(source, edition, True))})"
    with_results = f"{REPOSITORY}/blob/{BRANCH}/{notebook_path(source, edition)}"
    return f"{badge} · [{reading}]({with_results}) · {_link(label, source, other, edition)}"


def navigation(source: Path, edition: str) -> str:
    lessons = lesson_sources(source.parent)
    place = lessons.index(source)
    before, after = {"ja": ("前へ", "次へ"), "en": ("Previous", "Next")}[edition]
    ways = []
    if place > 0:
        lesson = lessons[place - 1]
        ways.append(f"← {before}: {_link(title(lesson, edition), lesson, edition, edition)}")
    if place + 1 < len(lessons):
        lesson = lessons[place + 1]
        ways.append(f"{after}: {_link(title(lesson, edition), lesson, edition, edition)} →")
    return " · ".join(ways)


def _link(label: str, lesson: Path, edition: str, origin: str) -> str:
    """A link to a lesson of the same set: a relative one, and Colab's, since Colab cannot follow relative links."""
    folder = {("ja", "en"): "en/", ("en", "ja"): "../"}.get((origin, edition), "")
    address = colab_address(notebook_path(lesson, edition, True))
    return f"[{label}]({folder}{lesson.stem}.ipynb) ([Colab]({address}))"


def _identifier(lesson: str, cell_type: str, text: str, occurrence: int) -> str:
    """A cell's id: it follows the text, so an edit elsewhere in the lesson does not change it."""
    parts = "\0".join([lesson, cell_type, text, str(occurrence)])
    return hashlib.sha256(parts.encode()).hexdigest()[:12]
