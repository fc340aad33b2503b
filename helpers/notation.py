"""Plain prose out of a file in the notation of 青空文庫 (https://www.aozora.gr.jp/annotation/)."""

import re
import unicodedata

GETA = "〓"  # printers put this mark where they had no type for a character

_GAIJI = re.compile(r"※［＃([^［］]*)］")
_UNICODE = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_PLANE_ROW_CELL = re.compile(r"(?<![0-9-])([12])-([0-9]{1,2})-([0-9]{1,2})(?![0-9-])")
_NOTE = re.compile(r"［＃[^［］]*］")
_RUBY = re.compile(r"《[^《》\n]*》")
_HEADING_LINE = re.compile(r"^.*［＃[^［］]*見出し[^［］]*］.*$", re.MULTILINE)
_ACCENT_SPAN = re.compile(r"〔([^〔〕\n]*)〕")
_LEGEND = re.compile(r"^-{20,}\n.*?^-{20,}\n", re.MULTILINE | re.DOTALL)
_FOOTER = re.compile(r"^(底本：|底本:|底本の親本：).*\Z", re.MULTILINE | re.DOTALL)

# A gaiji note may stand for a character that is itself markup: keep such characters
# out of the way, in the private use area, until the markup is gone.
_MARKUP = "《》｜［］＃※〔〕"
_SHIELD = {ord(c): 0xF0000 + i for i, c in enumerate(_MARKUP)}
_UNSHIELD = {shielded: c for c, shielded in _SHIELD.items()}

_COMBINING = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    ":": "\u0308",
    "&": "\u030a",
    ",": "\u0327",
    "_": "\u0304",
}
_LIGATURES = {"ae&": "æ", "AE&": "Æ", "oe&": "œ", "OE&": "Œ", "s&": "ß", "o/": "ø", "O/": "Ø"}
_LIGATURES |= {"d/": "đ", "D/": "Đ", "l/": "ł", "L/": "Ł", "!@": "¡", "?@": "¿"}
_ACCENT = re.compile(
    "|".join(map(re.escape, _LIGATURES)) + r"|([A-Za-z])([`'^~:&,_])(?=[A-Za-z.,!? \-]|$)"
)


def gaiji(note: str) -> str:
    """Return the character that a gaiji note describes, or 〓 if it names no code.

    `note` is what stands between ※［＃ and ］. A Unicode scalar (``U+5653``) is preferred to a
    JIS X 0213 plane-row-cell (``1-84-77``); both may be in one note.
    """
    if found := _UNICODE.search(note):
        code = int(found[1], 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
    if found := _PLANE_ROW_CELL.search(note):
        plane, row, cell = map(int, found.groups())
        if 1 <= row <= 94 and 1 <= cell <= 94:
            code = bytes([0xA0 + row, 0xA0 + cell])
            try:
                return (code if plane == 1 else b"\x8f" + code).decode("euc_jis_2004")
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
        composed = unicodedata.normalize("NFC", found[1] + _COMBINING[found[2]])
        return composed if len(composed) == 1 else found[0]

    def span(found: re.Match) -> str:
        composed = _ACCENT.sub(letter, found[1])
        return found[0] if composed == found[1] else composed

    return _ACCENT_SPAN.sub(span, text)


def split_file(text: str) -> tuple[list[str], str, str]:
    """Cut a file into (header lines, body, footer).

    The header runs to the first empty line: title, perhaps subtitles, then the people. The legend
    of signs after it is dropped. The footer opens at 底本： and is "" where a file has none.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    head, _, rest = text.partition("\n\n")
    header = [line.strip() for line in head.split("\n")]
    rest = _LEGEND.sub("", rest, count=1)
    footer = _FOOTER.search(rest)
    if footer is None:
        return header, rest, ""
    return header, rest[: footer.start()], footer[0]


def plain(body: str) -> str:
    """Turn an annotated body into prose, one paragraph a line, without indentation.

    Ruby, ｜ and ［＃...］ notes go, gaiji notes become their character, accents are composed.
    Lines that a note marks as a heading are left out: they are not prose.
    """
    body = _GAIJI.sub(lambda found: gaiji(found[1]).translate(_SHIELD), body)
    body = _HEADING_LINE.sub("", body)
    body = _RUBY.sub("", body).replace("｜", "")
    while (stripped := _NOTE.sub("", body)) != body:  # notes can hold notes
        body = stripped
    body = accents(body).translate(_UNSHIELD)
    paragraphs = (line.strip() for line in body.split("\n"))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)
