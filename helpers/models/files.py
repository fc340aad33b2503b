"""A model's files: its config.json, and one sentence for each that is missing or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from helpers import BUNDLED_MODEL
from helpers.errors import Explained
from helpers.hub import ModelUnavailable, discard_damaged
from helpers.hub.errors import BUNDLED_EN, BUNDLED_JA


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """A model's config.json; empty if there is none, which loading then reports."""
    if not (folder / "config.json").is_file():
        return {}
    with explained_files(name, folder):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("config.json is not an object")
        return config


@contextmanager
def explained_files(name: str, folder: Path) -> Iterator[None]:
    """Turn what a missing or broken file raises into one sentence, the cause kept."""
    from safetensors import SafetensorError

    try:
        yield
    except UnpicklingError as error:
        raise ModelUnavailable(
            f"{name} の重み（{folder} の pytorch_model.bin）は、壊れているか、数値のほかにプログラムを含むので、読み込みません。"
            f'model.safetensors のあるモデルか、"{BUNDLED_MODEL}" を使ってください。',
            f"the weights of {name} (pytorch_model.bin in {folder}) are damaged or contain code besides numbers, so they "
            f'are not loaded: use a model that has a model.safetensors, or "{BUNDLED_MODEL}".',
        ) from error
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, Explained):
            raise
        if "ignore_mismatched_sizes" in str(error) or "size mismatch" in str(error):
            raise ModelUnavailable(
                f"{name} の config.json と重みの大きさが合いません（フォルダー: {folder}）。"
                "同じモデルのファイルをそろえてください。",
                f"the config.json of {name} does not match its weights (folder: {folder}): use files from the same model.",
            ) from error
        # Only what is wrong in the files themselves; the system's own refusals carry a number.
        broken = not getattr(error, "errno", None)
        if broken and (gone := discard_damaged(folder)):
            raise ModelUnavailable(
                f"{name} のファイルが壊れていたので、キャッシュから消しました（{'、'.join(gone)}）。"
                f"もう一度実行すると、ダウンロードし直します。{BUNDLED_JA}",
                f"files of {name} were damaged and have been deleted from the cache ({', '.join(gone)}): "
                f"run this again to download them again; {BUNDLED_EN}",
            ) from error
        raise ModelUnavailable(
            f"{name} のファイルを読み込めません（{type(error).__name__}、フォルダー: {folder}）。"
            f'フォルダーを消してもう一度実行するか、"{BUNDLED_MODEL}" を使ってください。',
            f"the files of {name} cannot be read ({type(error).__name__}, folder: {folder}): "
            f'delete the folder and run this again, or use "{BUNDLED_MODEL}".',
        ) from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Downloads keep their progress bars; reading the files that are there takes a moment and needs none."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
