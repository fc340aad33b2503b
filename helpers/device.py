"""Which device and dtype a model runs with, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.language import say

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DeviceChoice:
    """Where a model runs: the device, the dtype its weights are held in, and one sentence that says why."""

    device: torch.device
    dtype: torch.dtype
    reason: str


def choose_device(device: str | torch.device | None = None) -> DeviceChoice:
    """Choose the device and the dtype that suits it.

    A CUDA GPU is taken where there is one: bfloat16 from compute capability 8.0, float16 below it (a T4 is
    7.5 and has no bfloat16 units). A CPU always gets float32: half precision is slower on most processors.
    Apple's MPS is used only when asked for by name, in float32, because sampling was never measured there.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" or a torch.device; None chooses.

    Raises:
        ValueError: the name is not a device, or this machine does not have it.
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
        raise ValueError(_unknown_device(device)) from error

    if device.type == "cpu":
        why = (
            asked
            or (
                say("MPS は指定したときだけ使います。", "MPS is used only when asked for; ")
                if torch.backends.mps.is_available()
                else say("GPU が見つかりません。", "no GPU was found; ")
            )
        ) + say("CPU では float32 を使います。", "a CPU runs in float32.")
        return DeviceChoice(device, torch.float32, why)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(_missing_device(device, "cuda"))
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise ValueError(_missing_device(device, f"cuda:0-{torch.cuda.device_count() - 1}"))
        major, minor = torch.cuda.get_device_capability(device)
        dtype = torch.bfloat16 if major >= 8 else torch.float16
        name, dtype_name = torch.cuda.get_device_name(device), str(dtype).removeprefix("torch.")
        return DeviceChoice(
            device,
            dtype,
            asked
            + say(
                f"GPU は {name}（compute capability {major}.{minor}）なので {dtype_name} を使います。",
                f"the GPU is {name} (compute capability {major}.{minor}), which runs {dtype_name}.",
            ),
        )
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(_missing_device(device, "mps"))
        return DeviceChoice(
            device,
            torch.float32,
            asked + say("MPS では float32 を使います。", "MPS runs in float32."),
        )
    raise ValueError(_unknown_device(device))


def _unknown_device(device: object) -> str:
    return say(
        f'device = {device!r} は使えません。"cpu"、"cuda"、"mps"、または None（自動）を指定してください。',
        f'device = {device!r} cannot be used: give "cpu", "cuda", "mps", or None to have it chosen.',
    )


def _missing_device(device: object, kind: str) -> str:
    colab = say(
        "Colab では「ランタイム」→「ランタイムのタイプを変更」で GPU を選べます。",
        " On Colab a GPU is picked under Runtime > Change runtime type.",
    )
    return say(
        f'device = "{device}" はこのマシンにありません（{kind} を確認しました）。'
        "device=None にすると、使えるものを選びます。",
        f'device = "{device}" is not on this machine (looked for {kind}): device=None chooses what is there.',
    ) + (colab if kind != "mps" else "")
