"""Reading a text of your own: its encoding, the notation of 青空文庫, a held-out part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from helpers.errors import unusable
from helpers.finetune.encodings import decode
from helpers.finetune.errors import FinetuneError
from helpers.finetune.files import read_bytes, unpacked
from helpers.finetune.notation import plain, split_file
from helpers.finetune.xhtml import is_page, read_page
from helpers.language import say
from helpers.memory import size

# Characters. With less there is neither something to learn nor something to measure.
SHORTEST = 1000
# Bytes. A text of this length or more may take some seconds: it is said that it is read.
LONG = 500_000

_FRAME = re.compile(
    r"^.{0,2}テキス.?中に現れる記号について|^[ 　]*(?:翻訳の?)?底本(?:[：:]|の親本：)", re.MULTILINE
)
_NOTE = re.compile(r"［＃[^［］\n]*］")
_RUBY = re.compile(r"(?:[一-龥々〆ヶ]|｜[^《》\n]+)《[ぁ-んァ-ヶー・ゝゞヽヾ／″＼]+》")


class Document(NamedTuple):
    """A text ready to learn from: one paragraph a line.

    `cleaned` says whether 青空文庫's notation was removed. `damaged` has the line and the byte in the file, both from 1,
    of each place that was read as 〓.
    """

    text: str
    encoding: str
    cleaned: bool
    damaged: tuple[tuple[int, int], ...] = ()


def read_document(source: str | Path | bytes) -> Document:
    """Read a text in any encoding that Japanese files come in; what 青空文庫 adds to its texts is taken out.

    That is ruby, notes, header and footer of its text files, and of its XHTML edition. A zip with one text in it is
    read too. A damaged byte becomes 〓, and a sentence is printed that says where.

    Args:
        source: the path of a file, or a file's bytes.

    Raises:
        FinetuneError: there is no such file, or it is empty, not a text, or larger than 64 MiB; a zip has no text or
            several; a page is not from that library.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, name = bytes(source), say("このファイル", "the file")
    else:
        data, name = read_bytes(Path(source)), str(source)
    data = unpacked(data, name)
    if len(data) > LONG:
        length = size(len(data))
        print(
            say(f"{name}（{length}）を読んでいます……", f"reading {name} ({length}) ..."), flush=True
        )
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"):
        raise _empty(name)
    if is_page(data):
        return _from_page(data, name)
    found = decode(data)
    if found is None:
        raise FinetuneError(
            f"{name}は、UTF-8、UTF-16、Shift_JIS、EUC-JP、ISO-2022-JP のどれとしても読めません。"
            "テキストエディターで開き、文字コードを UTF-8 にして保存しなおしてください。",
            f"{name} cannot be read as UTF-8, UTF-16, Shift_JIS, EUC-JP or ISO-2022-JP: open it in a text editor and "
            "save it as UTF-8.",
        )
    damaged = tuple((data.count(b"\n", 0, offset) + 1, offset + 1) for offset in found.damaged)
    if damaged:
        print(_damage(name, damaged))
    text = found.text.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = _is_annotated(text)
    if cleaned:
        # Only whole files have a header; a body that somebody pasted has not.
        text = plain(split_file(text)[1] if _FRAME.search(text) else text)
    text = "\n".join(filter(None, (line.strip() for line in text.split("\n"))))
    if not text:
        raise _empty(name)
    return Document(text, found.encoding, cleaned, damaged)


def _is_annotated(text: str) -> bool:
    """Whether a text is in 青空文庫's notation: by its frame, its notes, or (old files) nothing but ruby."""
    if _FRAME.search(text) or _NOTE.search(text):
        return True
    ruby = len(_RUBY.findall(text))
    return ruby >= 2 and ruby >= 0.9 * text.count("《")


def _from_page(data: bytes, name: str) -> Document:
    text = read_page(data)
    if text:
        return Document(text, "XHTML", True)
    raise FinetuneError(
        f"{name}はウェブページ（HTML）で、青空文庫の本文が見つかりません。青空文庫の作品なら、図書カードから"
        "「テキストファイル」をダウンロードして指定してください。ほかのページなら、文章をテキストファイルに写してください。",
        f"{name} is a web page (HTML) that holds no text from 青空文庫: for a work in that library, download the "
        "テキストファイル (text file) from its page there and use that; for any other page, copy the text into a text file.",
    )


def _damage(name: str, damaged: tuple[tuple[int, int], ...]) -> str:
    places = damaged[:3]
    ja = "、".join(f"{line} 行目（{byte:,} バイト目）" for line, byte in places)
    en = ", ".join(f"line {line} (byte {byte:,})" for line, byte in places)
    more = len(damaged) - len(places)
    ja_more, en_more = (f"など {len(damaged)} か所", f" and {more} more") if more else ("", "")
    return say(
        f"{name}の {ja}{ja_more}は壊れていて読めないので、〓 にして先を読みました。",
        f"{name} is damaged at {en}{en_more}: these places were read as 〓.",
    )


def _empty(name: str) -> FinetuneError:
    return FinetuneError(
        f"{name}は空です。文章の入ったテキストファイルを指定してください。",
        f"{name} is empty: use a text file with something in it.",
    )


def split_text(text: str, held_out: float = 0.15) -> tuple[str, str]:
    """Cut a text in two, at the end of a paragraph or sentence: (to learn from, held out).

    Args:
        held_out: the share (0 to 1) of characters at the text's end that is only for measuring.

    Raises:
        FinetuneError: the text has fewer than 1,000 characters, or the share leaves nothing on one side.
    """
    if not 0 < held_out < 1:
        raise FinetuneError(
            *unusable(
                "held_out", held_out, "0 より大きく 1 より小さい割合", "a fraction between 0 and 1"
            )
        )
    if len(text) < SHORTEST:
        raise FinetuneError(
            f"文章が短すぎます（{len(text):,} 文字）。{SHORTEST:,} 文字以上の文章を指定してください。",
            f"the text is too short ({len(text):,} characters): use one with at least {SHORTEST:,} characters.",
        )
    goal = len(text) * (1 - held_out)
    for border in (r"\n", r"(?<=[。！？」])", ""):
        places = [found.end() for found in re.finditer(border, text)]
        cut = min(places, key=lambda place: abs(place - goal), default=0)
        # A border too far away would leave too little on one side.
        if abs(cut - goal) <= len(text) * min(held_out, 1 - held_out) / 2:
            break
    return text[:cut].strip(), text[cut:].strip()
