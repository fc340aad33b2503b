"""What computes and writes: one room or file for each engine, all of them behind the same answers (`protocol`).

A new engine is a new file and a line in `ENGINES`. Nothing outside this folder asks for one by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from helpers.errors import InputError
from helpers.language import say

if TYPE_CHECKING:
    from helpers.engines.protocol import Loader

DEFAULT_ENGINE = "torch"
# By the name that `load_model(engine=...)` takes: the module that loads it, imported when it is first asked for.
ENGINES = {
    "torch": "helpers.engines.torch.loader",
    "ctranslate2": "helpers.engines.ctranslate2.loader",
    "server": "helpers.engines.server.loader",
}


def loader_of(engine: str) -> Loader:
    """The module that loads an engine.

    Raises:
        InputError: a ValueError; there is no such engine.
    """
    if engine not in ENGINES:
        *others, last = (f'"{name}"' for name in ENGINES)
        raise InputError(
            say(
                f"engine = {engine!r} は使えません。{'、'.join(others)} か {last} を指定してください。",
                f"engine = {engine!r} cannot be used: give {', '.join(others)} or {last}.",
            )
        )
    return cast("Loader", import_module(ENGINES[engine]))
