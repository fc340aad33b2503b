"""The next token's chart, and what continues from it: one token at a time, or a hundred draws against a guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import NextToken, draw
from helpers.lab.parts import ROW, WIDE, Host, box, button, note
from helpers.language import say
from helpers.masking import mask_words
from helpers.sampling import Distribution

CHART_ROWS = 8
DRAWS = 100


class NextTokenView:
    """Shows the distribution after the lab's draft under the lab's settings.

    Args:
        go_back: called when the back button is clicked.
    """

    def __init__(self, lab: Host, go_back: Callable[[], None]) -> None:
        self.lab = lab
        self._next_token = NextToken(lab.language_model)
        self._draws = 0
        self._drawn: tuple[Distribution, Counter[int], int] | None = None  # with the guess
        self.chart = widgets.HTML(layout=WIDE)
        self.step_button = button(say("1 トークン進める", "One token"), self._step_clicked)
        self.back_button = button(say("戻る", "Back"), lambda _: go_back())
        self.back_button.disabled = True
        self.guess_box = widgets.BoundedIntText(
            0,
            min=0,
            max=DRAWS,
            description=say("予想: 1 位は何回？", "guess: times no. 1 is drawn"),
            style={"description_width": "initial"},
            layout=box(230),
        )
        self.draw_button = button(say(f"{DRAWS} 回引く", f"Draw {DRAWS}"), self._draw_clicked)
        self.note = widgets.HTML()
        steering = [self.step_button, self.back_button, self.guess_box, self.draw_button]
        self.view = widgets.VBox(
            [self.chart, widgets.HBox(steering, layout=ROW), self.note],
            layout={"flex": "2 1 380px", "min_width": "0"},
        )

    def redraw(self) -> None:
        """Draw the distribution; where there is none, say why there is no picture. What was drawn before is gone."""
        chart = ""
        with self.lab.shown_errors("picture"):
            chart = charts.distribution_chart(
                self._distribution(), CHART_ROWS, masked=self.lab.masked
            )
        self._draws, self._drawn = 0, None
        self.note.value = ""
        # A picture of settings other than those in sight would lie.
        self.chart.value = chart or note(
            say(
                "書き出しと設定を直すと、ここに次のトークンの確率が出ます。",
                "The next token’s probabilities appear here once the prompt and the settings are valid.",
            )
        )

    def cover(self) -> None:
        """Draw again what is shown: what is masked has changed."""
        if self._drawn:
            self._show_drawn(*self._drawn)
        else:
            self.redraw()

    def _distribution(self) -> Distribution:
        return self._next_token.distribution(self.lab.draft, self.lab.settings)

    def _step_clicked(self, button: widgets.Button) -> None:
        self.lab.catch_up()
        with self.lab.shown_errors("step"):
            draft, seed = self.lab.draft, self.lab.settings.seed or 0
            # Each position has its own seed, or every step would make the same draw.
            (token_id,) = draw(self._distribution(), 1, seed + len(draft.chosen))
            if token_id == self.lab.language_model.tokenizer.eos_token_id:
                self.note.value = note(
                    say(
                        "</s> が引かれました。文章はここで終わりです。",
                        "</s> was drawn: the text ends here.",
                    )
                )
                return
            self.lab.set_draft(draft.then(token_id))

    def _draw_clicked(self, button: widgets.Button) -> None:
        self.lab.catch_up()
        with self.lab.shown_errors("draw"):
            distribution, seed = self._distribution(), self.lab.settings.seed or 0
            counts = Counter(draw(distribution, DRAWS, seed + self._draws))
            self._draws += 1
            self._drawn = distribution, counts, self.guess_box.value
            self._show_drawn(*self._drawn)

    def _show_drawn(self, distribution: Distribution, counts: Counter[int], guess: int) -> None:
        masked = self.lab.masked
        self.chart.value = charts.distribution_chart(
            distribution, CHART_ROWS, counts, masked=masked
        )
        first = distribution.head(1)[0]
        piece = mask_words(first.piece) if masked else first.piece
        expected, seen = charts.number(first.final * DRAWS), counts[first.token_id]
        self.note.value = note(
            say(
                f"1 位「{piece}」: 予想 {guess} 回、期待値 {expected} 回、実際 {seen} 回",
                f"No. 1, “{piece}”: guessed {guess}, expected {expected}, drawn {seen} times",
            )
        )
