"""Two settings with the same text and the same seed, side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import Draft, encode_draft
from helpers.lab.parts import ROW, Host, Pane, button
from helpers.lab.presets import presets
from helpers.language import say
from helpers.results import Sequence
from helpers.sampling import SamplingSettings


class ComparePane(Pane):
    """Holds the settings A and B; at the start the article's and the cautious ones."""

    def __init__(self, lab: Host) -> None:
        self.lab = lab
        self.title = say("2 つの設定を比べる", "Compare two settings")
        article, _, cautious, *_ = presets()
        self.settings = {"A": article.settings, "B": cautious.settings}
        self._compared: list[Sequence] = []
        self.take_buttons = [
            button(
                say(f"今の設定を {name} にする", f"Use the settings as {name}"),
                partial(self._take_clicked, name),
            )
            for name in self.settings
        ]
        self.compare_button = button(say("比べる", "Compare"), self._compare_clicked)
        self.table = widgets.HTML()
        self.result = widgets.HTML()
        self.view = widgets.VBox(
            [
                widgets.HBox([*self.take_buttons, self.compare_button], layout=ROW),
                self.table,
                self.result,
            ]
        )
        self._show_settings()

    def enable(self) -> None:
        """Let the button be pressed where nothing is being written."""
        self.compare_button.disabled = self.lab.running

    def redraw(self) -> None:
        """Draw both texts again, if both were written."""
        if self._compared:
            tokenizer = self.lab.language_model.tokenizer
            a, b = self._compared
            self.result.value = charts.comparison(a, b, tokenizer, self.lab.masked)

    def _show_settings(self) -> None:
        values = {name: asdict(settings) for name, settings in self.settings.items()}
        # Both write one text with the seed of the controls.
        fields = [f for f in values["A"] if f not in ("num_return_sequences", "seed")]
        rows = [[name, *(values[name][field] for field in fields)] for name in values]
        self.table.value = charts.table(rows, [say("設定", "settings"), *fields])

    def _take_clicked(self, name: str, button: widgets.Button) -> None:
        with self.lab.shown_errors("compare"):
            self.settings[name] = self.lab.settings
            self._show_settings()

    def _compare_clicked(self, button: widgets.Button) -> None:
        self.lab.catch_up()
        with self.lab.shown_errors("compare"):
            draft, seed = self.lab.draft, self.lab.settings.seed
            both = [
                replace(settings, num_return_sequences=1, seed=seed)
                for settings in self.settings.values()
            ]
            for settings in both:
                encode_draft(self.lab.language_model, draft, settings)
            self.lab.start(lambda: self._compare(draft, both))

    async def _compare(self, draft: Draft, both: list[SamplingSettings]) -> None:
        self._compared = []
        start = charts.pieces_text(self.lab.language_model.tokenizer, draft.chosen)
        texts = ["", ""]
        written = []
        for i, settings in enumerate(both):

            def show(sequences: list[str], i: int = i) -> None:
                texts[i] = start + sequences[0]
                views = [
                    charts.plain_text(draft.prompt, text, masked=self.lab.masked) for text in texts
                ]
                self.result.value = charts.cards(views, list(self.settings))

            generation = await self.lab.write(draft, settings, show)
            written.append(generation.sequences[0])
            if self.lab.stopping:
                return
        self._compared = written
        self.redraw()
