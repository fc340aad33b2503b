"""The texts below the controls: as they are written, and then coloured by probability."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import Draft
from helpers.lab.parts import WIDE, Host
from helpers.results import Generation

# Pixels: on a laptop a text is as wide as the page, so all of the first one is in sight.
TEXT_WIDTH = 640


class TextsView:
    """Holds the generation that the lab shows, None at first."""

    def __init__(self, lab: Host) -> None:
        self.lab = lab
        self.generation: Generation | None = None
        self.view = widgets.HTML(layout=WIDE)

    def as_written(self, draft: Draft) -> Callable[[list[str]], None]:
        """A function that shows continuations of a draft as far as they have come."""
        start = charts.pieces_text(self.lab.language_model.tokenizer, draft.chosen)

        def show(texts: list[str]) -> None:
            views = [
                charts.plain_text(draft.prompt, start + text, masked=self.lab.masked)
                for text in texts
            ]
            titles = [str(i + 1) for i in range(len(texts))]
            self.view.value = charts.cards(views, titles, TEXT_WIDTH)

        return show

    def show(self, generation: Generation) -> None:
        """Show a new generation."""
        self.generation = generation
        self.redraw()

    def redraw(self) -> None:
        """Draw the latest generation again, if there is one."""
        if self.generation is not None:
            tokenizer = self.lab.language_model.tokenizer
            self.view.value = charts.generation_cards(
                self.generation, tokenizer, self.lab.masked, TEXT_WIDTH
            )
