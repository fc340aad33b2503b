"""One thread for all that reaches the lab: the one in which it was made.

From ipykernel 7 on, JupyterLab sends what a reader does with a widget to a second thread of the kernel, and 7.4 a part of
it to the first. While the kernel is busy a click could so overtake the number typed before it, what is typed could be
lost, and two threads run one model at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any

import ipywidgets as widgets


def keep_at_home(views: Iterable[widgets.Widget]) -> None:
    """Let the thread that calls this hear all messages to these widgets and to those in them, in the order in which they come.

    Where no loop runs there is no kernel, and nothing comes.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    home, context = threading.get_ident(), copy_context()

    def hear(heard: Callable[[Any], None], message: Any) -> None:
        # In the cell's context and not the message's: to where something was shown from, ipykernel 7.4 sends the answers.
        if threading.get_ident() == home:
            context.copy().run(heard, message)
        else:
            loop.call_soon_threadsafe(heard, message, context=context.copy())

    for widget in _all(views):
        if widget.comm is not None:
            widget.comm.on_msg(lambda message, heard=widget._handle_msg: hear(heard, message))


def _all(views: Iterable[widgets.Widget]) -> Iterator[widgets.Widget]:
    for view in views:
        yield view
        yield from _all(getattr(view, "children", ()))
