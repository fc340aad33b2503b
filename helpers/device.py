"""Which device and dtype a model runs with, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.errors import InputError, unusable
from helpers.language import say

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DeviceChoice:
    """Where a model runs: the device, the dtype its weights are held in, and one sentence that says why."""

    device: torch.device
    dtype: torch.dtype
    reason: str


# The processor's own units for bfloat16, as Linux names them.
BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")
COLAB = (
    "Colab では「ランタイム」→「ランタイムのタイプを変更」で GPU を選べます。",
    "on Colab, choose a GPU under Runtime > Change runtime type",
)
# Smaller models stay in float32 on every CPU, so that a class has the same texts on all its machines.
HALF_FROM = 300_000_000  # weights


def choose_device(device: str | torch.device | None = None, parameters: int = 0) -> DeviceChoice:
    """Choose the device and the dtype that suits it.

    A CUDA GPU is used if there is one: bfloat16 from compute capability 8.0, float16 below it (a T4 is
    7.5 and has no bfloat16 units). A CPU gets float32: without units for it, half precision is slower. Only a model
    of 300 million weights or more gets bfloat16 there, and only where the processor has AMX or AVX512-BF16.
    Apple's MPS is used only when asked for by name, in float32, because sampling was never measured there.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" or a torch.device; None chooses.
        parameters: how many weights the model has.

    Raises:
        InputError: a ValueError; the name is not a device, or this machine does not have it.
    """
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        asked = ""
    else:
        asked = say("指定どおりです。", "as you asked; ")
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise _unknown(device) from error

    if device.type == "cpu":
        # The only place where a GPU is a matter of a menu.
        on_colab = os.environ.get("COLAB_RELEASE_TAG")
        colab = say(COLAB[0], f"{COLAB[1]}; ") if on_colab else ""
        why = asked or (
            say("MPS は指定したときだけ使います。", "MPS is used only when asked for; ")
            if torch.backends.mps.is_available()
            else say("GPU が見つかりません。", "no GPU was found; ") + colab
        )
        if parameters < HALF_FROM:
            why += say("CPU では float32 を使います。", "a CPU runs in float32.")
        elif unit := bfloat16_unit():
            why += say(
                f"この CPU には {unit} があるので bfloat16 を使います。",
                f"this CPU has {unit}, so it runs in bfloat16.",
            )
            return DeviceChoice(device, torch.bfloat16, why)
        else:
            why += say(
                "この CPU には bfloat16 の回路（AMX、AVX512-BF16）がないので float32 を使います。",
                "this CPU has no bfloat16 units (AMX or AVX512-BF16), so it runs in float32.",
            )
        return DeviceChoice(device, torch.float32, why)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise _missing(device, "cuda")
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise _missing(device, f"cuda:0-{torch.cuda.device_count() - 1}")
        major, minor = torch.cuda.get_device_capability(device)
        dtype = torch.bfloat16 if major >= 8 else torch.float16
        name, dtype_name = torch.cuda.get_device_name(device), str(dtype).removeprefix("torch.")
        return DeviceChoice(
            device,
            dtype,
            asked
            + say(
                f"GPU は {name}（compute capability {major}.{minor}）なので {dtype_name} を使います。",
                f"the GPU is {name} (compute capability {major}.{minor}), so it runs in {dtype_name}.",
            ),
        )
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise _missing(device, "mps")
        return DeviceChoice(
            device,
            torch.float32,
            asked + say("MPS では float32 を使います。", "MPS runs in float32."),
        )
    raise _unknown(device)


def bfloat16_unit() -> str | None:
    """The name of this processor's unit for bfloat16, None if it has none or does not say (only Linux does)."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return None
    return next((unit for unit in BFLOAT16_UNITS if unit in words), None)


def _unknown(device: object) -> InputError:
    ja, en = (
        '"cpu"、"cuda"、"mps"、または None（自動）',
        '"cpu", "cuda", "mps", or None to choose automatically',
    )
    return InputError(*unusable("device", device, ja, en))


def _missing(device: object, kind: str) -> InputError:
    ja, en = COLAB if kind != "mps" else ("", "")
    return InputError(
        f'device = "{device}" はこのマシンにありません（{kind} を確認しました）。'
        f"device=None にすると、使えるものを選びます。{ja}",
        f'device = "{device}" is not available on this machine (looked for {kind}): device=None picks one that is'
        f"{en and '; '}{en}.",
    )
