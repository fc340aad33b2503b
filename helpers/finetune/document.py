"""Reading a text of one's own: its encoding, the notation of 青空文庫, a held-out part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from helpers.finetune.errors import FinetuneError, unusable
from helpers.finetune.notation import plain, split_file
from helpers.language import say

# Characters. With less there is neither something to learn nor something to measure.
SHORTEST = 1000

_AOZORA = re.compile(r"［＃[^［］]*］|^【テキスト中に現れる記号について】|^底本[：:]", re.MULTILINE)
_FRAME = re.compile(r"^【テキスト中に現れる記号について】|^底本[：:]", re.MULTILINE)
# What is no text, or text in another encoding, has these in it when it is read as UTF-8 or Shift_JIS.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MOJIBAKE = re.compile(r"[\x00-\x08\x0e-\x1f\uff61-\uff9f\ue000-\uf8ff]")


class Document(NamedTuple):
    """A text ready to learn from: one paragraph a line. `cleaned` says whether 青空文庫's notation was removed."""

    text: str
    encoding: str
    cleaned: bool


def read_document(source: str | Path | bytes) -> Document:
    """Read a text file in UTF-8 or Shift_JIS; ruby, notes, header and footer of 青空文庫 are taken out.

    Args:
        source: the path of a file, or a file's bytes.

    Raises:
        FinetuneError: there is no such file, or it is empty, or neither UTF-8 nor Shift_JIS.
    """
    if isinstance(source, bytes):
        data, name = source, say("このファイル", "the file")
    else:
        name = str(source)
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise FinetuneError(
                say(
                    f"{name}を読めません（{type(error).__name__}）。"
                    "ファイルの名前と場所を確かめるか、Colab なら左のフォルダーの印からアップロードしてください。",
                    f"{name} cannot be read ({type(error).__name__}): check its name and place; on Colab, upload it "
                    "with the folder symbol on the left.",
                )
            ) from error
    text, encoding = _decode(data, name)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = bool(_AOZORA.search(text))
    if cleaned:
        # Only whole files have a header; a body that somebody pasted has not.
        text = plain(split_file(text)[1] if _FRAME.search(text) else text)
    text = "\n".join(filter(None, (line.strip() for line in text.split("\n"))))
    if not text:
        raise FinetuneError(
            say(
                f"{name}は空です。文章の入ったテキストファイルを指定してください。",
                f"{name} is empty: give a text file with something in it.",
            )
        )
    return Document(text, encoding, cleaned)


def _decode(data: bytes, name: str) -> tuple[str, str]:
    for encoding, shown, strange in (
        ("utf-8-sig", "UTF-8", _CONTROL),
        ("cp932", "Shift_JIS", _MOJIBAKE),
    ):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(strange.findall(text)) <= len(text) / 4:
            return text, shown
    raise FinetuneError(
        say(
            f"{name}は UTF-8 でも Shift_JIS でもないようです。"
            "テキストエディターで開き、文字コードを UTF-8 にして保存しなおしてください。",
            f"{name} seems to be neither UTF-8 nor Shift_JIS: open it in a text editor and save it as UTF-8.",
        )
    )


def uploaded(value: Any) -> bytes | None:
    """The bytes of the last file in the value of an `ipywidgets.FileUpload`, or None if there is none.

    ipywidgets 8 has a tuple of files there, 7 (Colab) a dict of them by name.
    """
    files = list(value.values() if isinstance(value, Mapping) else value)
    return bytes(files[-1]["content"]) if files else None


def split_text(text: str, held_out: float = 0.15) -> tuple[str, str]:
    """Cut a text in two, at the end of a paragraph or sentence: (to learn from, held out).

    Args:
        held_out: the share (0 to 1) of characters at the text's end that is only for measuring.

    Raises:
        FinetuneError: the text has fewer than 1,000 characters, or the share leaves nothing on one side.
    """
    if not 0 < held_out < 1:
        raise unusable(
            "held_out", held_out, "0 より大きく 1 より小さい割合", "a share between 0 and 1"
        )
    if len(text) < SHORTEST:
        raise FinetuneError(
            say(
                f"文章が短すぎます（{len(text):,} 文字）。{SHORTEST:,} 文字以上の文章を指定してください。",
                f"the text is too short ({len(text):,} characters): give one of at least {SHORTEST:,} characters.",
            )
        )
    goal = len(text) * (1 - held_out)
    for border in (r"\n", r"(?<=[。！？」])", ""):
        places = [found.end() for found in re.finditer(border, text)]
        cut = min(places, key=lambda place: abs(place - goal), default=0)
        # A border too far away would leave too little on one side.
        if abs(cut - goal) <= len(text) * min(held_out, 1 - held_out) / 2:
            break
    return text[:cut].strip(), text[cut:].strip()
