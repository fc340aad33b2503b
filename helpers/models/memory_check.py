"""Whether a model fits into the memory that is free, asked before anything is downloaded."""

from __future__ import annotations

from helpers import BUNDLED_MODEL, memory
from helpers.catalogue import CATALOGUE, SMALL
from helpers.device import DeviceChoice
from helpers.engines import ENGINES, loader_of
from helpers.errors import Explained
from helpers.memory import needed_and_free, size


class NotEnoughMemory(Explained, MemoryError):
    """A model does not fit into the memory that is free; the message says what does."""


def check_memory(name: str, parameters: int, choice: DeviceChoice, engine: str) -> None:
    """Refuse a model that does not fit, and say what does. Nothing has been downloaded yet.

    Raises:
        NotEnoughMemory: a MemoryError.
    """
    needed = loader_of(engine).least_memory(parameters, choice.dtype.itemsize)
    free = memory.available_memory(choice.device)
    # A small model is not refused: it takes less than torch, which is loaded already.
    if needed <= free or parameters < SMALL:
        return
    ja, en = _what_fits(parameters, choice, engine, free)
    gpu = choice.device.type == "cuda"
    raise NotEnoughMemory(
        f"{name} には{'GPU の' if gpu else ''}メモリが足りません（{needed_and_free(needed, free)}）。{ja}",
        f"there is not enough {'GPU ' if gpu else ''}memory for {name} ({needed_and_free(needed, free)}): {en}",
    )


def _what_fits(parameters: int, choice: DeviceChoice, engine: str, free: int) -> tuple[str, str]:
    """Another way to load the model on the CPU, else the largest model of the catalogue that fits, else the bundled one."""
    import torch

    on_gpu = choice.device.type == "cuda"
    of_cpu = memory.available_memory(torch.device("cpu")) if on_gpu else free
    ways = [way for name in ENGINES for way in loader_of(name).alternatives(parameters, choice)]
    fitting = [(way, least) for way, least in ways if least <= of_cpu][:1]
    if not fitting:
        smaller = [
            (f'"{info.name}"', least)
            for info in CATALOGUE.values()
            if info.parameters < parameters
            and (least := loader_of(engine).least_memory(info.parameters, choice.dtype.itemsize))
            <= free
        ]
        fitting = [max(smaller, key=lambda pair: pair[1])] if smaller else []
    for way, least in fitting:
        return (
            f"{way}（約 {size(least)}）なら載ります。",
            f"{way} (about {size(least)}) fits.",
        )
    return (
        f'ほかのプログラムを閉じるか、同梱の "{BUNDLED_MODEL}" を使ってください。',
        f'close other programs, or use the bundled "{BUNDLED_MODEL}".',
    )
