"""Which model "auto" is, and where and how a model is to run."""

from __future__ import annotations

import os
from dataclasses import replace

from helpers import BUNDLED_MODEL
from helpers.catalogue import CATALOGUE, LARGE_MODEL, parameters_of
from helpers.device import DeviceChoice
from helpers.engines.protocol import Loader, Request
from helpers.hub import clean_name, hub_problem, local_folder
from helpers.language import say
from helpers.memory import needed_and_free, size
from helpers.models.files import read_config


def choose_model(choice: DeviceChoice) -> tuple[str, str]:
    """What "auto" stands for on a device: the name of a model and one sentence that says why.

    `HELPERS_MODEL` in the environment decides if it is set. Otherwise rinna/japanese-gpt-1b where a CUDA GPU
    has the memory for it and its files are in the cache or the hub answers; else the bundled model.
    """
    if name := clean_name(os.environ.get("HELPERS_MODEL", "")):
        return name, say(
            f"環境変数 HELPERS_MODEL が {name} を指定しています。",
            f"the environment variable HELPERS_MODEL is set to {name}",
        )
    if choice.device.type != "cuda":
        return BUNDLED_MODEL, say(
            "大きいモデルには CUDA の GPU が要るので、同梱の小さいモデルを使います。",
            "the large model needs a CUDA GPU, so the small bundled one is used",
        )
    import torch

    needed = CATALOGUE[LARGE_MODEL].memory_bytes(choice.dtype)
    free, _ = torch.cuda.mem_get_info(choice.device)
    if free < needed:
        return BUNDLED_MODEL, say(
            f"{LARGE_MODEL} には GPU のメモリが足りない（{needed_and_free(needed, free)}）ので、"
            "同梱の小さいモデルを使います。",
            f"there is not enough GPU memory for {LARGE_MODEL} ({needed_and_free(needed, free)}), "
            "so the small bundled model is used",
        )
    if problem := hub_problem(LARGE_MODEL):
        return BUNDLED_MODEL, say(
            f"同梱の小さいモデルを使います。{problem}",
            f"the small bundled model is used, because {problem}",
        )
    return LARGE_MODEL, say(
        f"GPU に {LARGE_MODEL} が載ります（約 {size(needed)}）。",
        f"the GPU has room for {LARGE_MODEL} (about {size(needed)})",
    )


def choose(request: Request, loader: Loader) -> tuple[Request, int, DeviceChoice]:
    """The request with a model's own name, its number of weights (0 if unknown), and where and how it is to run.

    Prints the choice in one line where it is not simply what was asked for.
    """
    why, auto = "", request.name == "auto"
    if auto:
        name, why = loader.auto(request) or choose_model(loader.choose(request, 0))
        request = replace(request, name=name)
    if request.name in CATALOGUE:
        parameters = CATALOGUE[request.name].parameters
    elif loader.remote:
        parameters = 0  # nothing of it is held here
    else:
        # Fetched before the weights.
        config = read_config(request.name, local_folder(request.name, weights=False))
        loader.check_config(request, config)
        parameters = parameters_of(config)
    choice = loader.choose(request, parameters)
    if auto:
        reason = say(f"{why}{choice.reason}", f"{why}; {choice.reason}")
        choice = replace(choice, reason=reason)
    if auto or loader.worth_saying(request, choice):
        print(
            say(
                f"モデル: {request.name}（{choice.device}）。{choice.reason}",
                f"Model: {request.name} on {choice.device}; {choice.reason}",
            )
        )
    return request, parameters, choice
