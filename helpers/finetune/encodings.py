"""Bytes to text: telling the encodings of Japanese files apart, and reading on past a damaged byte."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from helpers.finetune.notation import GETA

_DAMAGE = "\ufffd"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_MAIL = ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3")
_SHIFT = re.compile(rb"\x1b\$(?:[@B]|\([DOPQ])|\x1b\([IJ]")
_SHIFT_RUN = re.compile(rb"(\x1b\$(?:[@B]|\([DOPQ]))([^\x1b\r\n]*)")
_GETA_PAIR = b"\x22\x2e"
_GUESSES = (
    ("utf-8", "UTF-8"),
    ("cp932", "Shift_JIS"),
    ("shift_jis_2004", "Shift_JIS-2004"),
    ("euc_jp", "EUC-JP"),
    ("euc_jis_2004", "EUC-JIS-2004"),
    ("utf-16-le", "UTF-16"),
    ("utf-16-be", "UTF-16"),
)
# What no text has in it, and what a text has little of unless it is read in the wrong encoding: characters that are
# neither Japanese, nor Latin, Greek, Cyrillic, nor signs.
_BAD = re.compile(
    rf"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff{_DAMAGE}]"
)
_ODD = re.compile(
    r"[^\x00-\u024f\u0300-\u052f\u1e00-\u1fff\u2000-\u33ff\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffee"
    r"\U00010000-\U0003ffff]"
)
_KANA = re.compile(r"[ぁ-ヿ]")


class Decoded(NamedTuple):
    """A text and the name of its encoding; `damaged` holds the offset (bytes, from 0) of each byte read as 〓."""

    text: str
    encoding: str
    damaged: tuple[int, ...] = ()


def decode(data: bytes) -> Decoded | None:
    """Detect the encoding of a text and read it, or return None if it is not a known one.

    Known are UTF-8, UTF-16 and UTF-32 (these by their mark, UTF-16 also without one where it is certain), Shift_JIS
    with Microsoft's characters or those of JIS X 0213, EUC-JP with either, ISO-2022-JP. At most one byte in a hundred
    may be damaged.
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return _read(data, codec, name, len(mark))
    if _SHIFT.search(data):
        return _read_mail(data)
    best, least = None, 1.0
    for codec, name in _GUESSES:
        if codec.startswith("utf-16") and len(data) % 2:
            continue
        found = _read(data, codec, name)
        if found is None:
            continue
        text = found.text
        cost = (len(found.damaged) + len(_ODD.findall(text)) / 2) / len(text)
        if codec.startswith("utf-16"):  # any two bytes are a character there
            cost = cost if cost < 0.01 and len(_KANA.findall(text)) >= len(text) / 10 else 1.0
        elif codec.startswith("euc") and len(text) > 50 and not _KANA.search(text):
            cost = 1.0  # Chinese and Korean files have this form
        # A single odd place in a long text is a damaged byte, not another character set.
        if "2004" in codec and best and len(best.damaged) == 1 and len(text) > 10_000:
            continue
        if cost < least and cost <= 0.15:
            best, least = found, cost
        if not least:
            break
    return best


def _read(data: bytes, codec: str, name: str, start: int = 0) -> Decoded | None:
    """The text from `start` on, or None if it has none, or more than a hundredth of it is damage."""
    text, damaged = _read_on(data[start:], codec)
    if text is None:
        return None
    text = text.rstrip("\x1a")  # DOS closed its files with it
    # Some codecs let through what no text has in it.
    damaged += [
        len(text[: found.start()].encode(codec, "replace"))
        for found in _BAD.finditer(text.replace(_DAMAGE, GETA))
    ]
    if not text or len(damaged) > max(1, len(text) / 100) or (damaged and len(text) < 20):
        return None
    places = tuple(sorted(offset + start for offset in damaged))
    return Decoded(_BAD.sub(GETA, text) if damaged else text, name, places)


def _read_mail(data: bytes) -> Decoded | None:
    """ISO-2022-JP, where a lost byte would shift all that follows: bad pairs become 〓 before it is decoded."""
    damaged = []

    def repair(run: re.Match) -> bytes:
        body = run[2]
        for i in range(0, len(body), 2):
            pair = body[i : i + 2]
            if len(pair) < 2 or not all(0x21 <= byte <= 0x7E for byte in pair):
                damaged.append(run.start(2) + i)
                body = body[:i] + _GETA_PAIR + body[i + 2 :]
        return run[1] + body

    repaired = _SHIFT_RUN.sub(repair, data)
    for codec in _MAIL:
        found = _read(repaired, codec, "ISO-2022-JP")
        if found and not found.damaged and len(damaged) <= max(1, len(found.text) / 100):
            return found._replace(damaged=tuple(damaged))
    return _read(repaired, "iso2022_jp_ext", "ISO-2022-JP")


def _read_on(data: bytes, codec: str) -> tuple[str | None, list[int]]:
    """The text with U+FFFD for what does not decode, and where that was; None if that is much of it."""
    view, start = memoryview(data), 0
    pieces: list[str] = []
    damaged: list[int] = []
    while True:
        try:
            pieces.append(codecs.decode(view[start:], codec))
            return "".join(pieces), damaged
        except UnicodeDecodeError as error:
            at = start + error.start
            if len(damaged) > max(1, at / 50) and (len(damaged) > 20 or at > len(data) / 2):
                return None, damaged  # another encoding: no need to read on
            pieces += [codecs.decode(view[start:at], codec), _DAMAGE]
            damaged.append(at)
            start = max(at + 1, start + error.end)
            # Both bytes of a pair go, or the second would open another.
            if start == at + 1 and start < len(data) and _is_pair(codec, data[at], data[start]):
                start += 1
            while codec == "utf-8" and start < len(data) and 0x80 <= data[start] <= 0xBF:
                start += 1


def _is_pair(codec: str, first: int, second: int) -> bool:
    if codec.startswith("euc"):
        return first >= 0xA1 and second >= 0xA1
    if codec in ("cp932", "shift_jis_2004"):
        return (0x81 <= first <= 0x9F or 0xE0 <= first <= 0xFC) and 0x80 <= second <= 0xFC
    return False
