"""What the lab shows, worked out another way: by hand in numpy, and read back from its HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

import numpy as np


class Expected(NamedTuple):
    """Arrays over the vocabulary in the order of token ids."""

    raw: np.ndarray
    final: np.ndarray
    cut_by: list[str | None]


def distribution_by_hand(
    logits: np.ndarray,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    prompt_ids: list[int] | None = None,
    forbidden: int | None = None,
) -> Expected:
    """Softmax, then top-k, then top-p, from their definitions. No two logits may be equal.

    Before them the repetition penalty acts on the prompt's tokens, and min_length on the `forbidden` end token.
    """
    raw = np.exp(logits.astype(np.float64) - logits.max())
    logits = logits.astype(np.float64)
    for i in set(prompt_ids or []):
        logits[i] *= repetition_penalty if logits[i] < 0 else 1 / repetition_penalty
    if forbidden is not None:
        logits[forbidden] = -np.inf
    order = np.argsort(-logits)
    cut_by: list[str | None] = [None] * len(logits)
    kept = order[:top_k] if top_k else order
    for token_id in set(order.tolist()) - set(kept.tolist()):
        cut_by[token_id] = "top_k"
    weights = np.exp((logits[kept] - logits.max()) / temperature)
    sums = np.cumsum(weights / weights.sum())
    # The smallest number of tokens whose probabilities sum up to top_p.
    enough = len(kept) if top_p == 1.0 else int(np.argmax(sums >= top_p)) + 1
    for token_id in kept[enough:].tolist():
        cut_by[token_id] = "top_p"
    final = np.zeros(len(logits))
    final[kept[:enough]] = weights[:enough] / weights[:enough].sum()
    if forbidden is not None:
        cut_by[forbidden] = "min_length"
    return Expected(raw / raw.sum(), final, cut_by)


class Percent:
    """A probability, equal to its text in a picture, whatever the number of its decimals (two at most).

    float32 may have rounded the last digit the other way. Only 0 is "0%", and only what is less than that is "<0.01%".
    """

    def __init__(self, probability: float) -> None:
        self.value = float(probability) * 100

    def __eq__(self, text: object) -> bool:
        sign, digits = re.fullmatch(r"(<?)(\d+(?:\.\d{1,2})?)%", str(text)).groups()
        unit = 10 ** -len(digits.partition(".")[2])
        if digits == "0":
            return self.value == 0
        if sign:
            return 0 < self.value < float(digits)
        return abs(self.value - float(digits)) <= unit / 2 + self.value * 1e-5

    def __repr__(self) -> str:
        return f"{self.value:.4f}%"


def table_rows(html: str) -> list[list[str]]:
    """The text of each cell of each table row in some HTML."""
    reader = _Rows()
    reader.feed(html)
    return reader.rows


def text_of(html: str) -> str:
    """The text that a page without any style would show."""
    reader = _Rows()
    reader.feed(html)
    return "".join(reader.texts)


def tags_of(html: str) -> set[str]:
    """The names of the elements in some HTML."""
    reader = _Rows()
    reader.feed(html)
    return reader.tags


class _Rows(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.in_cell:
            self.rows[-1][-1] += data
