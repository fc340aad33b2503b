"""What the lab's controls and panes share: their layouts, a button, a note, a call a moment later, and what a pane needs from the lab."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets

from helpers.language import say

if TYPE_CHECKING:
    from helpers.lab.drafts import Draft
    from helpers.models import LanguageModel
    from helpers.results import Generation
    from helpers.settings import SamplingSettings

# Layouts are plain values: ipywidgets makes a widget of one for each widget that gets it, which no other one shares.
WIDE = {"width": "auto"}
ROW = {"width": "auto", "flex_flow": "row wrap", "align_items": "center"}
COLUMNS = {"width": "auto", "flex_flow": "row wrap", "align_items": "flex-start"}
# On a phone a control is no wider than the page, with the margin that ipywidgets gives it.
FITS = "calc(100% - 4px)"
SLIDER = {"flex": "1 1 90px", "min_width": "70px", "width": "auto"}

# A drag sends many values: the picture follows at this pace, in seconds.
REDRAW_AFTER = 0.02


class Host(Protocol):
    """What panes need from the lab that they belong to."""

    language_model: LanguageModel
    history: list[Generation]

    @property
    def masked(self) -> bool: ...
    @property
    def settings(self) -> SamplingSettings: ...
    @property
    def draft(self) -> Draft: ...
    @property
    def running(self) -> bool: ...
    @property
    def stopping(self) -> bool: ...
    def shown_errors(self, source: str) -> AbstractContextManager[None]: ...
    def acted(self) -> None: ...
    def catch_up(self) -> None: ...
    def set_settings(self, settings: SamplingSettings, why: str | None = None) -> None: ...
    def set_draft(self, draft: Draft) -> None: ...
    def generate(self) -> None: ...
    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None: ...
    async def write(
        self, draft: Draft, settings: SamplingSettings, show: Callable[[list[str]], None]
    ) -> Generation: ...
    def keep(self, runs: list[Generation]) -> None: ...


class Pane(ABC):
    """What the lab tells each of its panes."""

    title: str
    view: widgets.Widget

    @abstractmethod
    def redraw(self) -> None:
        """Draw again: what is masked has changed."""

    def show(self, generation: Generation) -> None:  # noqa: B027 (most have something else to show)
        """Show what the generate button wrote, or a run of the history."""

    def enable(self) -> None:  # noqa: B027
        """Let buttons be pressed, or not: writing has begun or ended."""

    def catch_up(self) -> None:  # noqa: B027
        """Draw at once what was due to be drawn a moment later."""


def box(width: int) -> dict[str, str]:
    """The layout of a control `width` pixels wide, less on a narrower page."""
    return {"width": f"{width}px", "max_width": FITS}


def button(label: str, clicked: Callable[[widgets.Button], None]) -> widgets.Button:
    """A button as wide as its label."""
    made = widgets.Button(description=label, layout=WIDE)
    made.on_click(clicked)
    return made


def note(text: str) -> str:
    """A line in small letters; the text is escaped."""
    return f'<small style="display:block;line-height:1.5">{escape(text)}</small>'


def press_generate_first() -> str:
    """What a pane shows while there is no text."""
    return note(say("まず「生成」を押してください。", "Press Generate first."))


class Soon:
    """Calls a function once, a little later, however often it is asked to; at once where no loop runs."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, delay: float, restart: bool = False) -> None:
        """Ask for a call in `delay` seconds; with `restart` the wait begins again each time."""
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
