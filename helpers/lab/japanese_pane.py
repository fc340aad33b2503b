"""The texts as Japanese: in vertical writing, characters against tokens, the share of each script."""

from __future__ import annotations

import re

import ipywidgets as widgets

from helpers import charts
from helpers.lab.parts import Host, Pane, press_generate_first
from helpers.language import say
from helpers.results import Generation

KANA_AND_KANJI = {
    "kanji": re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々〆〇]"),
    "hiragana": re.compile(r"[ぁ-ゟ]"),
    "katakana": re.compile(r"[ァ-ヿㇰ-ㇿｦ-ﾟ]"),
}


def script_shares(text: str) -> dict[str, float]:
    """The share (0 to 1) of kanji, hiragana, katakana and other characters in a text, white space left out."""
    letters = "".join(text.split())
    counts = {name: len(kind.findall(letters)) for name, kind in KANA_AND_KANJI.items()}
    counts["other"] = len(letters) - sum(counts.values())
    return {name: count / max(len(letters), 1) for name, count in counts.items()}


class JapanesePane(Pane):
    """A table that counts, and below it the texts."""

    def __init__(self, lab: Host) -> None:
        self.lab = lab
        self.title = say("縦書きと文字", "Vertical text, scripts")
        self.generation: Generation | None = None
        self.table = widgets.HTML(value=press_generate_first())
        self.texts = widgets.HTML()
        self.view = widgets.VBox([self.table, self.texts])

    def show(self, generation: Generation) -> None:
        """Show a new generation."""
        self.generation = generation
        self.redraw()

    def redraw(self) -> None:
        """Draw the latest generation again, if there is one."""
        if self.generation is None:
            return
        header = [
            say("文", "text"),
            say("文字", "characters"),
            say("トークン", "tokens"),
            say("1 トークンの文字数", "characters per token"),
            say("漢字", "kanji"),
            say("ひらがな", "hiragana"),
            say("カタカナ", "katakana"),
            say("その他", "other"),
        ]
        rows = []
        for i, sequence in enumerate(self.generation.sequences, start=1):
            text, tokens = sequence.text, len(sequence.token_ids)
            shares = [charts.percent(share) for share in script_shares(text).values()]
            rows.append([i, len(text), tokens, charts.number(len(text) / tokens), *shares])
        self.table.value = charts.table(rows, header, align=["right"] * len(header))
        views = [
            charts.vertical_text(sequence.text, masked=self.lab.masked)
            for sequence in self.generation.sequences
        ]
        self.texts.value = charts.cards(views, [str(i + 1) for i in range(len(views))])
