"""The sampling lab: widgets that wire settings and buttons to session, sampling and charts.

Only what ipywidgets 7.7.1 (Google Colab) and 8 share is used. Generation is one coroutine on the kernel's loop,
which gives the loop a turn after each token: so texts appear while they are written, and the stop button is
heard. Where no loop runs, the same coroutine runs to its end before the call returns, for a minute at most.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import ipywidgets as widgets

from helpers import charts
from helpers.errors import Explained
from helpers.language import say
from helpers.sampling import Distribution, Generation, SamplingSettings
from helpers.session import (
    Draft,
    NextToken,
    as_code,
    as_text,
    draft_before,
    draft_of,
    draw,
    encode_draft,
    load,
    nearest,
    new_runs,
    presets,
    record_path,
    save,
    script_shares,
    stream_draft,
    top_k_scale,
)
from helpers.tokenizer import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from helpers.charts import Html
    from helpers.models import LanguageModel
    from helpers.sampling import Candidate, StreamEvent

OPENING = "国境の長いトンネルを抜けると雪国であった。"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# How long generation may hold the kernel where it cannot be stopped by a button, in seconds.
BLOCKING_TIME = 60.0
# A drag sends many values: the picture follows at this pace, in seconds. Typing waits a little longer.
REDRAW_AFTER = 0.02
TYPING_PAUSE = 0.3
# What the loop gets after each step to hear the stop button and to send the text.
LOOP_TURN = 0.01
# JavaScript's numbers are exact to 2**53; a seed of 32 bits is enough to tell runs apart.
LARGEST_SEED = 2**32 - 1
MOST_SEQUENCES = 8
CHIPS_SHOWN = 200
DRAWS = 100
ALTERNATIVES = 10

_WRAP = widgets.Layout(width="auto", flex_flow="row wrap", align_items="center")
_COLUMNS = widgets.Layout(width="auto", flex_flow="row wrap", align_items="flex-start")
_BUTTON = widgets.Layout(width="auto")
# On a phone a control is no wider than the page, with the margin that ipywidgets gives it.
_FITS = "calc(100% - 4px)"
_BOX = widgets.Layout(width="250px", max_width=_FITS, flex="0 0 auto")
_SMALL_BOX = widgets.Layout(width="170px", max_width=_FITS)
_SLIDER = widgets.Layout(flex="1 1 100px", min_width="80px", width="auto")
_LABEL_STYLE = {"description_width": "170px"}

_labs: WeakSet[SamplingLab] = WeakSet()


class SamplingLab:
    """Steer `model.generate` by hand: settings, the next token's distribution, texts as they are written.

    The last line of a cell shows it. Without a kernel the notebook shows a picture of its start in its place.

    Args:
        language_model: from `load_model`.
        prompt: the text to be continued.
        settings: where the controls start; the article's settings without it. A seed of None becomes 0.

    Running the cell again loses nothing: a new lab stops the one before it, and where both have the same model, goes on
    with its history, to which what the other had just been writing is added.

    Attributes:
        errors: what the reader is shown as gone wrong, by what it came from. It stays until that succeeds, or the
            reader acts on it.
        generation: what the generate button wrote last, or None.
        history: all that was written, the oldest first; labs on the same model have it in common.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        prompt: str = OPENING,
        settings: SamplingSettings | None = None,
    ) -> None:
        self.language_model = language_model
        self.errors: dict[str, Exception] = {}
        self.generation: Generation | None = None
        self.history: list[Generation] = []
        self._next_token = NextToken(language_model)
        self._chosen: tuple[int, ...] = ()
        self._before: list[Draft] = []
        self._draws = 0
        self.stopping = False
        self._deadline = math.inf
        self._running = False
        self._changing = False
        self._redraw_soon = _Soon(self.redraw)
        self._task: asyncio.Task[None] | None = None

        # Running a cell again leaves the lab of its last run behind: it need not write on unseen. What it has
        # written is kept, and what it is writing too: that comes with its last token.
        for lab in _labs:
            lab.stop()
            if lab._model_name == self._model_name:
                self.history = lab.history
        _labs.add(self)

        self._build(prompt)
        self.history_pane.refresh()
        self.set_settings(
            settings or SamplingSettings(), _own_settings() if settings else presets()[0].why
        )

    @property
    def error(self) -> Exception | None:
        """The exception that a callback ended with last, and that still stands; None if all is well."""
        return next(reversed(self.errors.values()), None)

    @property
    def running(self) -> bool:
        """Whether something is being written."""
        return self._running

    @property
    def _model_name(self) -> tuple[str, str, torch.dtype]:
        # Loaded again, it is the same model.
        lm = self.language_model
        return lm.name, lm.engine, lm.dtype

    # What the reader sees

    def _build(self, prompt: str) -> None:
        wide = widgets.Layout(width="auto")
        self.prompt_box = widgets.Textarea(
            value=prompt,
            description="prompt",
            rows=2,
            layout=wide,
            style={"description_width": "initial"},
        )
        self.prompt_box.observe(self._prompt_changed, names="value")
        self.chips = widgets.HTML(layout=wide)
        self.boxes, self.sliders = self._number_controls()
        self.do_sample_box = widgets.Checkbox(
            value=True, description="do_sample", indent=False, layout=widgets.Layout(width="auto")
        )
        self.do_sample_box.observe(self._setting_changed, names="value")

        self.preset_buttons = []
        for preset in presets():
            self.preset_buttons.append(_button(preset.name, partial(self._preset_clicked, preset)))
        self.preset_note = widgets.HTML()
        self.chart = widgets.HTML(layout=wide)
        self.step_button = _button(say("1 トークン進める", "One token"), self._step_clicked)
        self.back_button = _button(say("戻る", "Back"), self._back_clicked)
        self.back_button.disabled = True
        self.guess_box = widgets.BoundedIntText(
            0,
            min=0,
            max=DRAWS,
            description=say("予想: 1 位は何回？", "guess: how often the first?"),
            style={"description_width": "initial"},
            layout=widgets.Layout(width="230px", max_width=_FITS),
        )
        self.draw_button = _button(say(f"{DRAWS} 回引く", f"Draw {DRAWS}"), self._draw_clicked)
        self.draw_note = widgets.HTML()
        self.problem = widgets.HTML(layout=wide)

        self.generate_button = _button(say("生成", "Generate"), self._generate_clicked)
        self.generate_button.button_style = "primary"
        self.stop_button = _button(say("停止", "Stop"), self._stop_clicked)
        self.stop_button.disabled = True
        self.progress = widgets.HTML()
        self.result = widgets.HTML(layout=wide)

        self.token_pane = _TokenPane(self)
        self.japanese_pane = _JapanesePane(self)
        self.history_pane = _HistoryPane(self)
        self.compare_pane = _ComparePane(self)
        self.panes = [
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
        self.pane_box = widgets.VBox([self.panes[0].view], layout=wide)

        pairs = [
            widgets.HBox([self.boxes[name], self.sliders[name]], layout=_WRAP)
            for name in self.boxes
        ]
        controls = widgets.VBox(
            [
                widgets.HBox(self.preset_buttons, layout=_WRAP),
                self.preset_note,
                self.do_sample_box,
                *pairs,
                widgets.HBox([self.generate_button, self.stop_button], layout=_WRAP),
                self.progress,
                self.problem,
            ],
            layout=widgets.Layout(flex="1 1 300px", min_width="0"),
        )
        steering = [self.step_button, self.back_button, self.guess_box, self.draw_button]
        picture = widgets.VBox(
            [self.chart, widgets.HBox(steering, layout=_WRAP), self.draw_note],
            layout=widgets.Layout(flex="2 1 380px", min_width="0"),
        )
        self.view = widgets.VBox(
            [
                self.prompt_box,
                self.chips,
                widgets.HBox([controls, picture], layout=_COLUMNS),
                self.result,
                self.pane_buttons,
                self.pane_box,
            ],
            layout=widgets.Layout(width="100%"),
        )

    def _pane_chosen(self, change: dict[str, Any]) -> None:
        self.pane_box.children = [change["new"].view]

    def _number_controls(
        self,
    ) -> tuple[dict[str, widgets.Widget], dict[str, widgets.IntSlider]]:
        """A number box and a slider for each setting, by name. The box holds the value.

        A slider goes over the steps of a scale, so top_k is as easy to move at 5 as at 5,000; a value typed
        between two steps stays, and the slider stands at the nearest.
        """
        longest = self.language_model.n_positions
        vocabulary = self.language_model.model.config.vocab_size
        hundredths = [i / 100 for i in range(1, 101)]
        twentieths = [i / 20 for i in range(1, 41)]
        scales = {
            "top_k": (top_k_scale(vocabulary), 0, vocabulary, None),
            "top_p": (hundredths, 0.001, 1.0, 0.01),
            "temperature": ([*twentieths, 2.5, 3.0, 4.0, 5.0], 0.01, 100.0, 0.05),
            "repetition_penalty": ([1 + i / 20 for i in range(21)], 0.01, 10.0, 0.05),
            "min_length": (range(longest + 1), 0, longest, None),
            "max_length": (range(1, longest + 1), 1, longest, None),
            "num_return_sequences": (range(1, MOST_SEQUENCES + 1), 1, MOST_SEQUENCES, None),
            "seed": (range(101), 0, LARGEST_SEED, None),
        }
        boxes: dict[str, widgets.Widget] = {}
        sliders: dict[str, widgets.IntSlider] = {}
        for name, (scale, low, high, step) in scales.items():
            look = {"description": name, "style": _LABEL_STYLE, "layout": _BOX}
            boxes[name] = box = (
                widgets.BoundedIntText(low, min=low, max=high, **look)
                if step is None
                else widgets.BoundedFloatText(low, min=low, max=high, step=step, **look)
            )
            sliders[name] = slider = widgets.IntSlider(
                0, min=0, max=len(scale) - 1, readout=False, layout=_SLIDER
            )
            slider.observe(partial(self._slider_moved, box, scale), names="value")
            box.observe(partial(self._box_changed, slider, scale), names="value")
        return boxes, sliders

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        # A page with a kernel shows the widgets, one without it the picture: both read the same output.
        still = self.still()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        return {"text/plain": repr(still), "text/html": str(still), WIDGET_VIEW: view}

    def still(self) -> Html:
        """What the lab shows now, as a picture that needs no kernel. Controls that contradict are shown as they are."""
        self.catch_up()
        values = self._values()
        pictures = [
            self.chips.value,
            charts.table([values.values()], values),
            self.problem.value,
            self.chart.value,
        ]
        note = say(
            "サンプリング実験室（ここは静止画です。セルを実行すると、動かせます）",
            "Sampling lab (a still picture: run the cell to operate it)",
        )
        parts = "".join(f"<div>{picture}</div>" for picture in pictures if picture)
        # Half of a character pair, which a browser may send, cannot be sent back as text.
        prompt = self.prompt_box.value[:40].encode("utf-8", "replace").decode("utf-8")
        return charts.Html(
            f"<div><b>{escape(note)}</b></div>{parts}",
            f"SamplingLab({self.language_model.name}): {prompt}",
        )

    # Settings

    @property
    def settings(self) -> SamplingSettings:
        """What the controls say.

        Raises:
            SettingsError: they contradict each other, as min_length above max_length does.
        """
        return SamplingSettings(**self._values())

    def _values(self) -> dict[str, Any]:
        """What the controls say, contradictions included, in the order of the settings."""
        values = {name: box.value for name, box in self.boxes.items()}
        values["do_sample"] = self.do_sample_box.value
        return {field.name: values[field.name] for field in fields(SamplingSettings)}

    def set_settings(self, settings: SamplingSettings, why: str = "") -> None:
        """Move all controls at once, and redraw once. `why` is said, and what a control cannot be moved to."""
        values = asdict(settings)
        values["seed"] = values["seed"] or 0
        self._changing = True
        try:
            self.do_sample_box.value = values["do_sample"]
            for name, box in self.boxes.items():
                box.value = values[name]
        finally:
            self._changing = False
        ends = [
            f"{name}: {wanted} → {self._values()[name]}"
            for name, wanted in values.items()
            if wanted != self._values()[name]
        ]
        if ends:
            limits = say(
                f"このモデルと実験室の上限・下限に合わせました（{'、'.join(ends)}）。",
                f"Moved to what this model and the lab can take ({', '.join(ends)}).",
            )
            why = f"{why} {limits}".strip()
        self.preset_note.value = _note(why) if why else ""
        self.redraw()

    def _slider_moved(self, box: widgets.Widget, scale: Any, change: dict[str, Any]) -> None:
        # A typed value between two steps moves the slider to the nearest: that must not move the value.
        if nearest(scale, box.value) != change["new"]:
            box.value = scale[change["new"]]

    def _box_changed(self, slider: widgets.IntSlider, scale: Any, change: dict[str, Any]) -> None:
        slider.value = nearest(scale, change["new"])
        self._setting_changed(change)

    def _setting_changed(self, change: dict[str, Any]) -> None:
        if not self._changing:
            self.preset_note.value = _note(_own_settings())
            self.acted()
            self._redraw_soon(REDRAW_AFTER)

    def _prompt_changed(self, change: dict[str, Any]) -> None:
        if not self._changing:
            # What was typed is not to be lost to a step back.
            self._chosen = ()
            self._before.clear()
            self.back_button.disabled = True
            self.acted()
            self._redraw_soon(TYPING_PAUSE, restart=True)

    def _preset_clicked(self, preset: Any, button: widgets.Button) -> None:
        self.acted()
        with self.shown_errors("settings"):
            seed = self.boxes["seed"].value
            self.set_settings(replace(preset.settings, seed=seed), preset.why)

    def catch_up(self) -> None:
        """Draw now what is to be drawn a moment later: a click is about what the reader has set, not what was drawn."""
        self._redraw_soon.now()
        self.token_pane.catch_up()

    def redraw(self) -> None:
        """Draw the prompt's tokens and the next token's distribution as the controls stand."""
        chips = chart = ""
        with self.shown_errors("picture"):
            chips = self._chips()
            chart = charts.distribution_chart(self._distribution())
        self._draws = 0
        self.draw_note.value = ""
        self.chips.value = chips
        # A picture of other settings than those in sight would lie.
        self.chart.value = chart or _note(
            say(
                "書き出しと設定を直すと、ここに次のトークンの確率が出ます。",
                "The next token’s probabilities appear here when prompt and settings can be used.",
            )
        )

    def _chips(self) -> str:
        tokenizer, prompt = self.language_model.tokenizer, self.prompt_box.value
        chips = charts.token_chips(tokenizer, prompt, CHIPS_SHOWN)
        chips += charts.normalization(prompt, normalize(tokenizer, prompt), CHIPS_SHOWN)
        if self._chosen:
            chips += charts.chosen_chips(tokenizer, self._chosen)
        return chips

    def _distribution(self) -> Distribution:
        return self._next_token.distribution(self.draft, self.settings)

    # One token at a time

    @property
    def draft(self) -> Draft:
        """The text that is to be continued: the typed prompt and the tokens chosen after it."""
        return Draft(self.prompt_box.value, self._chosen)

    def set_draft(self, draft: Draft) -> None:
        """Go to another text; the back button returns to this one."""
        self._before.append(self.draft)
        self._show_draft(draft)

    def _show_draft(self, draft: Draft) -> None:
        self._changing = True
        try:
            self.prompt_box.value = draft.prompt
        finally:
            self._changing = False
        self._chosen = draft.chosen
        self.back_button.disabled = not self._before
        self.redraw()

    def _step_clicked(self, button: widgets.Button) -> None:
        self.catch_up()
        with self.shown_errors("step"):
            # The place in the text takes part in the seed: else each step would throw the same dice.
            seed = self.settings.seed + len(self._chosen)
            (token_id,) = draw(self._distribution(), 1, seed)
            if token_id == self.language_model.tokenizer.eos_token_id:
                self.draw_note.value = _note(
                    say(
                        "</s> が引かれました。文章はここで終わりです。",
                        "</s> was drawn: the text ends here.",
                    )
                )
                return
            self.set_draft(self.draft.then(token_id))

    def _back_clicked(self, button: widgets.Button) -> None:
        if self._before:
            self.acted()
            self._show_draft(self._before.pop())

    def _draw_clicked(self, button: widgets.Button) -> None:
        self.catch_up()
        with self.shown_errors("draw"):
            distribution = self._distribution()
            counts = Counter(draw(distribution, DRAWS, self.settings.seed + self._draws))
            self._draws += 1
            self.chart.value = charts.distribution_chart(distribution, counts=counts)
            first = distribution.head(1)[0]
            guess, seen = self.guess_box.value, counts[first.token_id]
            expected = charts.number(first.final * DRAWS)
            self.draw_note.value = _note(
                say(
                    f"1 位「{first.piece}」: 予想 {guess} 回、期待値 {expected} 回、実際 {seen} 回",
                    f"First, “{first.piece}”: guessed {guess}, expected {expected}, drawn {seen} times",
                )
            )

    # Generation

    def _generate_clicked(self, button: widgets.Button) -> None:
        self.generate()

    def generate(self) -> None:
        """Continue the text, as the button does. While a generation runs, another one is not begun."""
        self.catch_up()
        with self.shown_errors("writing"):
            draft, settings = self.draft, self.settings
            # Checked here and now, so that nothing is begun that cannot be done.
            encode_draft(self.language_model, draft, settings)
            self.start(lambda: self._generate(draft, settings))

    def stop(self) -> None:
        """Let a running generation end with the token it is at; what was written stays."""
        self.stopping = True

    def _stop_clicked(self, button: widgets.Button) -> None:
        self.stop()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin work that writes, unless some is being done."""
        if self._running:
            return
        self.stopping = False
        self._set_running(True)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._deadline = time.monotonic() + BLOCKING_TIME
            asyncio.run(self._finished(work))
            # That loop has ended, and with it what it was to do a moment later.
            self.catch_up()
        else:
            self._deadline = math.inf
            self._task = loop.create_task(self._finished(work))

    def _set_running(self, running: bool) -> None:
        self._running = running
        self.generate_button.disabled = self.compare_pane.compare_button.disabled = running
        self.token_pane.enable()
        self.stop_button.disabled = not running

    async def _finished(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work; whatever comes of it, the buttons are as before."""
        try:
            with self.shown_errors("writing"):
                await work()
        finally:
            self._set_running(False)

    async def _generate(self, draft: Draft, settings: SamplingSettings) -> None:
        start = charts.pieces_text(self.language_model.tokenizer, draft.chosen)

        def show(texts: list[str]) -> None:
            views = [charts.plain_text(draft.prompt, start + text) for text in texts]
            self.result.value = charts.cards(views, [str(i + 1) for i in range(len(texts))])

        self.generation = await self.write(draft, settings, show)
        self.result.value = charts.generation_cards(self.generation, self.language_model.tokenizer)
        self.token_pane.show(self.generation)
        self.japanese_pane.show(self.generation)

    async def write(
        self, draft: Draft, settings: SamplingSettings, show: Callable[[list[str]], None]
    ) -> Generation:
        """Stream a generation; `show` gets the continuations after each step, and the loop gets a turn.

        What comes of it is the last entry of `history` too.
        """
        texts = [""] * (settings.num_return_sequences if settings.do_sample else 1)
        room = settings.max_length - encode_draft(self.language_model, draft, settings).shape[1]
        events = _Timed(stream_draft(self.language_model, draft, settings, self._should_stop))
        tokens, steps, last = 0, 0, len(texts)

        def tell(total: int) -> None:
            show(texts)
            speed = _speed(tokens, events.seconds)
            self.progress.value = charts.progress_bar(steps, total, speed)

        try:
            for event in events:
                if event.sequence <= last:
                    tell(room)
                    await asyncio.sleep(LOOP_TURN)
                    steps += 1
                last = event.sequence
                tokens += 1
                texts[event.sequence] += event.text
        except BaseException as error:
            # Also where the kernel is interrupted. Whatever it was, what was written is kept.
            if partial := getattr(error, "generation", None) or self._interrupted(events):
                self.keep([partial])
            tell(room)
            raise
        generation = events.result
        # Where every text has come to its end before max_length, there is no more to wait for.
        stopped = any(sequence.stopped == "user" for sequence in generation.sequences)
        tell(room if stopped else steps)
        self.keep([generation])
        return generation

    def _interrupted(self, events: _Timed) -> Generation | None:
        """What was written until the loop itself was broken off; None where the writing failed."""
        self.stop()
        for _ in events:
            pass
        return events.result

    def keep(self, runs: list[Generation]) -> None:
        """Add runs to the history."""
        self.history += runs
        for lab in _labs:
            if lab.history is self.history:
                lab.history_pane.refresh()

    def _should_stop(self) -> bool:
        return self.stopping or time.monotonic() > self._deadline

    # Errors

    @contextmanager
    def shown_errors(self, source: str) -> Iterator[None]:
        """Show what a callback raises to the reader, and keep it in `errors`: nothing else would report it.

        A success takes away what the same source has raised before, and nothing else.
        """
        self.errors.pop(source, None)
        try:
            yield
        except Exception as error:
            # Put behind the others: `error` is the last.
            self.errors.pop(source, None)
            self.errors[source] = error
        self._show_errors()

    def acted(self) -> None:
        """The reader has changed something: what a click has raised before is out of date. Pictures tell themselves."""
        for source in ("settings", "step", "draw", "writing", "compare", "continue"):
            self.errors.pop(source, None)
        self._show_errors()

    def _show_errors(self) -> None:
        # Two clicks may fail for one reason.
        sentences = dict.fromkeys(map(_sentence, self.errors.values()))
        self.problem.value = charts.problem(*sentences) if sentences else ""


class _TokenPane:
    """Any new token of a text by its position: what else could have stood there, and how to go on from it."""

    def __init__(self, lab: SamplingLab) -> None:
        self.lab = lab
        self.title = say("トークンを選ぶ", "Pick a token")
        self.generation: Generation | None = None
        self._next_token = NextToken(lab.language_model)
        self._redraw_soon = _Soon(self.redraw)
        self._changing = False
        self.sequence_box = widgets.Dropdown(
            options=[("1", 0)],
            description=say("文", "text"),
            layout=widgets.Layout(width="150px", max_width=_FITS),
        )
        self.position_box = widgets.BoundedIntText(
            1, min=1, max=1, description=say("何番目", "position"), layout=_SMALL_BOX
        )
        self.position_slider = widgets.IntSlider(1, min=1, max=1, readout=False, layout=_SLIDER)
        self.alternative_box = widgets.Dropdown(
            options=[],
            description=say("候補", "instead"),
            layout=widgets.Layout(width="260px", max_width=_FITS),
        )
        self.continue_button = _button(
            say("このトークンで続ける", "Continue with this token"), self._continue_clicked
        )
        self.continue_button.disabled = True
        self.alternative_box.observe(lambda change: self.enable(), names="value")
        self.sequence_box.observe(self._sequence_chosen, names="value")
        self.position_box.observe(self._position_changed, names="value")
        self.position_slider.observe(self._slider_moved, names="value")
        self.text = widgets.HTML(
            value=_note(say("まず「生成」を押してください。", "Press Generate first."))
        )
        self.chart = widgets.HTML()
        self.view = widgets.VBox(
            [
                widgets.HBox(
                    [self.sequence_box, self.position_box, self.position_slider], layout=_WRAP
                ),
                self.text,
                widgets.HBox([self.alternative_box, self.continue_button], layout=_WRAP),
                self.chart,
            ]
        )

    def show(self, generation: Generation) -> None:
        """Take up a new generation, at the first new token of its first text."""
        self.generation = generation
        self._changing = True
        try:
            self.sequence_box.options = [(str(i + 1), i) for i in range(len(generation.sequences))]
            self.sequence_box.value = 0
            self.position_box.value = 1
        finally:
            self._changing = False
        self._sequence_chosen()
        # At once: the button below goes on from what is drawn.
        self.catch_up()

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

    def catch_up(self) -> None:
        """Draw now what is to be drawn a moment later."""
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
            text = self._text()
            distribution = self._next_token.distribution(self._draft(), self.generation.settings)
            place = self.position_box.value
            chart = charts.distribution_chart(
                distribution, ALTERNATIVES, title=say(f"{place} 番目", f"position {place}")
            )
            candidates = distribution.head(ALTERNATIVES)
        self.text.value, self.chart.value = text, chart
        self.alternative_box.options = [
            (f"{c.piece}  {charts.percent(c.raw)}", c.token_id) for c in candidates
        ]
        # ipywidgets 8 leaves a list that was empty without a choice.
        self.alternative_box.index = 0 if candidates else None
        self.enable()

    def _text(self) -> str:
        """The text, its token in a frame, and below that token's own probabilities."""
        tokenizer = self.lab.language_model.tokenizer
        sequence = self.generation.sequences[self.sequence_box.value]
        place = self.position_box.value - 1
        marked = charts.probability_text(sequence, tokenizer, mark=place)
        if place >= len(sequence.steps):
            return marked
        step = sequence.steps[place]
        (piece,) = tokenizer.convert_ids_to_tokens([step.token_id])
        return marked + _note(charts.token_numbers(piece, step))

    def _draft(self) -> Draft:
        step = self.position_box.value - 1
        model, sequence = self.lab.language_model, self.sequence_box.value
        return draft_before(model, self.generation, sequence, step)

    def _continue_clicked(self, button: widgets.Button) -> None:
        # The second press of a double click is one too many: the first has gone on already.
        if self.lab.running:
            return
        self.lab.catch_up()
        with self.lab.shown_errors("continue"):
            if self.alternative_box.value is None:
                return
            draft = self._draft().then(self.alternative_box.value)
            # Checked first, so that the text is left only for one that can be continued.
            encode_draft(self.lab.language_model, draft, self.lab.settings)
            self.lab.set_draft(draft)
            self.lab.generate()


class _ComparePane:
    """Two settings with the same text and the same seed, side by side."""

    def __init__(self, lab: SamplingLab) -> None:
        self.lab = lab
        self.title = say("2 つの設定を比べる", "Compare two settings")
        article, _, tame, *_ = presets()
        self.settings = {"A": article.settings, "B": tame.settings}
        self.take_buttons = [
            _button(
                say(f"今の設定を {name} にする", f"Use the settings as {name}"),
                partial(self._take_clicked, name),
            )
            for name in self.settings
        ]
        self.compare_button = _button(say("比べる", "Compare"), self._compare_clicked)
        self.table = widgets.HTML()
        self.result = widgets.HTML()
        self.view = widgets.VBox(
            [
                widgets.HBox([*self.take_buttons, self.compare_button], layout=_WRAP),
                self.table,
                self.result,
            ]
        )
        self._show_settings()

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
        tokenizer = self.lab.language_model.tokenizer
        start = charts.pieces_text(tokenizer, draft.chosen)
        texts = ["", ""]
        written = []
        for i, settings in enumerate(both):

            def show(sequences: list[str], i: int = i) -> None:
                texts[i] = start + sequences[0]
                views = [charts.plain_text(draft.prompt, text) for text in texts]
                self.result.value = charts.cards(views, list(self.settings))

            generation = await self.lab.write(draft, settings, show)
            written.append(generation.sequences[0])
            if self.lab.stopping:
                return
        self.result.value = charts.comparison(*written, tokenizer)


class _JapanesePane:
    """The texts as Japanese: in vertical writing, characters against tokens, the share of each script."""

    def __init__(self, lab: SamplingLab) -> None:
        self.tokenizer = lab.language_model.tokenizer
        self.title = say("縦書きと文字", "Vertical, and scripts")
        self.table = widgets.HTML(
            value=_note(say("まず「生成」を押してください。", "Press Generate first."))
        )
        self.texts = widgets.HTML()
        self.view = widgets.VBox([self.table, self.texts])

    def show(self, generation: Generation) -> None:
        """Take up a new generation."""
        header = [
            say("文", "text"),
            say("文字", "characters"),
            say("トークン", "tokens"),
            say("1 トークンの文字数", "characters a token"),
            say("漢字", "kanji"),
            say("ひらがな", "hiragana"),
            say("カタカナ", "katakana"),
            say("その他", "other"),
        ]
        rows = []
        for i, sequence in enumerate(generation.sequences, start=1):
            text, tokens = sequence.text, len(sequence.token_ids)
            shares = [charts.percent(share) for share in script_shares(text).values()]
            rows.append([i, len(text), tokens, charts.number(len(text) / tokens), *shares])
        self.table.value = charts.table(rows, header, align=["right"] * len(header))
        views = [charts.vertical_text(sequence.text) for sequence in generation.sequences]
        self.texts.value = charts.cards(views, [str(i + 1) for i in range(len(views))])


class _HistoryPane:
    """All runs with their settings: to read, to copy, to repeat, to save and to load."""

    def __init__(self, lab: SamplingLab) -> None:
        self.lab = lab
        self.title = say("記録", "History")
        self.run_box = widgets.Dropdown(
            options=[], description=say("記録", "run"), layout=widgets.Layout(width="auto")
        )
        self.form_box = widgets.Dropdown(
            options=[(say("文章", "text"), as_text), ("model.generate(...)", self._code)],
            description=say("形", "as"),
            layout=widgets.Layout(width="260px", max_width=_FITS),
        )
        self.back_button = _button(
            say("この設定に戻す", "Return to these settings"), self._back_clicked
        )
        self.copy_box = widgets.Textarea(
            description=say("コピー用", "to copy"), rows=8, layout=widgets.Layout(width="auto")
        )
        self.file_box = widgets.Text(
            "sampling-lab.json",
            description=say("ファイル", "file"),
            layout=widgets.Layout(width="260px", max_width=_FITS),
        )
        self.save_button = _button(say("保存", "Save"), self._save_clicked)
        self.load_button = _button(say("読み込む", "Load"), self._load_clicked)
        self.note = widgets.HTML()
        for box in (self.run_box, self.form_box):
            box.observe(self._chosen, names="value")
        self.file_box.observe(self._file_named, names="value")
        self.view = widgets.VBox(
            [
                self.run_box,
                widgets.HBox([self.form_box, self.back_button], layout=_WRAP),
                self.copy_box,
                widgets.HBox([self.file_box, self.save_button, self.load_button], layout=_WRAP),
                self.note,
            ]
        )

    def refresh(self) -> None:
        """Take up the lab's history, the latest run first."""
        self.run_box.options = [
            (_run_label(i + 1, run), i) for i, run in reversed([*enumerate(self.lab.history)])
        ]
        # ipywidgets 8 leaves a list that was empty without a choice.
        self.run_box.index = 0 if self.lab.history else None

    def _code(self, run: Generation) -> str:
        return as_code(self.lab.language_model, run)

    def _chosen(self, change: dict[str, Any]) -> None:
        with self.lab.shown_errors("history"):
            if self.run_box.value is not None:
                self.copy_box.value = self.form_box.value(self.lab.history[self.run_box.value])

    def _file_named(self, change: dict[str, Any]) -> None:
        # What was wrong with the file of the old name says nothing about this one.
        with self.lab.shown_errors("file"):
            self.note.value = ""

    def _back_clicked(self, button: widgets.Button) -> None:
        self.lab.catch_up()
        with self.lab.shown_errors("history"):
            if self.run_box.value is not None:
                run = self.lab.history[self.run_box.value]
                self.lab.acted()
                self.lab.set_draft(draft_of(self.lab.language_model, run))
                self.lab.set_settings(run.settings, _run_label(self.run_box.value + 1, run))

    def _save_clicked(self, button: widgets.Button) -> None:
        with self.lab.shown_errors("file"):
            path = record_path(self.file_box.value)
            saved, runs = save(self.lab.history, path), len(self.lab.history)
            more = say(
                f"このファイルの記録は全部で {len(saved)} 件です。",
                f"The file holds {len(saved)} runs.",
            )
            self.note.value = _note(
                say(f"{runs} 件を {path} に保存しました。", f"{runs} runs saved in {path}. ") + more
            )

    def _load_clicked(self, button: widgets.Button) -> None:
        with self.lab.shown_errors("file"):
            path = record_path(self.file_box.value)
            loaded = load(path)
            new = new_runs(loaded, self.lab.history)
            self.lab.keep(new)
            self.note.value = _note(
                say(
                    f"{path} から {len(loaded)} 件を読み込みました（新しいもの {len(new)} 件）。",
                    f"{len(loaded)} runs loaded from {path}, {len(new)} of them new.",
                )
            )


def _run_label(place: int, run: Generation) -> str:
    s, text = run.settings, run.sequences[0].text[-20:]
    how = (
        f"top_k={s.top_k} top_p={s.top_p:g} T={s.temperature:g} seed={s.seed}"
        if s.do_sample
        else say("貪欲", "greedy")
    )
    return f"#{place} {how} …{text}"


class _Soon:
    """Calls a function once, a little later, however often it is asked to; at once where no loop runs."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, delay: float, restart: bool = False) -> None:
        """Ask for a call in `delay` seconds; with `restart` the time begins anew with each asking."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.function()
            return
        if self._handle is not None and self._loop is loop:
            if not restart:
                return
            self._handle.cancel()
        self._loop = loop
        self._handle = loop.call_later(delay, self._call)

    def now(self) -> None:
        """If a call was asked for and has not come yet, it comes now."""
        if self._handle is not None:
            self._handle.cancel()
            self._call()

    def _call(self) -> None:
        self._handle = None
        self.function()


class _Timed:
    """The events of a stream, the time that they took to come and nothing else, and what the stream returned."""

    def __init__(self, events: Iterator[StreamEvent]) -> None:
        self.seconds = 0.0
        self.result: Generation | None = None
        self._events = events

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> StreamEvent:
        started = time.monotonic()
        try:
            return next(self._events)
        except StopIteration as end:
            self.result = end.value or self.result
            raise
        finally:
            self.seconds += time.monotonic() - started


def _button(label: str, clicked: Callable[[widgets.Button], None]) -> widgets.Button:
    button = widgets.Button(description=label, layout=_BUTTON)
    button.on_click(clicked)
    return button


def _sentence(error: Exception) -> str:
    # The model's NaN is told in a sentence too, as a FloatingPointError.
    if isinstance(error, Explained | FloatingPointError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return say(
            f"ファイル {error.filename} を開けません（{error.strerror}）。ファイル名を確かめてください。",
            f"the file {error.filename} cannot be opened ({error.strerror}): check its name.",
        )
    return say(
        f"予期しない問題が起きました（{type(error).__name__}: {error}）。セルをもう一度実行してください。",
        f"something unexpected happened ({type(error).__name__}: {error}): run the cell again.",
    )


def _own_settings() -> str:
    return say(
        "自分で変えた設定です。「記事の設定」を押すと元に戻ります。",
        "Your own settings; “the article” brings its own back.",
    )


def _note(text: str) -> str:
    return f'<small style="display:block;line-height:1.5">{escape(text)}</small>'


def _speed(tokens: int, seconds: float) -> str:
    # A coarse clock may not have moved yet.
    rate = charts.number(tokens / seconds) if seconds else "–"
    return say(f"{tokens} トークン（毎秒 {rate}）", f"{tokens} tokens ({rate} a second)")
