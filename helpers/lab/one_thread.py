"""All that a reader does with the lab is handled in one thread: the one in which the lab was made.

With ipykernel 7, JupyterLab sends messages about widgets to a second thread of the kernel; 7.4 then routes some of them
back to the first. While the kernel is busy, a click could overtake the number that was typed before it, a typed value
could be lost, and two threads could run the model at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any

import ipywidgets as widgets


def handle_in_this_thread(views: Iterable[widgets.Widget]) -> None:
    """Handle all messages to these widgets, and to the widgets in them, in the calling thread and in the order in which they arrive.

    Without a running event loop there is no kernel that could receive any, and nothing is changed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    home, context = threading.get_ident(), copy_context()

    def received(handle: Callable[[Any], None], message: Any) -> None:
        # In the cell's context, not the message's: ipykernel 7.4 routes a widget's messages to the thread that last updated it.
        if threading.get_ident() == home:
            context.copy().run(handle, message)
        else:
            loop.call_soon_threadsafe(handle, message, context=context.copy())

    for widget in _all(views):
        if widget.comm is not None:
            widget.comm.on_msg(partial(received, widget._handle_msg))


def _all(views: Iterable[widgets.Widget]) -> Iterator[widgets.Widget]:
    for view in views:
        yield view
        yield from _all(getattr(view, "children", ()))
