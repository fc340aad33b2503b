"""Lesson sources to notebooks: one percent-format file gives a Japanese and an English edition.

A prose cell stands twice in the source, `lang="ja"` and at once `lang="en"`. A code cell stands
once and is the same in both editions but for the line `LANG = "ja"`. Placeholders are filled
in: `{{badge}}` and `{{nav}}` in prose, `# {{setup}}` in a code cell, `{{repository}}` and
`{{branch}}` anywhere.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

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
SETUP_CELL = ROOT / "tools" / "setup_cell.py"
_COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


def lesson_sources(folder: Path = ROOT / "lessons") -> list[Path]:
    """The lessons' sources in their order."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def notebook_path(source: Path, edition: str) -> str:
    """Where a lesson's notebook lies, from the repository's root."""
    return f"notebooks/{'en/' if edition == 'en' else ''}{source.stem}.ipynb"


def build(source: Path, edition: str) -> NotebookNode:
    """One edition of a lesson as a notebook that has not been executed.

    Raises:
        ValueError: if the source breaks a convention; the sentence names the cell and the remedy.
    """
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    seen: dict[str, int] = {}
    for key, cell in _cells_of(source, edition):
        text = _filled(cell.source, source, edition)
        if cell.cell_type == "code":
            if edition == "en":
                text = re.sub(r'^LANG = "ja"$', 'LANG = "en"', text, flags=re.MULTILINE)
            tags = cell.metadata.get("tags")
            new = nbformat.v4.new_code_cell(text, metadata={"tags": tags} if tags else {})
        else:
            new = nbformat.v4.new_markdown_cell(text)
        seen[key] = seen.get(key, 0) + 1
        new["id"] = _identifier(source.stem, cell.cell_type, key, seen[key])
        notebook.cells.append(new)
    return notebook


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
        if languages != ["ja", "en"]:
            opening = cell.source.strip().splitlines()[:1]
            raise ValueError(
                f"{source.name}: the prose cell {opening} and the next cell have lang={languages};"
                ' write a cell with lang="ja" and right after it the same with lang="en".'
            )
        yield cell.source, cell if edition == "ja" else english


def _filled(text: str, source: Path, edition: str) -> str:
    if "# {{setup}}" in text:
        text = text.replace("# {{setup}}", "\n" + SETUP_CELL.read_text("utf-8").strip())
    if "{{badge}}" in text:
        text = text.replace("{{badge}}", _badge(source, edition))
    if "{{nav}}" in text:
        text = text.replace("{{nav}}", _navigation(source, edition))
    text = text.replace("{{repository}}", REPOSITORY).replace("{{branch}}", BRANCH)
    if unknown := re.search(r"\{\{\w*\}\}", text):
        raise ValueError(
            f"{source.name}: unknown placeholder {unknown[0]}; there are"
            " {{badge}}, {{nav}}, {{setup}}, {{repository}} and {{branch}}."
        )
    return text


def _badge(source: Path, edition: str) -> str:
    """The badge that opens this edition in Colab, and the way to the other edition."""
    words, other, label = {
        "ja": ("Colab で開く", "en", "English edition"),
        "en": ("Open in Colab", "ja", "日本語版"),
    }[edition]
    badge = f"[![{words}]({_COLAB_BADGE})]({colab_address(notebook_path(source, edition))})"
    return f"{badge} · {_link(label, source, other, edition)}"


def _navigation(source: Path, edition: str) -> str:
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
    """A link to a lesson: a relative one, and Colab's, since Colab cannot follow relative links."""
    folder = {("ja", "en"): "en/", ("en", "ja"): "../"}.get((origin, edition), "")
    address = colab_address(notebook_path(lesson, edition))
    return f"[{label}]({folder}{lesson.stem}.ipynb) ([Colab]({address}))"


def _identifier(lesson: str, cell_type: str, text: str, occurrence: int) -> str:
    """A cell's id: it follows the text, so an edit elsewhere in the lesson does not change it."""
    parts = "\0".join([lesson, cell_type, text, str(occurrence)])
    return hashlib.sha256(parts.encode()).hexdigest()[:12]
