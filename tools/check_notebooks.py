"""What must hold for a notebook: each check returns its findings as sentences; an empty list means that all is well."""

import io
import re
import struct
import tokenize
from base64 import b64decode
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

from nbformat import NotebookNode

from helpers.masking import find_words
from tools.lessons import FOLDED, METADATA, TAGS
from tools.pictures import without_definitions

# Output of a cell with this tag differs between machines and runs: times, versions, memory.
VARIES = "varies"
CELL_METADATA = {"code": {"tags", *FOLDED}, "markdown": {"tags"}}
_ADDRESS_IN_MEMORY = re.compile(r"\b0x[0-9a-f]{8,}\b")
_KANA = re.compile(r"[ぁ-ゖァ-ヺ]")
_JAPANESE = re.compile(r"[ぁ-ゖァ-ヺ一-鿿々]")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """A notebook's code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def metadata_problems(notebook: NotebookNode) -> list[str]:
    """Metadata beyond the whitelist, and identifiers that are missing, malformed or repeated."""
    problems = []
    if notebook.metadata != METADATA:
        problems.append(f"notebook metadata is {notebook.metadata}, not {METADATA}")
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        problems.append(f"format {notebook.nbformat}.{notebook.nbformat_minor} is not 4.5")
    seen = set()
    for cell in notebook.cells:
        identifier = cell.get("id", "")
        if not re.fullmatch(r"[0-9a-f]{12}", identifier) or identifier in seen:
            problems.append(f"cell id {identifier!r} is malformed or repeated")
        seen.add(identifier)
        if extra := set(cell.metadata) - CELL_METADATA[cell.cell_type]:
            problems.append(f"cell {identifier}: metadata {sorted(extra)} is not allowed")
        if extra := set(cell.metadata.get("tags", [])) - TAGS:
            problems.append(f"cell {identifier}: tags {sorted(extra)} are not allowed")
        if any(key in cell.metadata and cell.metadata[key] != FOLDED[key] for key in FOLDED):
            problems.append(f"cell {identifier}: folded otherwise than {FOLDED}")
    return problems


def output_problems(notebook: NotebookNode) -> list[str]:
    """Errors, warnings, widgets that cannot show, and cells that were not executed in order."""
    problems = []
    for place, cell in enumerate(code_cells(notebook), start=1):
        name = f"code cell {place} ({cell.id})"
        if cell.execution_count != place:
            problems.append(f"{name}: executed as number {cell.execution_count}, not {place}")
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"{name}: raised {output.ename}: {output.evalue}")
            elif output.get("name") == "stderr":
                problems.append(f"{name}: wrote to stderr: {output.text.strip()}")
            text = text_of(output)
            if "vnd.jupyter.widget" in str(list(output.get("data", {}))):
                problems.append(
                    f"{name}: holds a widget view, which shows nothing without a kernel"
                )
            if (found := _ADDRESS_IN_MEMORY.search(text)) and not varies(cell):
                problems.append(f"{name}: shows a memory address, {found[0]}, new in every run")
            if "Glyph" in text and "missing" in text:
                problems.append(f"{name}: a picture lacks a character: {text.strip()}")
    return problems


def word_problems(notebook: NotebookNode) -> list[str]:
    """Words that a school would not project, in outputs and in prose: what a reader sees, pictures in prose too."""
    problems = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [text_of(output) for output in cell.outputs]
        else:
            texts = [without_definitions(cell.source)]
        # Each token of a text may have an element of its own.
        for found in find_words("\n".join(re.sub(r"<[^>]*>", "", text) for text in texts)):
            problems.append(
                f"cell {cell.id}: shows 「{found.word}」; take another seed or prompt there (helpers/words_to_mask.txt)"
            )
    for label, (html, _) in notebook.get("pictures", {}).items():
        for found in find_words(re.sub(r"<[^>]*>", "", html)):
            problems.append(f"picture {label}: shows 「{found.word}」; take another seed there")
    return problems


def comment_problems(notebook: NotebookNode, edition: str) -> list[str]:
    """Comments in code that are not in the edition's language: prose belongs in the cells around it."""
    problems = []
    for cell in code_cells(notebook):
        # Python's tokenizer does not know IPython's `%magic` and `!command` lines.
        source = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            comment = token.string.removeprefix("# @title")
            if token.type != tokenize.COMMENT or comment.startswith("# @param"):
                continue
            if bool(_JAPANESE.search(comment)) != (edition == "ja"):
                problems.append(f"cell {cell.id}: comment {token.string!r}")
    return problems


def prose_problems(notebook: NotebookNode, edition: str) -> list[str]:
    """Prose in the wrong language: Japanese without kana, or English that is mostly Japanese."""
    problems = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        text = _plain(without_definitions(cell.source))
        if not re.search(r"\w\w", text):
            continue
        if edition == "ja" and not _KANA.search(text):
            problems.append(f"cell {cell.id}: no Japanese in {cell.source[:60]!r}")
        if edition == "en":
            japanese, latin = len(_JAPANESE.findall(text)), len(re.findall(r"[A-Za-z]", text))
            # A quotation is welcome; a Japanese sentence left untranslated outweighs a fifth.
            if japanese * 5 > latin:
                problems.append(f"cell {cell.id}: mostly Japanese: {cell.source[:60]!r}")
    return problems


def heading_levels(markdown: str) -> list[int]:
    """The levels of a cell's headings, in order."""
    prose = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.MULTILINE)]


def differences(committed: NotebookNode, fresh: NotebookNode) -> list[str]:
    """How a notebook's outputs differ from those of a fresh run, cell by cell."""
    pairs = zip(code_cells(committed), code_cells(fresh), strict=True)
    return [problem for old, new in pairs if (problem := difference(old, new))]


def difference(committed: NotebookNode, fresh: NotebookNode) -> str | None:
    """How a code cell's outputs differ from those of a fresh run, or None.

    Text must be equal but for rounding; a picture must have the same size, but for the few pixels by which releases of
    matplotlib differ. Where the cell is tagged as varying, the outputs must have the same kinds, and
    texts as many lines or the same HTML elements.
    """
    form = _form_of if varies(fresh) else _content_of
    before, after = [form(o) for o in committed.outputs], [form(o) for o in fresh.outputs]
    if before == after:
        return None
    if len(before) != len(after):
        return f"cell {fresh.id}: {len(before)} outputs in git, {len(after)} now"
    old, new = next((repr(b), repr(a)) for b, a in zip(before, after, strict=True) if b != a)
    unequal = (place for place, (b, a) in enumerate(zip_longest(old, new)) if b != a)
    start = max(0, next(unequal) - 40)
    window = slice(start, start + 200)
    return f"cell {fresh.id}:\n  in git: …{old[window]}\n  now:    …{new[window]}"


def varies(cell: NotebookNode) -> bool:
    """Whether a cell's output is expected to differ between machines and runs."""
    return VARIES in cell.metadata.get("tags", [])


def text_of(output: NotebookNode) -> str:
    """What an output says: a stream's text, or its text, HTML and SVG one below the other."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return "\n".join(data[kind] for kind in sorted(data) if kind.startswith(("text/", "image/svg")))


def _content_of(output: NotebookNode) -> object:
    if output.output_type == "stream":
        return output.name, _Text(output.text)
    if output.output_type == "error":
        return output.ename, output.evalue
    return [
        (kind, _png_size(value) if kind == "image/png" else _Text(str(value)))
        for kind, value in sorted(output.data.items())
    ]


def _form_of(output: NotebookNode) -> object:
    text = text_of(output)
    elements = re.findall(r"<([a-z]\w*)", text)
    lines = len(text.strip().splitlines())
    kinds = sorted(output.get("data", {})) or output.get("name") or output.output_type
    return kinds, elements if elements else lines


def same_but_for_rounding(one: str, other: str) -> bool:
    """Whether two texts are equal, but for one in the last place of numbers with a decimal point or a percent sign.

    Processors add in different orders, so a value that lies halfway between two that can be shown is rounded either way.
    """
    if _ROUNDED.split(one) != _ROUNDED.split(other):
        return False
    pairs = zip(_ROUNDED.findall(one), _ROUNDED.findall(other), strict=True)
    return all(a == b or _one_apart(a, b) for a, b in pairs)


_ROUNDED = re.compile(r"\d[\d,]*(?:\.\d+|(?=%))")


def _one_apart(*numbers: str) -> bool:
    one, other = (Decimal(number.replace(",", "")) for number in numbers)
    last = max(int(one.as_tuple().exponent), int(other.as_tuple().exponent))
    return abs(one - other) <= Decimal(1).scaleb(last)


@dataclass(frozen=True, eq=False)
class _Text:
    """A text, equal to another that differs by rounding alone."""

    text: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Text):
            return NotImplemented
        return same_but_for_rounding(self.text, other.text)


@dataclass(frozen=True, eq=False)
class _Size:
    """A picture's size in pixels; equal to another if neither number differs by more than four."""

    width: int
    height: int

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Size):
            return NotImplemented
        return max(abs(self.width - other.width), abs(self.height - other.height)) <= 4


def _png_size(encoded: str) -> _Size:
    return _Size(*struct.unpack(">II", b64decode(encoded)[16:24]))


def _plain(markdown: str) -> str:
    """Prose without code, addresses, HTML, and quotations in Japanese brackets."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", markdown, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|https?://\S+|<[^>]*>|\$[^$]*\$", "", text)
    return re.sub(r"「[^」]*」|『[^』]*』", "", text)
