"""青空文庫's XHTML edition as plain text: ruby and notes dropped, pictures of characters read."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from helpers.finetune.encodings import decode
from helpers.finetune.notation import gaiji, repetitions

_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
_PAGE = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head)\b",
    re.I | re.S,
)
_CODE = re.compile(r"([12])-([0-9]{2})-([0-9]{2})\.png")
_DROPPED = {"rt", "rp", "rtc", "script", "style", "title"}
_DROPPED_CLASSES = {"notes", "kaeriten", "okurigana", "bibliographical_information", "after_text"}
_DROPPED_CLASSES |= {"notation_notes", "metadata"}
_EMPTY = {"br", "hr", "img", "meta", "link", "input", "area", "base", "col"}
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "blockquote", "hr", "br"}


def is_page(data: bytes) -> bool:
    """Whether the bytes are an HTML page."""
    return bool(_PAGE.match(data[:4096]))


def read_page(data: bytes) -> str | None:
    """The work on a page of 青空文庫, one paragraph a line; None if the page is not of that library."""
    text = _text(data)
    if text is None or not re.search(r"class=[\"']main_text|aozora\.gr\.jp|青空文庫", text):
        return None
    parser = _Page(whole="main_text" not in text)
    parser.feed(text)
    parser.close()
    lines = (line.strip() for line in repetitions("".join(parser.pieces)).split("\n"))
    return "\n".join(line for line in lines if line)


def _text(data: bytes) -> str | None:
    named = _CHARSET.search(data[:4096])
    if named:
        name = named[1].decode("ascii").lower()
        codec = "cp932" if name in ("shift_jis", "sjis", "x-sjis", "windows-31j") else name
        try:
            return data.decode(codec)
        except (LookupError, UnicodeDecodeError):
            pass  # a wrong name, or a damaged byte: the bytes themselves tell
    found = decode(data)
    return found.text if found else None


class _Page(HTMLParser):
    """Collects in `pieces` what is read aloud on a page. `open` holds (tag, is dropped, is the text) of open elements."""

    def __init__(self, whole: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.open: list[tuple[str, bool, bool]] = []
        self.whole = whole

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        classes = set((values.get("class") or "").split())
        if tag in _BLOCKS and self._heard():
            self.pieces.append("\n")
        if tag == "img" and self._heard() and "gaiji" in classes:
            self.pieces.append(_character(values.get("src") or "", values.get("alt") or ""))
        if tag not in _EMPTY:
            dropped = tag in _DROPPED or bool(classes & _DROPPED_CLASSES)
            self.open.append((tag, dropped, "main_text" in classes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _, _ in self.open):
            if tag in _BLOCKS and self._heard():
                self.pieces.append("\n")
            while self.open and self.open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        # A line of the source is not a line of the page: that is what <br /> is for.
        text = re.sub(r"[\r\n]+", "", data)
        if note := re.match(r"［＃(.*)］\Z", text):
            if self.pieces and self.pieces[-1].endswith("※"):
                self.pieces[-1] = self.pieces[-1][:-1] + gaiji(note[1])
        elif self._heard():
            self.pieces.append(text)

    def _heard(self) -> bool:
        inside = self.whole or any(main for _, _, main in self.open)
        return inside and not any(dropped for _, dropped, _ in self.open)


def _character(source: str, description: str) -> str:
    """The character of a picture: by the picture's name (1-84-77), else by its description."""
    if code := _CODE.search(source):
        return gaiji("-".join(code.groups()))
    return gaiji(description)
