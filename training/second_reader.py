"""A second reader of 青空文庫's files, to check the first by: it takes notes out and does nothing else.

It goes by lines and counts brackets, shares no code with `helpers.finetune.notation` and imports nothing of ours.
"""


def note_free(text: str) -> list[str]:
    """The lines of a file's body that are not empty, without ［＃...］, 《...》 and ｜.

    ※ stays for its character, ／＼ and 〔e'〕 as they are. Header, legend and footer are left out.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\ufeff").split("\n")
    body = lines[_start(lines) : _end(lines)]
    shown = (_outside_brackets(line).strip() for line in body)
    return [line for line in shown if line]


def _is_rule(line: str) -> bool:
    return len(line.strip()) >= 5 and set(line.strip()) <= set("-－―─=＝")


def _start(lines: list[str]) -> int:
    """The line after the header and, where the file has one, the legend."""
    header = lines.index("") + 1 if "" in lines else 0
    for i, line in enumerate(lines[:60]):
        title = line.strip("【】《》［］〔〕 　")
        after_rule = any(map(_is_rule, lines[max(0, i - 2) : i]))
        if (
            title in ("テキスト中に現れる記号について", "表記について")
            or (after_rule and title.endswith("現れる記号について"))  # with a slip in it
            or (after_rule and line.startswith(("《》：", "｜：", "［＃］：")))  # without a title
        ):
            rules = [j for j in range(i + 1, min(i + 60, len(lines))) if _is_rule(lines[j])]
            return rules[0] + 1 if rules else header
    return header


def _end(lines: list[str]) -> int:
    """The line that opens the footer, or the typist's own notes before it."""
    end = _footer(lines)
    for i in range(end - 1, end // 2, -1):
        if len(lines[i]) > 3 and lines[i].lstrip("●※").startswith(("入力者注", "入力者補注")):
            end = i
    while end and (_is_rule(lines[end - 1]) or not lines[end - 1]):
        end -= 1
    return end


def _footer(lines: list[str]) -> int:
    for i, line in enumerate(lines):
        if "［＃本文終わり］" in line:
            return i
        if line.lstrip(" 　").startswith(("底本：", "底本:", "底本「", "底本の親本", "底本・初出")):
            return i
        if line.startswith(("翻訳の底本", "翻訳底本")):
            return i
    last = len(lines) - 1
    while last > 0 and not lines[last].startswith(("入力：", "テキスト入力", "青空文庫作成")):
        last -= 1
    while last > 0 and lines[last]:
        last -= 1
    return last or len(lines)


def _outside_brackets(line: str) -> str:
    """A line without what stands in ［＃...］ (which may hold brackets) and 《...》 (which may not)."""
    kept, rest = [], line
    while rest:
        at = min((i for i in map(rest.find, ("［＃", "《", "｜")) if i >= 0), default=len(rest))
        kept.append(rest[:at])
        length = _note(rest[at:])
        kept.append("" if length else rest[at : at + 1])
        rest = rest[at + (length or 1) :]
    return "".join(kept)


def _note(line: str) -> int:
    """How long the note is that `line` begins with; 0 if it is none."""
    if line.startswith("｜"):
        return 1
    if line.startswith("《"):
        end = line.find("》")
        return end + 1 if end > 0 and "《" not in line[1:end] else 0
    depth = 0
    for i, character in enumerate(line):
        depth += (character == "［") - (character == "］")
        if depth == 0:
            return i + 1 if i else 0
    return line.find("］") + 1  # brackets that do not pair: to the first that closes
