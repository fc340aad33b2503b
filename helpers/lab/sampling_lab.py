"""The sampling lab: widgets that wire settings and buttons to drafts, sampling and charts.

Only what ipywidgets 7.7.1 (Google Colab) and 8 share is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import ipywidgets as widgets

from helpers import BUNDLED_MODEL, OPENING_LINE, charts
from helpers.lab.compare_pane import ComparePane
from helpers.lab.controls import Controls
from helpers.lab.drafts import Draft, encode_draft, write_at_once
from helpers.lab.history_pane import HistoryPane
from helpers.lab.japanese_pane import JapanesePane
from helpers.lab.next_token_view import NextTokenView
from helpers.lab.one_thread import handle_in_this_thread
from helpers.lab.parts import COLUMNS, REDRAW_AFTER, ROW, WIDE, Pane, Soon, box, button
from helpers.lab.presets import Preset, presets
from helpers.lab.problems import Problems
from helpers.lab.prompt_view import PromptView
from helpers.lab.snapshot import snapshot
from helpers.lab.texts_view import TextsView
from helpers.lab.token_pane import TokenPane
from helpers.lab.writer import Writer
from helpers.language import say
from helpers.results import Generation
from helpers.sampling import SamplingSettings

if TYPE_CHECKING:
    import torch

    from helpers.models import LanguageModel

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# The picture waits for typing longer than for a drag, in seconds.
TYPING_PAUSE = 0.3
# How many tokens the lab may write before it is shown.
FIRST_TOKENS = 400

_labs: WeakSet[SamplingLab] = WeakSet()


class SamplingLab:
    """Steer `model.generate` by hand: settings, the next token's distribution, texts as they are written.

    The last line of a cell shows it. Without a kernel the notebook shows a picture of its start in its place.

    Args:
        language_model: from `load_model`.
        prompt: the text to continue.
        settings: where the controls start; the article's settings without it. A seed of None becomes 0.

    Running the cell again loses nothing: a new lab stops the one before it, and where both have the same model, goes on
    with its history, to which what the other had just been writing is added.

    Attributes:
        history: all that was written, the oldest first; labs on the same model have it in common.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        prompt: str = OPENING_LINE,
        settings: SamplingSettings | None = None,
    ) -> None:
        self.language_model = language_model
        self.problems = Problems()
        self.history: list[Generation] = []
        self.writer = Writer(language_model, self.keep, self.shown_errors, self._running_changed)
        self._redraw_soon = Soon(self.redraw)

        # Running a cell again leaves the lab of its last run behind: it need not write on unseen. What it has
        # written is kept, and what it is writing too: that comes with its last token.
        for lab in _labs:
            lab.stop()
            if lab._model_name == self._model_name:
                self.history = lab.history
        _labs.add(self)

        self._build(prompt)
        self.history_pane.refresh()
        self.set_settings(settings or SamplingSettings(), None if settings else presets()[0].why)

    @property
    def generation(self) -> Generation | None:
        """What the generate button wrote last, or None."""
        return self.texts.generation

    @property
    def errors(self) -> dict[str, Exception]:
        """What the reader is shown as gone wrong, by what it came from, until that succeeds or the reader acts on it."""
        return self.problems.errors

    @property
    def error(self) -> Exception | None:
        """The exception that a callback ended with last, and that still stands; None if all is well."""
        return next(reversed(self.errors.values()), None)

    @property
    def running(self) -> bool:
        """Whether something is being written."""
        return self.writer.running

    @property
    def stopping(self) -> bool:
        """Whether the reader has stopped what is being written."""
        return self.writer.stopping

    @property
    def masked(self) -> bool:
        """Whether words that a school would not project are covered in what is shown."""
        return self.mask_button.value

    @property
    def _model_name(self) -> tuple[str, str, torch.dtype]:
        # Loaded again, it is the same model.
        lm = self.language_model
        return lm.name, lm.engine, lm.dtype

    # What the reader sees

    def _build(self, prompt: str) -> None:
        self.prompt = PromptView(self, prompt, self._prompt_typed, self._draft_moved)
        self.prompt_box, self.chips = self.prompt.box, self.prompt.chips
        self.problem = self.problems.view
        self.generate_button = button(say("生成", "Generate"), self._generate_clicked)
        self.generate_button.button_style = "primary"
        self.stop_button = button(say("停止", "Stop"), self._stop_clicked)
        self.stop_button.disabled = True
        self.mask_button = widgets.ToggleButton(
            value=os.environ.get("HELPERS_MASK") == "1",
            description=say("伏せ字", "Mask words"),
            layout=WIDE,
        )
        self.mask_button.observe(self._mask_changed, names="value")
        self.progress = self.writer.progress
        self.progress.layout = box(240)

        model = self.language_model
        self.controls = Controls(
            model.n_positions,
            model.vocab_size,
            self._setting_changed,
            self._preset_clicked,
        )
        self.boxes, self.sliders = self.controls.boxes, self.controls.sliders

        self.next_token = NextTokenView(self, self._go_back)
        self.chart = self.next_token.chart
        self.texts = TextsView(self)
        self.result = self.texts.view

        self.token_pane = TokenPane(self)
        self.japanese_pane = JapanesePane(self)
        self.history_pane = HistoryPane(self)
        self.compare_pane = ComparePane(self)
        self.panes: list[Pane] = [
            self.token_pane,
            self.compare_pane,
            self.japanese_pane,
            self.history_pane,
        ]
        self.pane_buttons = widgets.ToggleButtons(
            options=[(pane.title, pane) for pane in self.panes],
            style={"button_width": "auto"},
        )
        self.pane_buttons.observe(self._pane_chosen, names="value")
        self.pane_box = widgets.VBox([self.panes[0].view], layout=WIDE)

        writing = [self.generate_button, self.stop_button, self.mask_button, self.progress]
        self.controls.view.layout = {"flex": "1 1 320px", "min_width": "0", "width": "auto"}
        self.view = widgets.VBox(
            [
                widgets.HBox([self.prompt_box, *writing], layout=ROW),
                self.problem,
                self.chips,
                widgets.HBox([self.controls.view, self.next_token.view], layout=COLUMNS),
                self.result,
                self.pane_buttons,
                self.pane_box,
            ],
            layout={"width": "100%"},
        )
        handle_in_this_thread([self.view, *(pane.view for pane in self.panes)])

    def _pane_chosen(self, change: dict[str, Any]) -> None:
        self.pane_box.children = [change["new"].view]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        # A page with a kernel shows the widgets, one without it the picture: both read the same output.
        self._write_first()
        still = self.still()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        return {"text/plain": repr(still), "text/html": str(still), WIDGET_VIEW: view}

    def still(self) -> charts.Html:
        """What the lab shows now, as a picture that needs no kernel. Controls that contradict are shown as they are."""
        self.catch_up()
        writing = (self.generate_button, self.stop_button, self.mask_button)
        return snapshot(
            self.language_model.name,
            self.prompt_box.value,
            self.controls,
            (self.problem.value, self.chips.value),
            self.chart.value,
            self.result.value,
            ([button.description for button in writing], [pane.title for pane in self.panes]),
        )

    def _write_first(self) -> None:
        """Let a lab that comes into sight have texts, where they are there already or take a second.

        A page without a kernel could not show any otherwise. A model that is not bundled may take a minute for them.
        """
        if self.generation is not None or self.running or self.error is not None:
            return
        with self.shown_errors("writing"):
            draft, settings = self.draft, self.settings
            start = (draft.prompt, settings) if not draft.chosen else None
            for run in reversed(self.history):
                if (run.prompt, run.settings) == start:
                    self.show(run)
                    return
            tokens = settings.max_length * settings.num_return_sequences
            if self.language_model.name == BUNDLED_MODEL and tokens <= FIRST_TOKENS:
                run = write_at_once(self.language_model, draft, settings)
                self.keep([run])
                self.show(run)

    # Settings

    @property
    def settings(self) -> SamplingSettings:
        """What the controls say.

        Raises:
            SettingsError: they contradict each other, as min_length above max_length does.
        """
        return SamplingSettings(**self.controls.values())

    def set_settings(self, settings: SamplingSettings, why: str | None = None) -> None:
        """Move all controls at once, and redraw once. `why` is said, and what a control cannot be moved to.

        Without a `why` it says which preset's settings these are.
        """
        self.controls.set(settings, why)
        self.redraw()

    def _setting_changed(self) -> None:
        self.acted()
        self._redraw_soon(REDRAW_AFTER)

    def _preset_clicked(self, preset: Preset) -> None:
        self.acted()
        with self.shown_errors("settings"):
            seed = self.boxes["seed"].value
            self.set_settings(replace(preset.settings, seed=seed), preset.why)

    # The text, and its next token

    @property
    def draft(self) -> Draft:
        """The text to continue: the typed prompt and the tokens chosen after it."""
        return self.prompt.draft

    def set_draft(self, draft: Draft) -> None:
        """Go to another text; the back button returns to this one."""
        self.prompt.go_to(draft)

    def _go_back(self) -> None:
        if self.prompt.can_go_back:
            self.acted()
            self.prompt.go_back()

    def _draft_moved(self) -> None:
        self.next_token.back_button.disabled = not self.prompt.can_go_back
        self.redraw()

    def _prompt_typed(self) -> None:
        self.next_token.back_button.disabled = True
        self.acted()
        self._redraw_soon(TYPING_PAUSE, restart=True)

    def catch_up(self) -> None:
        """Draw at once what was due to be drawn a moment later: a click is about what the reader has set, not what was drawn."""
        self._redraw_soon.now()
        for pane in self.panes:
            pane.catch_up()

    def redraw(self) -> None:
        """Draw the prompt's tokens and the next token's distribution as the controls stand."""
        self.prompt.redraw()
        self.next_token.redraw()

    # Texts

    def generate(self) -> None:
        """Continue the text, as the button does. While a generation runs, another one is not begun."""
        self.catch_up()
        with self.shown_errors("writing"):
            draft, settings = self.draft, self.settings
            # Checked right here, so that nothing is started that cannot be done.
            encode_draft(self.language_model, draft, settings)
            self.start(lambda: self._generate(draft, settings))

    def stop(self) -> None:
        """Let a running generation end with the token it is at; what was written stays."""
        self.writer.stop()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start work that writes, unless some is already running."""
        self.writer.start(work)
        if not self.running:
            # No loop runs here: the work is done, and whatever it wanted drawn a moment later never would be.
            self.catch_up()

    async def write(
        self, draft: Draft, settings: SamplingSettings, show: Callable[[list[str]], None]
    ) -> Generation:
        """Stream a generation; `show` gets the continuations after each step. It is kept in `history` too."""
        return await self.writer.write(draft, settings, show)

    def keep(self, runs: list[Generation]) -> None:
        """Add runs to the history."""
        self.history += runs
        for lab in _labs:
            if lab.history is self.history:
                lab.history_pane.refresh()

    async def _generate(self, draft: Draft, settings: SamplingSettings) -> None:
        self.show(await self.write(draft, settings, self.texts.as_written(draft)))

    def show(self, generation: Generation) -> None:
        """Show a generation: its texts below the controls, its tokens in the panes."""
        self.texts.show(generation)
        for pane in self.panes:
            pane.show(generation)

    def _mask_changed(self, change: dict[str, Any]) -> None:
        # Texts that are being written follow with their next token.
        if not self.running:
            self.texts.redraw()
        self.prompt.redraw()
        self.next_token.cover()
        for pane in self.panes:
            pane.redraw()

    def _generate_clicked(self, button: widgets.Button) -> None:
        self.generate()

    def _stop_clicked(self, button: widgets.Button) -> None:
        self.stop()

    def _running_changed(self) -> None:
        self.generate_button.disabled = self.running
        self.stop_button.disabled = not self.running
        for pane in self.panes:
            pane.enable()

    # Errors

    def shown_errors(self, source: str) -> AbstractContextManager[None]:
        """Show what a callback raises to the reader, and keep it in `errors`: nothing else would report it."""
        return self.problems.shown(source)

    def acted(self) -> None:
        """The reader has changed something: what a click raised before is out of date.

        Pictures report their own errors when redrawn.
        """
        self.problems.forget("settings", "step", "draw", "writing", "compare", "continue")
