"""Python and the machine: device, memory, disk, network."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import threading
from pathlib import Path

from helpers.doctor.finding import NG, NOTE, OK, Finding
from helpers.language import say
from helpers.memory import available_memory, free_disk, nearest_folder, size

# A lesson's kernel peaks at 0.6 GB (README, "The lessons").
MEMORY_NEEDED = 700_000_000  # bytes
DISK_NEEDED = 100_000_000  # bytes: notebooks, pictures, temporary files
NETWORK_SECONDS = 20


def check_python() -> Finding:
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    values = {"version": platform.python_version(), "platform": platform.platform()}
    if sys.version_info >= (3, 11):  # noqa: UP036
        return Finding("python", OK, found, values=values)
    step = say("Python 3.11 以上を使ってください。", "use Python 3.11 or newer.")
    return Finding("python", NG, found, step, values)


def check_device() -> Finding:
    from helpers.device import choose_device

    choice = choose_device()
    dtype = str(choice.dtype).removeprefix("torch.")
    found = say(
        f"{choice.device}、{dtype}。{choice.reason}", f"{choice.device}, {dtype}; {choice.reason}"
    )
    values = {"device": str(choice.device), "dtype": dtype}
    if choice.device.type != "cpu":
        return Finding("device", OK, found, values=values)
    # On Colab the reason itself says how to get one.
    step = say("GPU なしでもレッスンはできます。", "the lessons work without a GPU.")
    return Finding("device", NOTE, found, step, values)


def check_memory() -> Finding:
    import torch

    from helpers.catalogue import CATALOGUE

    free = available_memory(torch.device("cpu"))
    fits = [info.name for info in CATALOGUE.values() if MEMORY_NEEDED + info.memory_bytes(4) < free]
    found = say(f"空き {size(free)}", f"{size(free)} free")
    if free < MEMORY_NEEDED:
        step = say(
            f"ほかのアプリやノートブックを閉じて、{size(MEMORY_NEEDED)} を空けてください。",
            f"close other programs or notebooks until {size(MEMORY_NEEDED)} is free.",
        )
        return Finding("memory", NG, found, step, {"free": free})
    if fits:
        found += say(f"（CPU で {fits[-1]} まで）", f" (on the CPU, models up to {fits[-1]})")
    return Finding("memory", OK, found, values={"free": free})


def check_disk() -> Finding:
    from helpers.catalogue import CATALOGUE, LARGE_MODEL
    from helpers.hub import cache_folder

    places = [Path.cwd(), Path(tempfile.gettempdir())]
    full = min(places, key=free_disk)
    here, nearest = free_disk(full), nearest_folder(cache_folder())
    room, needed = free_disk(nearest), CATALOGUE[LARGE_MODEL].download_bytes
    values = {"free": here, "cache_free": room}
    found = say(
        f"空き {size(here)}、モデルの置き場所は {size(room)}",
        f"{size(here)} free, {size(room)} where models are kept",
    )
    if here < DISK_NEEDED:
        step = say(
            f"{full} のあるディスクから、いらないファイルを消してください。",
            f"free some space on the disk that holds {full}.",
        )
        return Finding("disk", NG, found, step, values)
    if not os.access(nearest, os.W_OK):
        step = say(
            f"{nearest} に書き込めません。モデルをダウンロードするなら、環境変数 HF_HOME で別の場所を指定してください。",
            f"{nearest} cannot be written to: to download a model, set the environment variable HF_HOME to another place.",
        )
        return Finding("disk", NOTE, found, step, values)
    if room < needed:
        step = say(
            f"{LARGE_MODEL}（{size(needed)}）は入りません。同梱モデルには要りません。",
            f"{LARGE_MODEL} ({size(needed)}) does not fit; the bundled model needs no space.",
        )
        return Finding("disk", NOTE, found, step, values)
    return Finding("disk", OK, found, values=values)


def check_network() -> Finding:
    from helpers.catalogue import LARGE_MODEL
    from helpers.hub.cache import is_cached
    from helpers.hub.download import why_hub_fails

    answers: list[str | None] = []

    def ask() -> None:
        try:
            # The hub is asked although the model may be in the cache: this line is about the network.
            answers.append(why_hub_fails(LARGE_MODEL))
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")

    # Looking up a name can hang for minutes, whatever time limit the connection has.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS)
    if answers == [None]:
        return Finding(
            "network", OK, say(f"{LARGE_MODEL} を取得できます。", f"{LARGE_MODEL} is available.")
        )
    kept = ""
    if is_cached(LARGE_MODEL):
        kept = say(
            f"{LARGE_MODEL} はダウンロードしてあるので、ネットワークなしで使えます。",
            f"{LARGE_MODEL} has been downloaded and needs no network.",
        )
    if answers:
        # The sentence names the next step itself.
        return Finding("network", NOTE, answers[0] or "", kept)
    silent = say(
        f"Hugging Face Hub は {NETWORK_SECONDS} 秒待っても応答しません。",
        f"no answer from the Hugging Face Hub in {NETWORK_SECONDS} seconds.",
    )
    step = say("同梱モデルは、ネットワークなしで動きます。", "the bundled model needs no network.")
    return Finding("network", NOTE, silent, kept or step)
