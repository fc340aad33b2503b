"""What went wrong, shown in a box above the lab until it is fixed: nothing else reports what a callback raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ipywidgets as widgets

from helpers import charts
from helpers.errors import Explained
from helpers.lab.parts import WIDE
from helpers.language import say


class Problems:
    """`errors` holds what was raised by what it came from, the last one at its end; `view` shows it."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.view = widgets.HTML(layout=WIDE)

    @contextmanager
    def shown(self, source: str) -> Iterator[None]:
        """Show what is raised inside, and keep it.

        A success takes away what the same source has raised before, and nothing else.
        """
        self.errors.pop(source, None)
        try:
            yield
        except Exception as error:
            # Inside, the same source may have recorded an error itself: this one goes to the end.
            self.errors.pop(source, None)
            self.errors[source] = error
        self._show()

    def forget(self, *sources: str) -> None:
        """Take away what these have raised."""
        for source in sources:
            self.errors.pop(source, None)
        self._show()

    def _show(self) -> None:
        # Two clicks may fail for one reason.
        sentences = dict.fromkeys(map(sentence, self.errors.values()))
        self.view.value = charts.problem(*sentences) if sentences else ""


def sentence(error: Exception) -> str:
    """What the reader sees of an error, wherever it was raised."""
    # The model's NaN is a sentence too, as a FloatingPointError.
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
