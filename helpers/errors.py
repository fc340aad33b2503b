"""Errors that say in one sentence what happened and what to do. A notebook shows that sentence, not forty lines."""

from __future__ import annotations

import linecache
import os

import helpers
from helpers.language import say


class Explained(Exception):
    """Its message is a sentence for the reader; `__cause__` keeps the error behind it, if there is one.

    Args:
        ja: the sentence in Japanese, `en` in English; without `en` it is in the reader's language already.

    IPython asks an exception how it wants to be shown (`_render_traceback_`). Plain Python, and
    `traceback.print_exception(sys.last_value)` in a notebook, still show everything (`print_last()` shows nothing in Python 3.13.0).
    """

    def __init__(self, ja: str, en: str = "") -> None:
        super().__init__(say(ja, en) if en else ja)

    def _render_traceback_(self) -> list[str]:
        lines = [f"{type(self).__name__}: {self}"]
        if place := self._place():
            lines.append(f"----> {place}")
        if self.__cause__ is not None:
            cause = " ".join(str(self.__cause__).split())
            kind = type(self.__cause__).__name__
            lines.append(
                say("もとのエラー: ", "Caused by: ") + f"{kind}: {cause[:150]}".rstrip(": ")
            )
        lines.append(
            say(
                "（くわしく見るには: import sys, traceback; traceback.print_exception(sys.last_value)）",
                "(for all details: import sys, traceback; traceback.print_exception(sys.last_value))",
            )
        )
        return lines

    def _place(self) -> str:
        """The reader's own line that led here: the last one before our code was entered."""
        place, tb, ours = "", self.__traceback__, os.path.join(helpers.__path__[0], "")
        while tb is not None and not tb.tb_frame.f_code.co_filename.startswith(ours):
            # A dataclass's own __init__ has no line.
            if line := linecache.getline(tb.tb_frame.f_code.co_filename, tb.tb_lineno).strip():
                place = f"{tb.tb_lineno} {line}"
            tb = tb.tb_next
        return place


class InputError(Explained, ValueError):
    """An argument that cannot be used. The message says which, and what is allowed."""


def unusable(name: str, value: object, ja: str, en: str) -> tuple[str, str]:
    """Both sentences for a value that is not what `ja` and `en` describe."""
    try:
        shown = " ".join(repr(value).split())
    except ValueError:
        # Python writes no integer of more than 4,300 digits.
        shown = type(value).__name__
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return (
        f"{name} = {shown} は使えません。{ja}を指定してください。",
        f"{name} = {shown} cannot be used; it must be {en}.",
    )
