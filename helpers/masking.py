"""Words that a school would not project: find them in a text, and mask them."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

WORDS = Path(__file__).with_name("words_to_mask.txt")
SIGN = "×"  # what Japanese printers set for a word they may not print


class Found(NamedTuple):
    """One such word in a text: text[start:end] == word."""

    start: int
    end: int
    word: str


@cache
def words_to_mask() -> dict[str, tuple[str, ...]]:
    """Each word of the list, with the longer strings in which the same characters are innocent.

    ``words_to_mask.txt`` says how it is written; the site reads the same file.
    """
    lines = (line.split() for line in WORDS.read_text(encoding="utf-8").split("\n"))
    return {line[0]: tuple(line[1:]) for line in lines if line and not line[0].startswith("#")}


def find_words(text: str) -> list[Found]:
    """All words of the list in `text`, in order; except inside an innocent string."""
    found = []
    for word, innocent in words_to_mask().items():
        if word in text:
            spans = [span for longer in innocent for span in _spans(longer, text)]
            for start, end in _spans(word, text):
                if not any(left <= start and end <= right for left, right in spans):
                    found.append(Found(start, end, word))
    return sorted(found)


def mask_words(text: str, sign: str = SIGN) -> str:
    """`text` with `sign`, one character, for each character of such a word; its length stays."""
    while found := find_words(text):  # a mask can take away what made a neighbour innocent
        characters = list(text)
        for start, end, _ in found:
            characters[start:end] = sign * (end - start)
        text = "".join(characters)
    return text


def _spans(part: str, text: str) -> list[tuple[int, int]]:
    """Where `part` occurs in `text`, overlapping places included."""
    spans, start = [], text.find(part)
    while start >= 0:
        spans.append((start, start + len(part)))
        start = text.find(part, start + 1)
    return spans
