"""The download cache: what it holds, whether a model is complete, and deleting what is damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from helpers import BUNDLED_MODEL
from helpers.hub.errors import BUNDLED_EN, BUNDLED_JA, ModelUnavailable

# Numbers only, and what can hold code: the first one that a model has is taken.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def cache_folder() -> Path:
    """Where downloads are kept: HF_HOME or HF_HUB_CACHE in the environment moves it."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def clean_name(name: str | Path) -> str:
    """A model's name as it was meant: without spaces or quotes around it, `~` expanded."""
    cleaned = str(name).strip().strip("\"'").strip()
    try:
        # A path only: the hub knows no `~`.
        return str(Path(cleaned).expanduser()) if cleaned.startswith("~") else cleaned
    except RuntimeError:
        return cleaned  # `~somebody`, whom this machine does not know


def is_folder(name: str | Path) -> bool:
    try:
        return bool(str(name)) and Path(name).is_dir()
    except (OSError, ValueError):
        # Too long for a path, or with a character that no path has.
        return False


def is_cached(name: str, weights: bool = True) -> bool:
    """Whether a model needs no download: it is the bundled one, a folder, or in the cache, with or without its weights."""
    return name == BUNDLED_MODEL or is_folder(name) or cached_folder(name, weights) is not None


def cached_folder(name: str, weights: bool, revision: str | None = None) -> Path | None:
    """The folder of an earlier download, if what is needed is whole."""
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(name, "spiece.model", revision=revision)
    if not isinstance(file, str):
        return None
    folder = Path(file).parent
    if not weights:
        return folder
    return folder if (folder / "config.json").is_file() and weights_file(folder) else None


def weights_file(folder: Path) -> Path | None:
    """The weights in a folder, or the index of their parts if every part is there; safetensors first."""
    for kind in WEIGHTS:
        if (folder / kind).is_file():
            return folder / kind
        index = folder / f"{kind}.index.json"
        if index.is_file() and all((folder / part).is_file() for part in _parts(index)):
            return index
    return None


def _parts(index: Path) -> list[str]:
    """The files that an index of weights names.

    Raises:
        ModelUnavailable: it cannot be read as one; an index in the cache is deleted.
    """
    try:
        parts = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        # Names only: a path could lead anywhere.
        if parts and all(part == Path(part).name for part in parts):
            return parts
        cause = None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = error
    again_ja, again_en = "モデルを入れ直してください。", "put the model in that folder again."
    if index.resolve().is_relative_to(cache_folder().resolve()):
        remove(index)
        again_ja = "消したので、もう一度実行すると、ダウンロードし直します。"
        again_en = "it was deleted; run this again to download it again."
    raise ModelUnavailable(
        f"{index.parent} の {index.name} が壊れています。{again_ja}{BUNDLED_JA}",
        f"{index.name} in {index.parent} is damaged: {again_en} {BUNDLED_EN}",
    ) from cause


def is_intact(file: Path) -> bool | None:
    """Whether a file of the cache has the content it is named for; None if its name does not tell.

    Where the system can link, the cache keeps large files under their SHA-256 and small ones under git's hash.
    """
    name = file.resolve().name
    if not set(name) <= set("0123456789abcdef"):
        return None
    if len(name) == 64:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == name
    if len(name) == 40:
        body = file.read_bytes()
        # Not every mirror of the hub names files as git does.
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest() == name or None
    return None


def discard_damaged(folder: Path) -> list[str]:
    """Delete from the cache what may have made a model unreadable: every file that is not known to be intact.

    Returns:
        The names of the files removed; none if the folder is not one of the cache's: a reader's own is not touched.
    """
    if not folder.resolve().is_relative_to(cache_folder().resolve()):
        return []
    damaged = [file for file in sorted(folder.iterdir()) if file.is_file() and not is_intact(file)]
    for file in damaged:
        remove(file)
    return [file.name for file in damaged]


def remove(file: Path) -> None:
    file.resolve().unlink(missing_ok=True)
    file.unlink(missing_ok=True)
