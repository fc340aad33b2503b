"""From the name of a model to a folder with its files: the bundled one, a local folder, or a download.

`from_pretrained` could download by itself. Offline it asks for every single file and tries five times each, which
takes minutes; here the hub is asked once, and a failure is reported in one sentence. Files are downloaded one after another, the
weights last: an interrupted download is never mistaken for a complete one, and the interrupt key works (downloads
in threads run to their end).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.errors import Explained, InputError
from helpers.hub.cache import (
    WEIGHTS,
    cache_folder,
    cached_folder,
    clean_name,
    is_folder,
    is_intact,
    remove,
)
from helpers.hub.errors import (
    BUNDLED_EN,
    BUNDLED_JA,
    Interrupted,
    ModelUnavailable,
    NotAHub,
    TransferFailed,
)
from helpers.hub.messages import explanation, no_space
from helpers.memory import free_disk

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

TOKENIZER_FILES = (
    "spiece.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
CONFIG_FILES = ("config.json", "generation_config.json")


def local_folder(name: str | Path, weights: bool = True, extra_bytes: int = 0) -> Path:
    """The folder that holds a model's files, downloaded into the Hugging Face cache if need be.

    Args:
        name: "aozora-mini", a folder, or a hub id ("author/model").
        weights: False fetches the tokenizer and the configuration only.
        extra_bytes: bytes that must fit on the disk besides the download.

    Raises:
        InputError: a ValueError; the name is none of these.
        ModelUnavailable: there is no such model, or the hub cannot be reached and the cache does not hold it, or
            the disk is full.
        Interrupted: a KeyboardInterrupt, during a download.
    """
    name = clean_name(name)
    if name == BUNDLED_MODEL:
        return BUNDLED_PATH
    if is_folder(name):
        refuse_pointers(Path(name))
        return Path(name)
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    author, slash, model = str(name).partition("/")
    try:
        validate_repo_id(str(name))
        understood = bool(author and slash and model) and author not in (".", "..", "~")
    except HFValidationError:
        understood = False
    if not understood:
        shown = str(name) if len(str(name)) <= 80 else f"{str(name)[:80]}…"
        raise InputError(
            f'モデル名 "{shown}" がわかりません。"auto"、"{BUNDLED_MODEL}"、'
            '"rinna/japanese-gpt-1b" のような Hugging Face Hub の「作者/モデル名」、'
            "またはモデルのフォルダーを指定してください。",
            f'there is no model or folder called "{shown}": use "auto", "{BUNDLED_MODEL}", an "author/model" on '
            'the Hugging Face Hub such as "rinna/japanese-gpt-1b", or a folder that holds a model.',
        )
    return _download(str(name), weights, extra_bytes)


def refuse_pointers(folder: Path) -> None:
    """A repository cloned without git-lfs has pointers in place of its large files.

    Raises:
        ModelUnavailable: a file that is needed is such a pointer.
    """
    files = [folder / name for name in (*TOKENIZER_FILES, *CONFIG_FILES)]
    for kind in WEIGHTS:
        stem, suffix = kind.rsplit(".", 1)
        files += folder.glob(f"{stem}*.{suffix}")
    pointers = sorted({file.name for file in files if _is_pointer(file)})
    if pointers:
        raise ModelUnavailable(
            f"{folder} の {'、'.join(pointers)} は中身ではなく、git-lfs の目印だけです。そのフォルダーで git lfs pull を"
            f"実行するか、ファイルを取り寄せ直してください。{BUNDLED_JA}",
            f"{', '.join(pointers)} in {folder} is only a git-lfs pointer, not the file itself: run git lfs pull in that "
            f"folder, or download the file again; {BUNDLED_EN}",
        )


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(24) == b"version https://git-lfs."
    except OSError:
        return False


def _download(name: str, weights: bool, extra_bytes: int) -> Path:
    from huggingface_hub import try_to_load_from_cache

    # httpx's or httpx2's, whichever this version of huggingface_hub uses.
    from huggingface_hub.errors import HTTPError

    try:
        info = ask_hub(name)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        missing = [
            file
            for file in wanted_files(sizes, weights)
            if not isinstance(try_to_load_from_cache(name, file, revision=info.sha), str)
        ]
        if missing:
            check_space(name, sum(sizes[file] for file in missing) + extra_bytes)
        with _interruptible(name):
            for file in missing:
                _check_content(name, _fetch(name, file))
    except ModelUnavailable:
        raise
    except (OSError, HTTPError, ValueError) as error:
        if folder := cached_folder(name, weights):
            return folder
        raise ModelUnavailable(explanation(name, error)) from error
    if folder := cached_folder(name, weights, info.sha) or cached_folder(name, weights):
        return folder
    raise ModelUnavailable(
        f"{name} には、このノートブックで使える形のファイルがありません"
        f"（spiece.model、config.json、model.safetensors）。"
        f'rinna のモデルか、ダウンロードのいらない "{BUNDLED_MODEL}" を使ってください。',
        f"{name} does not have the files that these notebooks can use (spiece.model, config.json, "
        f'model.safetensors): use one of rinna\'s models or "{BUNDLED_MODEL}", which needs no download.',
    )


def _fetch(name: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file))
    except RuntimeError as error:
        # hf_xet, which carries large files where it is installed, has no other type for a broken network.
        if isinstance(error, Explained):
            raise
        raise TransferFailed(str(error)) from error


def wanted_files(names: Iterable[str], weights: bool = True) -> list[str]:
    """The files of a repository that a model needs, the weights last: safetensors if there are any."""
    names = sorted(names)
    wanted = [name for name in (*TOKENIZER_FILES, *CONFIG_FILES) if name in names]
    if weights:
        for kind in WEIGHTS:
            stem, suffix = kind.rsplit(".", 1)
            # "model-00001-of-00002.safetensors" and "model.safetensors.index.json" where they are several.
            parts = [n for n in names if n.startswith(stem) and f".{suffix}" in n and "/" not in n]
            if parts:
                return wanted + sorted(parts, key=lambda n: not n.endswith(".json"))
    return wanted


@contextmanager
def _interruptible(name: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"{name} のダウンロードを中断しました。もう一度実行すると、途中のファイルから始めます。",
            f"the download of {name} was interrupted: run this again to resume with that file.",
        ) from error


def _check_content(name: str, file: Path) -> None:
    """Refuse what was damaged in transit, and delete it from the cache: the hub's client compares sizes only."""
    if is_intact(file) is False:
        remove(file)
        raise ModelUnavailable(
            f"{name} の {file.name} が壊れて届いたので、消しました。もう一度実行すると、ダウンロードし直します。"
            f'くり返すときは "{BUNDLED_MODEL}" を使ってください。',
            f"{file.name} of {name} arrived damaged and was deleted: run this again to download it again; "
            f'if it happens again, use "{BUNDLED_MODEL}".',
        )


def check_space(name: str, needed: int) -> None:
    free = free_disk(cache_folder())
    if needed > free:
        raise ModelUnavailable(no_space(name, needed, free))


def ask_hub(name: str) -> ModelInfo:
    """What the hub has under a name, with the size of each file; waits HF_HUB_ETAG_TIMEOUT seconds (10) at most."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

    try:
        return HfApi().model_info(name, files_metadata=True, timeout=HF_HUB_ETAG_TIMEOUT)
    except (KeyError, TypeError) as error:
        raise NotAHub("JSON, but not a model's") from error


def hub_problem(name: str) -> str | None:
    """Why a model can come neither from the cache nor from the hub, or None if it can. Downloads nothing."""
    try:
        if cached_folder(name, weights=True):
            return None
    except ModelUnavailable:
        # What was damaged has been deleted: the hub may have it.
        pass
    return why_hub_fails(name)


def why_hub_fails(name: str) -> str | None:
    """Why the hub does not say what it has under a name, or None if it does, whatever is in the cache."""
    from huggingface_hub.errors import HTTPError

    try:
        ask_hub(name)
    except (OSError, HTTPError, ValueError) as error:
        return explanation(name, error)
    return None
