"""The engines, which run a model and write: a folder each, all behind one protocol (`protocol.py`).

A new engine is a new folder and a line in `ENGINES`. Nothing outside this folder asks for one by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from helpers.errors import InputError, unusable

if TYPE_CHECKING:
    from helpers.engines.protocol import Loader

DEFAULT_ENGINE = "torch"
# By the name that `load_model(engine=...)` takes: the module whose `LOADER` loads it, imported when first needed.
ENGINES = {
    "torch": "helpers.engines.torch.loader",
    "ctranslate2": "helpers.engines.ctranslate2.loader",
    "server": "helpers.engines.server.loader",
}


def loader_of(engine: str) -> Loader:
    """The loader of an engine.

    Raises:
        InputError: a ValueError; there is no such engine.
    """
    if engine not in ENGINES:
        *others, last = (f'"{name}"' for name in ENGINES)
        either = f"{', '.join(others)} or {last}"
        ja = f"{'、'.join(others)} か {last} "
        raise InputError(*unusable("engine", engine, ja, either))
    return import_module(ENGINES[engine]).LOADER
