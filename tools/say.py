"""One language for each edition: `say("日本語", "English")` in a lesson's code becomes one literal."""

import ast
import io
import re
import tokenize

_IMPORT = re.compile(r"^from helpers\.language import say\n?", re.MULTILINE)


def resolve(source: str, edition: str) -> str:
    """A code cell in one language; all else stays as it was typed.

    `say(...)` becomes its Japanese or its English argument, a comment `# 日本語 || English` the half of it, and
    `from helpers.language import say`, which then has no use, goes.

    Raises:
        ValueError: if `say` has not two arguments, or is used without being called.
    """
    place = ("ja", "en").index(edition)
    source = _IMPORT.sub("", source).lstrip("\n")
    # From the last to the first, so that positions before a change stay right.
    for start, end, text in sorted(_replacements(source, place), reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _replacements(source: str, place: int) -> list[tuple[int, int, str]]:
    offsets = _line_offsets(source)
    found = []
    called = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            if len(node.args) != 2 or node.keywords:
                raise ValueError(f"{ast.unparse(node)}: say takes the Japanese and the English.")
            called.add(node.func)
            start, end = _span(node, source, offsets)
            if not source[start:end].startswith("say("):
                raise ValueError(
                    f"{ast.unparse(node)}: within an f-string say has no place; give its text a name first."
                )
            found.append((start, end, _argument(node.args[place], source)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "say" and node not in called:
            raise ValueError('say is not called here; write say("日本語", "English").')
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "||" in token.string:
            start = offsets[token.start[0] - 1] + token.start[1]
            halves = token.string.removeprefix("#").split("||", 1)
            found.append((start, start + len(token.string), f"# {halves[place].strip()}"))
    return found


def _argument(node: ast.expr, source: str) -> str:
    text = ast.get_source_segment(source, node) or ""
    # Several lines stand on their own only within brackets, and so does a calculation before another operator.
    if "\n" in text:
        return f"(\n{text}\n)"
    return text if isinstance(node, ast.Constant | ast.JoinedStr) else f"({text})"


def _span(node: ast.expr, source: str, offsets: list[int]) -> tuple[int, int]:
    lines = source.splitlines(keepends=True)

    def position(line: int, column: int) -> int:
        # ast counts a line's bytes, not its characters.
        return offsets[line - 1] + len(lines[line - 1].encode()[:column].decode())

    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return position(node.lineno, node.col_offset), position(end_line, end_column)


def _line_offsets(source: str) -> list[int]:
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    return offsets
