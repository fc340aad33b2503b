"""Any new token of a text by its position: what else could have stood there, and how to go on from it."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import Draft, NextToken, draft_before, encode_draft
from helpers.lab.parts import (
    REDRAW_AFTER,
    ROW,
    SLIDER,
    Host,
    Pane,
    Soon,
    box,
    button,
    note,
    press_generate_first,
)
from helpers.language import say
from helpers.masking import mask_words
from helpers.results import Generation
from helpers.sampling import Candidate

ALTERNATIVES = 10


class TokenPane(Pane):
    """A text with one token in a frame, and the distribution that it was drawn from."""

    def __init__(self, lab: Host) -> None:
        self.lab = lab
        self.title = say("トークンを選ぶ", "Pick a token")
        self.generation: Generation | None = None
        self._next_token = NextToken(lab.language_model)
        self._redraw_soon = Soon(self.redraw)
        self._changing = False
        self.sequence_box = widgets.Dropdown(
            options=[("1", 0)], description=say("文", "text"), layout=box(150)
        )
        self.position_box = widgets.BoundedIntText(
            1, min=1, max=1, description=say("何番目", "position"), layout=box(170)
        )
        self.position_slider = widgets.IntSlider(1, min=1, max=1, readout=False, layout=SLIDER)
        self.alternative_box = widgets.Dropdown(
            options=[], description=say("候補", "alternative"), layout=box(260)
        )
        self.continue_button = button(
            say("このトークンで続ける", "Continue with this token"), self._continue_clicked
        )
        self.continue_button.disabled = True
        self.alternative_box.observe(lambda change: self.enable(), names="value")
        self.sequence_box.observe(self._sequence_chosen, names="value")
        self.position_box.observe(self._position_changed, names="value")
        self.position_slider.observe(self._slider_moved, names="value")
        self.text = widgets.HTML(value=press_generate_first())
        self.chart = widgets.HTML()
        self.view = widgets.VBox(
            [
                widgets.HBox(
                    [self.sequence_box, self.position_box, self.position_slider], layout=ROW
                ),
                self.text,
                widgets.HBox([self.alternative_box, self.continue_button], layout=ROW),
                self.chart,
            ]
        )

    def show(self, generation: Generation) -> None:
        """Show a new generation, at the first new token of its first text."""
        self.generation = generation
        self._changing = True
        try:
            self.sequence_box.options = [(str(i + 1), i) for i in range(len(generation.sequences))]
            self.sequence_box.value = 0
            self.position_box.value = 1
        finally:
            self._changing = False
        self._sequence_chosen()
        # At once: the button below continues from what is drawn.
        self.catch_up()

    def catch_up(self) -> None:
        """Draw at once what was due to be drawn a moment later."""
        self._redraw_soon.now()

    def enable(self) -> None:
        """Let the button be pressed where there is a token to go on with, and nothing is being written."""
        self.continue_button.disabled = self.lab.running or self.alternative_box.value is None

    def redraw(self) -> None:
        """Draw the text with the token marked, and what the model could have drawn there."""
        if self.generation is None:
            return
        text = chart = ""
        candidates: list[Candidate] = []
        with self.lab.shown_errors("token"):
            text = self._text(self.generation)
            draft = self._draft(self.generation)
            distribution = self._next_token.distribution(draft, self.generation.settings)
            place = self.position_box.value
            chart = charts.distribution_chart(
                distribution,
                ALTERNATIVES,
                title=say(f"{place} 番目", f"position {place}"),
                masked=self.lab.masked,
            )
            candidates = distribution.head(ALTERNATIVES)
        self.text.value, self.chart.value = text, chart
        self.alternative_box.options = [
            (f"{self._shown(c.piece)}  {charts.percent(c.raw)}", c.token_id) for c in candidates
        ]
        # ipywidgets 8 leaves a list that was empty without a choice.
        self.alternative_box.index = 0 if candidates else None
        self.enable()

    def _sequence_chosen(self, change: dict[str, Any] | None = None) -> None:
        if self._changing or self.generation is None:
            return
        steps = len(self.generation.sequences[self.sequence_box.value].steps)
        self.position_box.max = self.position_slider.max = max(steps, 1)
        self._redraw_soon(REDRAW_AFTER)

    def _slider_moved(self, change: dict[str, Any]) -> None:
        self.position_box.value = change["new"]

    def _position_changed(self, change: dict[str, Any]) -> None:
        self.position_slider.value = change["new"]
        if not self._changing:
            self._redraw_soon(REDRAW_AFTER)

    def _text(self, generation: Generation) -> str:
        """The text, its token in a frame, and below that token's own probabilities."""
        tokenizer = self.lab.language_model.tokenizer
        sequence = generation.sequences[self.sequence_box.value]
        place = self.position_box.value - 1
        marked = charts.probability_text(sequence, tokenizer, mark=place, masked=self.lab.masked)
        if place >= len(sequence.steps):
            return marked
        step = sequence.steps[place]
        (piece,) = tokenizer.convert_ids_to_tokens([step.token_id])
        return marked + note(charts.token_numbers(self._shown(piece), step))

    def _shown(self, piece: str) -> str:
        return mask_words(piece) if self.lab.masked else piece

    def _draft(self, generation: Generation) -> Draft:
        step = self.position_box.value - 1
        model, sequence = self.lab.language_model, self.sequence_box.value
        return draft_before(model, generation, sequence, step)

    def _continue_clicked(self, button: widgets.Button) -> None:
        # The second press of a double click is one too many: the first has gone on already.
        if self.lab.running:
            return
        self.lab.catch_up()
        with self.lab.shown_errors("continue"):
            if self.generation is None or self.alternative_box.value is None:
                return
            draft = self._draft(self.generation).then(self.alternative_box.value)
            # Checked first, so that the text is left only for one that can be continued.
            encode_draft(self.lab.language_model, draft, self.lab.settings)
            self.lab.set_draft(draft)
            self.lab.generate()
