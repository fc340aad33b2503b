"""The file that a training run resumes from: where it may be, writing it whole or not at all, and reading it."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from helpers.finetune.errors import FinetuneError
from helpers.finetune.training_run import CheckpointNotSaved
from helpers.memory import free_disk, needed_and_free

if TYPE_CHECKING:
    import torch

    from helpers.finetune.training_run import TrainingRun

CHECKPOINT = "checkpoint.pt"


def checkpoint_path(folder: str | Path, size: int) -> Path:
    """The checkpoint's file in `folder`, which is made and tried; `size` in bytes is what a checkpoint takes.

    Raises:
        FinetuneError: nothing can be written there, or the disk has no room. Nothing was done yet.
    """
    path = Path(folder).expanduser() / CHECKPOINT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_of(path)
        partial.write_bytes(b"\0")
        partial.unlink()
        free = free_disk(path.parent)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or str(error)
        raise FinetuneError(
            f"folder = {str(folder)!r} に書き込めません（{why}）。書き込める場所を指定するか、folder を書かないでください。",
            f"folder = {str(folder)!r} cannot be written to ({why}): choose another place, or leave folder out.",
        ) from error
    # Until a new checkpoint is whole, the old one stays beside it.
    if free < size:
        raise FinetuneError(
            f"途中の状態を保存する場所が足りません（{path.parent}、{needed_and_free(size, free)}）。"
            "空きを作るか、別の folder を指定してください。",
            f"there is not enough space for a checkpoint ({path.parent}: {needed_and_free(size, free)}): "
            "free some space, or choose another folder.",
        )
    return path


def write_checkpoint(path: Path, values: dict[str, Any], run: TrainingRun) -> None:
    """Write a checkpoint; a kill at any moment, and a full disk, leave the one that was there before.

    Raises:
        CheckpointNotSaved: an OSError, with the run so far.
    """
    import torch

    partial = partial_of(path)
    try:
        torch.save(values, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        # On a full disk torch's own writer complains that it is at the wrong position in the file.
        words = ("PytorchStreamWriter", "inline_container", "unexpected pos")
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in words):
            raise
        partial.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or type(error).__name__
        step = len(run.losses)
        raise CheckpointNotSaved(
            f"ステップ {step} の状態を {path} に保存できませんでした（{why}）。学習を止め、一番よかった重みに戻しました。"
            "空きを作ってもう一度実行すると、最後に保存したところから続きます。",
            f"step {step} could not be saved to {path} ({why}): training has stopped and the best weights have been restored; "
            "free some space and run this again to continue from the last checkpoint.",
            run,
        ) from error


def read_checkpoint(path: Path, key: str, device: torch.device) -> dict[str, Any]:
    """What a checkpoint of the run `key` holds.

    Raises:
        FinetuneError: it cannot be read, or belongs to another run.
    """
    import torch

    try:
        saved = torch.load(path, weights_only=True, map_location=device)
        found = saved["key"]
    except (OSError, RuntimeError, UnpicklingError, KeyError, TypeError) as error:
        raise FinetuneError(
            f"{path} を読めません（{type(error).__name__}）。このファイルを消してから、もう一度実行してください。",
            f"{path} cannot be read ({type(error).__name__}): delete this file and run this again.",
        ) from error
    if found != key:
        raise FinetuneError(
            f"{path} は、ほかの設定か文章で学習した途中のものです。"
            "続けるには同じ設定と文章を、やり直すには別の folder を指定してください。",
            f"{path} belongs to a run with other settings or texts: use the same ones to continue it, "
            "or another folder to start over.",
        )
    return dict(saved)


def partial_of(path: Path) -> Path:
    """Where a checkpoint is written until it is whole."""
    return path.with_name(path.name + ".partial")
