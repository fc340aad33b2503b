"""The one thread in which all of CTranslate2's work is done, and how it ends with Python.

The library seeds for the whole process, so texts are written one after another; and memory that one thread has given
back is not always available to another. `ThreadPoolExecutor` would not do: at its end Python would wait for the text
that is being written.
"""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import WeakSet

closing = threading.Event()  # set when Python exits: nothing new is started
being_written: WeakSet[Any] = WeakSet()  # of `RowCallback`: told to stop
runners: WeakSet[Any] = WeakSet()  # of `CTranslate2Runner`: told to release its weights
_jobs: queue.SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None] = queue.SimpleQueue()
_threads: list[threading.Thread] = []
_starting = threading.Lock()


def submit(function: Callable[..., Any], *arguments: Any) -> Future:
    """Call a function in that thread, after all that was submitted before."""
    with _starting:
        if not _threads:
            _threads.append(threading.Thread(target=_work, name="ctranslate2", daemon=True))
            _threads[0].start()
    future: Future = Future()
    _jobs.put((future, function, arguments))
    return future


def _work() -> None:
    while (job := _jobs.get()) is not None:
        future, function, arguments = job
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # raised where somebody waits for the result
            future.set_exception(error)
        del job, future, function, arguments


@atexit.register
def _close() -> None:
    """Python is exiting: the library's threads must end before its memory is freed."""
    closing.set()
    for rows in list(being_written):
        rows.stop = True
    _jobs.put(None)
    for thread in _threads:
        thread.join()
    for runner in list(runners):
        runner.release()
