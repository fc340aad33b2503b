"""Plain text out of a file in the notation of 青空文庫 (https://www.aozora.gr.jp/annotation/)."""

import re
import unicodedata
from functools import cache
from pathlib import Path

GETA = "〓"  # printers put this mark where they had no type for a character
AGAIN = "〳〵"  # Unicode's own くの字点, for a repetition whose length is not certain
DOUBLED = Path(__file__).with_name("doubled_words.txt")

_GAIJI = re.compile(r"※［＃([^［］]*)］")
_UNICODE = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_PLANE_ROW_CELL = re.compile(r"(?<![0-9-])([12])-([0-9]{1,2})-([0-9]{1,2})(?![0-9-])")
_NOTE = re.compile(r"［＃(?:[^［］]|［(?!＃)[^［］]*］)*］")
_BROKEN_NOTE = re.compile(r"［＃(?:[^「」［］\n]|「[^「」\n]*」)*」|［＃[^［］\n]*［[^［］\n]*］")
_OLD_NOTE = re.compile(r"(?:(?:[\[【]|(?<=※)「)＃|(?<=※)［(?!＃))([^\[\]【】［］\n]+)[\]】］]")
_NAMED = re.compile(
    r"([^［］「」\n]{1,9})［＃「\1」は([^［］「」]*)］"
)  # III［＃「III」はローマ数字3、1-13-23］
_RUBY = re.compile(r"《[^《》\n]*》")
_RUBY_START = re.compile(r"｜(?=[^｜《\n]*《)")  # without ruby after it, it is a bar of the text
_ACCENT_SPAN = re.compile(r"〔([\x00-\x7f]*)〕|〔([^〔〕\n]*)(?:〕|$)", re.M)
_SPLIT_NOTE = re.compile(r"［＃(?:ここ(?:から|で))?割り注(終わり)?］")

# The legend is between two rules, right after the title; its own title says what it is.
_RULE = r"[-－―─=＝]{5,}[ 　]*\n"
_LEGEND = re.compile(
    rf"^{_RULE}\s*(?:[【《［〔(（]?(?:テキス.?中に現れる記号|表記)について|(?:《》|｜|［＃］)：).*?^{_RULE}",
    re.M | re.S,
)
_OLD_LEGEND = re.compile(
    rf"(?:［収録作品］\n(?:.+\n)*\n*)?［表記について］\n(?:.+\n)*?{_RULE}"  # one rule, below it
)
_PROSE = re.compile(r"\A　|.{80}|。」?$", re.M)  # in no header of the library
_FOOTER = re.compile(r"^[ 　]*(?:翻訳の?)?底本(?:[：:「]|の親本|・初出)|［＃本文終わり］", re.M)
# In old files the typist numbers his own notes, ［※１］, and puts them at the end.
_TYPISTS_NOTES = re.compile(r"^(?:[-─]{5,}\n+)?[●※]?入力者補?注[０-９0-9]*(?:：|$)", re.M)
_TYPISTS_MARK = re.compile(r"［※[０-９0-9～、]+］")
_CREDITS = re.compile(r"^(?:テキスト)?(?:入力|校正)者?[：:]|^青空文庫作成ファイル", re.M)

_SIZE = r"(?:同行|窓)?[大中小]見出し?"
_HEADING_BLOCK = re.compile(rf"［＃ここから({_SIZE})］.*?［＃ここで\1終わり］", re.S)
_HEADING_SPAN = re.compile(rf"［＃({_SIZE})］[^\n]*?［＃{_SIZE}終わり］")
_HEADING_NOTE = re.compile(rf"［＃「([^［］\n]+?)」は{_SIZE}[^［］]*］")
_OTHER_NOTE = re.compile(rf"［＃(?!「[^［］\n]+?」は{_SIZE}[^［］]*］)[^［］]*］")

# A gaiji note may stand for a character that is itself markup: keep such characters
# out of the way, in the private use area, until the markup is gone.
_MARKUP = "《》｜［］＃※〔〕"
_SHIELD = {ord(c): 0xF0000 + i for i, c in enumerate(_MARKUP)}
_UNSHIELD = {shielded: c for c, shielded in _SHIELD.items()}

_COMBINING = dict(zip("`'^~:&,_", "\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u0304", strict=True))
_LIGATURES = {"ae&": "æ", "AE&": "Æ", "oe&": "œ", "OE&": "Œ", "s&": "ß", "o/": "ø", "O/": "Ø"}
_LIGATURES |= {"!@": "¡", "?@": "¿"}
# The letters of the library's own table. A colon before a space and a comma that ends a word
# are no accents, nor is the apostrophe of an elision (qu'on).
_ACCENT = re.compile(
    "|".join(map(re.escape, _LIGATURES))
    + r"|[AEIOUaeiou][`^_]|[ANOano]~|[Aa]&|[AEIOUaeiouy]:(?! )|[Cc],(?=[A-Za-z])"
    + r"|[AEIOYaeioy]'|(?<![Qq])[Uu]'"
)

_REPEAT = re.compile(r"／([″゛”\"゜°]?)＼")
_KANA = re.compile(r"(?:[ぁ-んゝゞー]+|[ァ-ヶヽヾー]+)$")
_WORD = re.compile(r"[ぁ-んァ-ヶー一-龥々ゝゞヽヾ]*$")


def gaiji(note: str) -> str:
    """Return the character that a gaiji note describes, or 〓 if it names no code.

    `note` is the text between ※［＃ and ］. A Unicode scalar (``U+5653``) is preferred to a
    JIS X 0213 plane-row-cell (``1-84-77``); both may be in one note.
    """
    if found := _UNICODE.search(note):
        code = int(found[1], 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
    if found := _PLANE_ROW_CELL.search(note):
        plane, row, cell = map(int, found.groups())
        if 1 <= row <= 94 and 1 <= cell <= 94:
            pair = bytes([0xA0 + row, 0xA0 + cell])
            try:
                return (pair if plane == 1 else b"\x8f" + pair).decode("euc_jis_2004")
            except UnicodeDecodeError:
                pass
    return GETA


def accents(text: str) -> str:
    """Compose the ASCII spelling of accents inside 〔 〕: ``〔e'tude〕`` becomes ``étude``.

    Brackets with nothing to compose are the author's own and stay.
    """

    def letter(found: re.Match) -> str:
        if found[0] in _LIGATURES:
            return _LIGATURES[found[0]]
        return unicodedata.normalize("NFC", found[0][0] + _COMBINING[found[0][1]])

    def span(found: re.Match) -> str:
        inside = found[1] if found[1] is not None else found[2]
        composed = _ACCENT.sub(letter, inside)
        return found[0] if composed == inside else composed

    return _ACCENT_SPAN.sub(span, text)


@cache
def doubled_words() -> frozenset[str]:
    """Words that the library writes out twice in a row; ゛ marks one whose second is voiced."""
    return frozenset(DOUBLED.read_text(encoding="utf-8").split())


def repetitions(text: str) -> str:
    """Write くの字点 out: ``いろ／＼`` becomes ``いろいろ``, ``しみ／″＼`` becomes ``しみじみ``.

    What is repeated is the longest word before the sign that the library doubles elsewhere; if
    there is none, one to three kana that stand alone. If there are none either, 〳〵 is written.
    """
    pieces = _REPEAT.split(text)
    out = pieces[0]
    for mark, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        before = out[-12:]
        word = _repeated(before, bool(mark))
        out += (_voiced(word, mark) if word else AGAIN) + rest
    return out


def _repeated(before: str, voiced: bool) -> str:
    known = doubled_words()
    for length in range(min(7, len(before)), 1, -1):
        word = before[-length:]
        if voiced and _voiced(word, "″") != word:
            if word + "゛" in known:
                return word
        elif word in known:
            return word
    kana, stretch = _KANA.search(before), _WORD.search(before)
    if kana and (
        (stretch and kana[0] == stretch[0] and len(kana[0]) <= 3) or "ァ" <= kana[0][0] <= "ヶ"
    ):
        return kana[0] if len(kana[0]) <= 5 else ""
    return ""


def _voiced(word: str, mark: str) -> str:
    if not mark:
        return word
    sign = "\u309a" if mark in "゜°" else "\u3099"
    first = unicodedata.normalize("NFC", word[0] + sign)
    return (first if len(first) == 1 else word[0]) + word[1:]


def split_file(text: str) -> tuple[list[str], str, str]:
    """Cut a file into (header lines, body, footer).

    The header is everything before the legend of signs, or before the first empty line if a
    file has no legend: title, perhaps subtitles, then the people. The legend is dropped. The footer
    opens at 底本： (or 翻訳の底本：, 本文終わり, the credits) and is "" where a file has none.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff\n")
    head, _, rest = text.partition("\n\n")
    legend = _LEGEND.search(text, 0, len(head) + 6000)
    if legend and text.count("\n", 0, legend.start()) <= 20:
        head, rest = text[: legend.start()], text[legend.end() :]
    elif legend := _OLD_LEGEND.match(rest.lstrip("\n")):
        rest = rest.lstrip("\n")[legend.end() :]
    elif _PROSE.search(head):  # a part of a work, with the footer
        head, rest = "", text
    header = [line.strip() for line in head.split("\n") if line.strip()]
    end = len(rest)
    if footer := _FOOTER.search(rest):
        end = footer.start()
    elif (start := rest.rstrip().rfind("\n\n")) >= 0 and _CREDITS.search(rest, start):
        end = start
    if notes := _TYPISTS_NOTES.search(rest, end // 4, end):
        end = notes.start()
    return header, rest[:end], rest[end:].lstrip("\n")


def plain(body: str, headings: bool = True) -> str:
    """Turn an annotated body into plain text, one paragraph a line, without indentation.

    Ruby, ｜ and ［＃...］ notes go, gaiji notes become their character, accents are composed and
    くの字点 written out. With `headings` False the words that a note marks as a heading go too, and
    nothing beside them: what follows a heading in its line stays.
    """
    body = _OLD_NOTE.sub(r"［＃\1］", body)
    body = _GAIJI.sub(lambda found: gaiji(found[1]).translate(_SHIELD), body)
    body = _TYPISTS_MARK.sub("", body)
    body = _RUBY.sub("", _RUBY_START.sub("", body))
    if not headings:
        body = _without_headings(body)
    body = _NAMED.sub(_named, _SPLIT_NOTE.sub(_parenthesis, body))
    while (stripped := _NOTE.sub("", body)) != body:  # notes can hold notes
        body = stripped
    body = _BROKEN_NOTE.sub("", body)
    body = accents(repetitions(body)).translate(_UNSHIELD)
    paragraphs = (line.strip() for line in body.split("\n"))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def _named(found: re.Match) -> str:
    """What a note says to be one character of JIS X 0213, spelt with others, is that character."""
    known = _PLANE_ROW_CELL.search(found[2]) and "非0213外字" not in found[2]
    character = gaiji(found[2]) if known else GETA
    return found[0] if character == GETA else character.translate(_SHIELD)


def _parenthesis(note: re.Match) -> str:
    """割り注 is set in small type in the line; in plain text parentheses keep it apart."""
    if note[1]:
        return "" if note.string[note.end() : note.end() + 1] == "）" else "）"
    return "" if note.string[: note.start()][-1:] == "（" else "（"


def _without_headings(body: str) -> str:
    body = _HEADING_SPAN.sub("", _HEADING_BLOCK.sub("", body))
    lines = body.split("\n")
    for i, line in enumerate(lines):
        if "見出" in line:
            while (stripped := _OTHER_NOTE.sub("", line)) != line:
                line = stripped
            while note := _HEADING_NOTE.search(line):
                before = line[: note.start()].removesuffix(note[1])
                line = before + line[note.end() :]
            lines[i] = line
    return "\n".join(lines)
