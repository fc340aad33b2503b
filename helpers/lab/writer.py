"""Writing while the reader watches: one coroutine on the kernel's loop, a token a step, that can be stopped.

It gives the loop a turn after each step, so texts appear while they are being written and the stop button works. Where
no loop runs, the same coroutine finishes before the call returns, in a minute at most.
"""

from __future__ import annotations

import asyncio
import math
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from helpers import charts
from helpers.lab.drafts import Draft, encode_draft, stream_draft
from helpers.language import say
from helpers.results import Generation, StreamEvent
from helpers.sampling import SamplingSettings

if TYPE_CHECKING:
    from helpers.models import LanguageModel

# How long generation may hold the kernel where it cannot be stopped by a button, in seconds.
BLOCKING_TIME = 60.0
# What the loop gets after each step to hear the stop button and to send the text.
LOOP_TURN = 0.01


class Writer:
    """One piece of work at a time, with its progress.

    Args:
        keep: gets what was written, complete or interrupted.
        shown_errors: the context in which the work is done.
        changed: called when work begins and when it has ended.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        keep: Callable[[list[Generation]], None],
        shown_errors: Callable[[str], AbstractContextManager[None]],
        changed: Callable[[], None],
    ) -> None:
        self.language_model = language_model
        self.progress = widgets.HTML()
        self.running = False
        self.stopping = False
        self.task: asyncio.Task[None] | None = None
        self._keep, self._shown_errors, self._changed = keep, shown_errors, changed
        self._deadline = math.inf

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start work that writes, unless some is already running."""
        if self.running:
            return
        self.stopping = False
        self._set_running(True)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._deadline = time.monotonic() + BLOCKING_TIME
            asyncio.run(self._finished(work))
        else:
            self._deadline = math.inf
            self.task = loop.create_task(self._finished(work))

    def stop(self) -> None:
        """Let the work end with the current token; what was written stays."""
        self.stopping = True

    async def write(
        self, draft: Draft, settings: SamplingSettings, show: Callable[[list[str]], None]
    ) -> Generation:
        """Stream a generation; `show` gets the continuations after each step, and the loop gets a turn."""
        texts = [""] * (settings.num_return_sequences if settings.do_sample else 1)
        room = settings.max_length - encode_draft(self.language_model, draft, settings).shape[1]
        events = _Timed(stream_draft(self.language_model, draft, settings, self._should_stop))
        tokens, steps, last = 0, 0, len(texts)

        def tell(total: int) -> None:
            show(texts)
            speed = _speed(tokens, events.seconds)
            said = "".join(f"<div><small>{escape(note)}</small></div>" for note in events.notes)
            self.progress.value = charts.progress_bar(steps, total, speed) + said

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
                self._keep([partial])
            tell(room)
            raise
        generation = events.result
        assert generation is not None  # a stream that has ended returns one
        # Where every text has ended before max_length, there is nothing more to wait for.
        stopped = any(sequence.stopped == "user" for sequence in generation.sequences)
        tell(room if stopped else steps)
        self._keep([generation])
        return generation

    def _set_running(self, running: bool) -> None:
        self.running = running
        self._changed()

    async def _finished(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work; whatever comes of it, it has ended then."""
        try:
            with self._shown_errors("writing"):
                await work()
        finally:
            self._set_running(False)

    def _interrupted(self, events: _Timed) -> Generation | None:
        """What was written until the loop itself was interrupted; None if the writing failed."""
        self.stop()
        for _ in events:
            pass
        return events.result

    def _should_stop(self) -> bool:
        return self.stopping or time.monotonic() > self._deadline


class _Timed:
    """The events of a stream, the time that they took to come and nothing else, and what the stream returned.

    `notes` are its warnings: behind a button no cell shows what goes to stderr.
    """

    def __init__(self, events: Iterator[StreamEvent]) -> None:
        self.seconds = 0.0
        self.notes: list[str] = []
        self.result: Generation | None = None
        self._events = events

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> StreamEvent:
        started = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                event = next(self._events)
            self.notes += [str(each.message) for each in said if each.category is UserWarning]
            return event
        except StopIteration as end:
            self.result = end.value or self.result
            raise
        finally:
            self.seconds += time.monotonic() - started


def _speed(tokens: int, seconds: float) -> str:
    # A coarse clock may not have moved yet.
    rate = charts.number(tokens / seconds) if seconds else "–"
    return say(f"{tokens} トークン（毎秒 {rate}）", f"{tokens} tokens ({rate} per second)")
