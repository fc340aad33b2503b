"""Full memory, a lost GPU and NaN, each turned into one sentence that says what to do."""

from __future__ import annotations

import errno
import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpers import BUNDLED_MODEL
from helpers.errors import Explained
from helpers.language import say

if TYPE_CHECKING:
    import torch

    from helpers.results import Generation


class OutOfMemory(Explained, MemoryError):
    """The device is out of memory. `generation` keeps what was written before, if anything was."""

    generation: Generation | None = None


class DeviceLost(Explained, RuntimeError):
    """The GPU no longer answers. `generation` keeps what was written before, if anything was."""

    generation: Generation | None = None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, CTranslate2, safetensors or the system says that memory is full."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # Without a GPU torch raises a plain RuntimeError; the words are those of its allocator and of the system.
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "cannot allocate memory",
    )
    text = str(error).lower()
    # oneDNN does not say that it ran out of memory; that it has these routines was checked while loading.
    if text in ("could not create a primitive", "could not execute a primitive"):
        return isinstance(error, RuntimeError)
    return isinstance(error, RuntimeError | OSError) and any(w in text for w in words)


def is_device_lost(error: BaseException) -> bool:
    """Whether an error says that the GPU is gone or has failed: nothing runs on it until Python is restarted."""
    import torch

    kinds = tuple(k for k in (getattr(torch, "AcceleratorError", None),) if k)
    text = str(error)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError)
        and any(w in text for w in ("CUDA error", "CUDA failed with error", "No CUDA GPUs are"))
    )


def free_after_error(error: BaseException | None = None) -> None:
    """Free memory that nothing uses any more, including what the frames of a caught error still hold."""
    import torch

    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def explained_device_errors(device: torch.device, ja: str = "", en: str = "") -> Iterator[None]:
    """Turn full memory and a lost GPU into one sentence each, the cause kept.

    Args:
        device: where the work is done.
        ja: what to do when the memory is full, in Japanese; a smaller model is always offered.
        en: the same in English.

    Raises:
        OutOfMemory: a MemoryError.
        DeviceLost: a RuntimeError.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if isinstance(error, Explained):
            raise
        if is_out_of_memory(error):
            free_after_error(error)
            raise OutOfMemory(out_of_memory_sentence(device, ja, en)) from error
        if is_device_lost(error):
            raise DeviceLost(
                "GPU との接続が切れたか、GPU が止まりました。カーネル（Colab ではランタイム）を再起動して、"
                "ノートブックの最初のセルからもう一度実行してください。"
                "Colab で GPU が使えなくなっていたら、GPU なしでも最後まで動きます。",
                "the GPU was lost or has stopped: restart the kernel (on Colab, the runtime) and run the notebook again "
                "from its first cell; if Colab has no GPU left for you, the notebooks also run without one.",
            ) from error
        raise


def out_of_memory_sentence(device: torch.device, ja: str = "", en: str = "") -> str:
    """The sentence for a device whose memory is full; `ja` and `en` come before the advice of a smaller model."""
    where = say("GPU のメモリ", "GPU memory")
    if device.type != "cuda":
        where = say("メモリ", "memory")
    return say(
        f"{where}が足りません。{ja}ほかのノートブックやアプリを閉じるか、"
        f'小さいモデル（"{BUNDLED_MODEL}" など）を使ってください。',
        f"there is not enough {where}: {en}close other notebooks and programs, or use a smaller model, such "
        f'as "{BUNDLED_MODEL}".',
    )


def refuse_nan(numbers: torch.Tensor) -> None:
    """Raise `FloatingPointError`, with what to do, if a model computed NaN."""
    import torch

    if torch.isnan(numbers).any():
        raise FloatingPointError(
            say(
                "モデルの計算結果が NaN（数ではない値）になりました。重みが壊れているか、dtype が合っていません。"
                "モデルを読み込み直してください。",
                "the model computed NaN (not a number): its weights are damaged or its dtype does not fit; "
                "load the model again.",
            )
        )
