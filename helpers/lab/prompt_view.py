"""The prompt and its tokens: what was typed, what was chosen after it token by token, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import Draft
from helpers.lab.parts import FITS, WIDE, Host
from helpers.tokenizer import normalize

CHIPS_SHOWN = 200


class PromptView:
    """Holds the lab's draft.

    Args:
        typed: called when the reader has changed the prompt.
        moved: called when the lab has gone to another draft.
    """

    def __init__(
        self, lab: Host, prompt: str, typed: Callable[[], None], moved: Callable[[], None]
    ) -> None:
        self.lab = lab
        self._typed, self._moved = typed, moved
        self._chosen: tuple[int, ...] = ()
        self._before: list[Draft] = []
        self._changing = False
        self.box = widgets.Textarea(
            value=prompt,
            description="prompt",
            rows=2,
            layout={"flex": "1 1 220px", "width": "auto", "min_width": "0", "max_width": FITS},
            style={"description_width": "initial"},
        )
        self.box.observe(self._prompt_changed, names="value")
        self.chips = widgets.HTML(layout=WIDE)

    @property
    def draft(self) -> Draft:
        """The typed prompt and the tokens chosen after it."""
        return Draft(self.box.value, self._chosen)

    @property
    def can_go_back(self) -> bool:
        """Whether there is an earlier draft."""
        return bool(self._before)

    def go_to(self, draft: Draft) -> None:
        """Switch to another draft; `go_back` returns to this one."""
        self._before.append(self.draft)
        self._show(draft)

    def go_back(self) -> None:
        """Return to the draft before the last step."""
        self._show(self._before.pop())

    def _show(self, draft: Draft) -> None:
        self._changing = True
        try:
            self.box.value = draft.prompt
        finally:
            self._changing = False
        self._chosen = draft.chosen
        self._moved()

    def _prompt_changed(self, change: dict[str, Any]) -> None:
        if not self._changing:
            # What was typed is not to be lost to a step back.
            self._chosen = ()
            self._before.clear()
            self._typed()

    def redraw(self) -> None:
        """Draw the tokens of the draft, and what normalisation made of the prompt."""
        chips = ""
        with self.lab.shown_errors("tokens"):
            tokenizer, prompt = self.lab.language_model.tokenizer, self.box.value
            chips = str(charts.token_chips(tokenizer, prompt, CHIPS_SHOWN))
            chips += charts.normalization(prompt, normalize(tokenizer, prompt), CHIPS_SHOWN)
            if self._chosen:
                chips += charts.chosen_chips(tokenizer, self._chosen, self.lab.masked)
        self.chips.value = chips
