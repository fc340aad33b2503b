"""The lessons as pages of the site, by Sphinx and myst-nb: their committed outputs, nothing executed.

The Japanese edition becomes lessons/, the English one lessons/en/, each with a search of its own. What a page needs
that a notebook does not have is put into its cells here; how pages look and what the search finds is in site/lessons/.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbformat import NotebookNode

from tools import lessons, teaching
from tools.project import BRANCH, REPOSITORY, ROOT, colab_address

SOURCE = ROOT / "site" / "lessons"
WORDS = {
    "title": ("雪国ノート", "Yukiguni Notebooks"),
    "colab": ("Colab で開く", "Open in Colab"),
    "lab": ("ブラウザーの実験室", "The lab in the browser"),
    "other": ("English", "日本語"),
    "teacher": ("先生へ", "For teachers"),
    "solution": ("解答を見る", "Solution"),
    "code": ("コード", "Code"),
    "kit": ("印刷するもの", "What to print"),
}


def build(target: Path) -> None:
    """Both editions into a folder of the site, side by side.

    Raises:
        subprocess.CalledProcessError: if Sphinx finds a fault, such as a link that leads nowhere; it has said which.
    """
    with TemporaryDirectory() as folder:
        running = []
        for edition in lessons.EDITIONS:
            source = Path(folder) / edition
            prepare(source, edition)
            command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
            command += ["-c", str(SOURCE), "-d", f"{source}-trees", "-D", f"language={edition}"]
            command += ["-D", f"html_title={_word('title', edition)}"]
            for shown in ("show", "hide"):
                command += ["-D", f"nb_code_prompt_{shown}={_word('code', edition)}"]
            # Beside its pages myst-nb leaves a folder of its own, so they are made elsewhere.
            running.append(subprocess.Popen([*command, str(source), f"{source}-built/pages"]))
        for process in [process for process in running if process.wait()]:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        for edition in lessons.EDITIONS:
            pages = target / "en" if edition == "en" else target
            unwanted = shutil.ignore_patterns(".buildinfo", "objects.inv", "_sources", "*.map")
            built = Path(folder) / f"{edition}-built" / "pages"
            shutil.copytree(built, pages, ignore=unwanted, dirs_exist_ok=True)
            for file in _handouts(edition):
                (pages / "teaching").mkdir(exist_ok=True)
                shutil.copy(file, pages / "teaching")


def prepare(folder: Path, edition: str) -> None:
    """Write what Sphinx reads for one edition: the lessons, the page for teachers, the first page."""
    folder.mkdir()
    first = (SOURCE / f"index.{edition}.md").read_text(encoding="utf-8")
    links = f"{_lab(edition)} · {_other_edition('index', edition)}"
    (folder / "index.md").write_text(first.replace("{{links}}", links), encoding="utf-8")
    shutil.copy(SOURCE / "static" / "colab.svg", folder)
    for source in lessons.lesson_sources():
        notebook = nbformat.read(ROOT / lessons.notebook_path(source, edition), as_version=4)
        nbformat.write(as_page(notebook, source, edition), folder / f"{source.stem}.ipynb")
    (folder / "teacher.md").write_text(_teachers_page(edition), encoding="utf-8")


def as_page(notebook: NotebookNode, source: Path, edition: str) -> NotebookNode:
    """A lesson's notebook with what a page has: own links, the lab where it is used, folded code and solutions."""
    cells: list[NotebookNode] = []
    folded = False
    own = _own_links(source, edition)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if folded != ("solution" in tags):
            folded = not folded
            opening = f"<details><summary>{_word('solution', edition)}</summary>"
            cells.append(nbformat.v4.new_markdown_cell(opening if folded else "</details>"))
        if {"hide", "check"} & {*tags}:
            cell.metadata["tags"] = [*tags, "hide-input"]
        if cell.cell_type == "markdown":
            for theirs, ours in own.items():
                cell.source = cell.source.replace(theirs, ours)
            # In a notebook it stands beside each link, since Colab follows no relative ones.
            cell.source = re.sub(r" \(\[Colab\]\([^)]*\)\)", "", cell.source)
        cells.append(cell)
        if cell.cell_type == "code" and re.search(r"\bSamplingLab\(", cell.source):
            cells.append(nbformat.v4.new_markdown_cell(_live_lab(cell.source, edition)))
    if folded:
        cells.append(nbformat.v4.new_markdown_cell("</details>"))
    notebook.cells = cells
    return notebook


def _own_links(source: Path, edition: str) -> dict[str, str]:
    """A notebook's lines of links, and what a page has in their place: Sphinx has the way to the neighbours."""
    badge = (
        f"[![{_word('colab', edition)}](colab.svg)]({colab_address(lessons.notebook_path(source, edition, True))})"
        f" · {_lab(edition)} · [{_word('teacher', edition)}](teacher.md)"
        f" · {_other_edition(source.stem, edition)}"
    )
    return {lessons.badge(source, edition): badge, lessons.navigation(source, edition): ""}


def _live_lab(code: str, edition: str) -> str:
    """The lab in a frame, with the cell's own seed. It is loaded when it comes into sight."""
    seed = re.search(r"\bseed=(\d+)", code)
    address = _to_lab(edition) + (f"&seed={seed[1]}" if seed else "")
    name = _word("lab", edition)
    return f'<iframe class="lab" src="{address}" title="{name}" loading="lazy"></iframe>'


def _teachers_page(edition: str) -> str:
    """The teacher's guide, its links leading to the repository, and the handouts where they were made."""
    guide = "README.en.md" if edition == "en" else "README.md"
    text = (teaching.SOURCES / guide).read_text(encoding="utf-8")
    other = _other_edition("teacher", edition)
    text = re.sub(r"^\[[^\]]*\]\(README[^)]*\)$", lambda _: other, text, flags=re.MULTILINE)

    def in_the_repository(match: re.Match[str]) -> str:
        path, _, place = match[1].partition("#")
        file = (teaching.SOURCES / path).resolve().relative_to(ROOT).as_posix()
        return f"]({REPOSITORY}/blob/{BRANCH}/{file}{'#' if place else ''}{place})"

    text = re.sub(r"\]\((?!https?://|#)([^)]+)\)", in_the_repository, text)
    if handouts := _handouts(edition):
        rows = [f'- <a href="teaching/{file.name}">{file.name}</a>' for file in handouts]
        text += "\n".join([f"\n## {_word('kit', edition)}\n", *rows, ""])
    return text


def _handouts(edition: str) -> list[Path]:
    """What `make kit` made in this language, if it was run."""
    return sorted(teaching.BUILT.glob(f"*.{edition}.*"))


def _to_lab(edition: str) -> str:
    """The lab's address from a page. A name, not a folder: a page opened as a file finds no folder's first page."""
    return f"{'../' if edition == 'ja' else '../../'}index.html#lang={edition}"


def _lab(edition: str) -> str:
    return f'<a href="{_to_lab(edition)}">{_word("lab", edition)}</a>'


def _other_edition(page: str, edition: str) -> str:
    folder, other = ("en/", "en") if edition == "ja" else ("../", "ja")
    return f'<a href="{folder}{page}.html" lang="{other}">{_word("other", edition)}</a>'


def _word(name: str, edition: str) -> str:
    return WORDS[name][lessons.EDITIONS.index(edition)]
