"""From the name of a model to a folder with its files: the bundled one, a local folder, or a download.

`from_pretrained` could download by itself. Offline it asks for every single file and tries five times each, which
takes minutes; here the hub is asked once, and what cannot be had is said in one sentence. Files come one after
another, the weights last: a download that was broken off is never taken for a whole one, and the interrupt key
works (downloads in threads go on to their end).
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.errors import Explained, InputError
from helpers.language import say

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

TOKENIZER_FILES = ("spiece.model", "tokenizer_config.json", "special_tokens_map.json")
CONFIG_FILES = ("config.json", "generation_config.json")
# Numbers only, and what can hold code: the first one that a model has is taken.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class ModelUnavailable(Explained, OSError):
    """A model's files cannot be had; the message says what to do, `__cause__` keeps the original error."""


class Interrupted(Explained, KeyboardInterrupt):
    """The reader interrupted a download: still a KeyboardInterrupt, shown in one sentence."""


def local_folder(name: str | Path, weights: bool = True, beside: int = 0) -> Path:
    """The folder that holds a model's files, downloaded into the Hugging Face cache if need be.

    Args:
        name: "aozora-mini", a folder, or a hub id ("author/model").
        weights: False fetches the tokenizer and the configuration only.
        beside: bytes that the disk has to hold besides what is downloaded.

    Raises:
        InputError: a ValueError; the name is none of these.
        ModelUnavailable: there is no such model, or the hub cannot be reached and the cache does not hold it, or
            the disk is full.
        Interrupted: a KeyboardInterrupt, during a download.
    """
    if str(name) == BUNDLED_MODEL:
        return BUNDLED_PATH
    if _is_folder(name):
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
            say(
                f'モデル名 "{shown}" がわかりません。"auto"、"{BUNDLED_MODEL}"、'
                '"rinna/japanese-gpt-1b" のような Hugging Face Hub の「作者/モデル名」、'
                "またはモデルのフォルダーを指定してください。",
                f'there is no model or folder called "{shown}": give "auto", "{BUNDLED_MODEL}", an "author/model" of '
                'the Hugging Face Hub such as "rinna/japanese-gpt-1b", or a folder that holds a model.',
            )
        )
    return _download(str(name), weights, beside)


def _is_folder(name: str | Path) -> bool:
    try:
        return bool(str(name)) and Path(name).is_dir()
    except (OSError, ValueError):
        # Too long for a path, or with a character that no path has.
        return False


def _download(name: str, weights: bool, beside: int) -> Path:
    from huggingface_hub import try_to_load_from_cache

    # httpx's or httpx2's, whichever this version of huggingface_hub uses.
    from huggingface_hub.errors import HTTPError

    try:
        info = _ask(name)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        missing = [
            file
            for file in wanted_files(sizes, weights)
            if not isinstance(try_to_load_from_cache(name, file, revision=info.sha), str)
        ]
        if missing:
            _check_space(name, sum(sizes[file] for file in missing) + beside)
        with _interruptible(name):
            for file in missing:
                _check_content(name, _fetch(name, file))
    except ModelUnavailable:
        raise
    except (OSError, HTTPError, ValueError) as error:
        if folder := _cached(name, weights):
            return folder
        raise ModelUnavailable(_explanation(name, error)) from error
    if folder := _cached(name, weights, info.sha) or _cached(name, weights):
        return folder
    raise ModelUnavailable(
        say(
            f"{name} には、このノートブックで使える形のファイルがありません"
            f"（spiece.model、config.json、model.safetensors）。"
            f'rinna のモデルか、ダウンロードのいらない "{BUNDLED_MODEL}" を使ってください。',
            f"{name} does not have the files that these notebooks can use (spiece.model, config.json, "
            f'model.safetensors): use one of rinna\'s models or "{BUNDLED_MODEL}", which needs no download.',
        )
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


def _ask(name: str) -> ModelInfo:
    """What the hub has under a name, with the size of each file; waits HF_HUB_ETAG_TIMEOUT seconds (10) at most."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

    try:
        return HfApi().model_info(name, files_metadata=True, timeout=HF_HUB_ETAG_TIMEOUT)
    except (KeyError, TypeError) as error:
        raise NotAHub("JSON, but not a model's") from error


class TransferFailed(OSError):
    """The hub's client gave up in the middle of a file, without saying why in its type."""


class NotAHub(ValueError):
    """Something else than a hub answered."""


def wanted_files(names: Iterable[str], weights: bool = True) -> list[str]:
    """Those of a repository's files that a model needs, the weights last: safetensors if there are any."""
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


def _cached(name: str, weights: bool, revision: str | None = None) -> Path | None:
    """The folder of an earlier download, if what is needed is whole."""
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(name, "spiece.model", revision=revision)
    if not isinstance(file, str):
        return None
    folder = Path(file).parent
    if not weights:
        return folder
    return folder if (folder / "config.json").is_file() and weights_file(folder) else None


def is_cached(name: str) -> bool:
    """Whether a model needs no download: it is the bundled one, a folder, or whole in the cache."""
    return name == BUNDLED_MODEL or _is_folder(name) or _cached(name, weights=True) is not None


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
        ModelUnavailable: it is no such index; one in the cache is deleted.
    """
    try:
        parts = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        # Names only: a path could lead anywhere.
        if parts and all(part == Path(part).name for part in parts):
            return parts
        cause = None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = error
    again_ja, again_en = "モデルを入れ直してください。", "put the model there again."
    if index.resolve().is_relative_to(cache_folder().resolve()):
        _remove(index)
        again_ja = "消したので、もう一度実行すると、ダウンロードし直します。"
        again_en = "it was deleted; run this again to download it anew."
    raise ModelUnavailable(
        say(
            f"{index.parent} の {index.name} が壊れています。{again_ja}"
            f'"{BUNDLED_MODEL}" はダウンロードなしで使えます。',
            f'{index.name} in {index.parent} is damaged: {again_en} "{BUNDLED_MODEL}" needs no download.',
        )
    ) from cause


def hub_problem(name: str) -> str | None:
    """Why a model cannot be had from the cache or the hub, or None if it can. Downloads nothing."""
    try:
        if _cached(name, weights=True):
            return None
    except ModelUnavailable:
        # What was damaged has been deleted: the hub may have it.
        pass
    return hub_silence(name)


def hub_silence(name: str) -> str | None:
    """Why the hub does not tell what it has under a name, or None if it does, whatever is in the cache."""
    from huggingface_hub.errors import HTTPError

    try:
        _ask(name)
    except (OSError, HTTPError, ValueError) as error:
        return _explanation(name, error)
    return None


def cache_folder() -> Path:
    """Where downloads are kept: HF_HOME or HF_HUB_CACHE in the environment moves it."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _check_space(name: str, needed: int) -> None:
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelUnavailable(_no_space(name, needed, free))


def _no_space(name: str, needed: int | None = None, free: int | None = None) -> str:
    ja = en = ""
    if needed is not None and free is not None:
        ja = f"（必要 {_size(needed)}、空き {_size(free)}）"
        en = f" ({_size(needed)} needed, {_size(free)} free)"
    return say(
        f"ディスクの空きが足りないので、{name} をダウンロードできません{ja}。いらないファイルを消すか、"
        f"環境変数 HF_HOME で保存先（今は {cache_folder()}）を変えてください。"
        f'"{BUNDLED_MODEL}" はダウンロードなしで使えます。',
        f"the disk has no room for {name}{en}: delete what you do not need, or choose another place with the "
        f"environment variable HF_HOME (now {cache_folder()}); "
        f'"{BUNDLED_MODEL}" needs no download.',
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


@contextmanager
def _interruptible(name: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            say(
                f"{name} のダウンロードを中断しました。もう一度実行すると、途中のファイルから始めます。",
                f"the download of {name} was interrupted: run this again to go on from the file it was at.",
            )
        ) from error


def _check_content(name: str, file: Path) -> None:
    """Refuse what was damaged on its way, and take it out of the cache: the hub's client compares sizes only."""
    if is_intact(file) is False:
        _remove(file)
        raise ModelUnavailable(
            say(
                f"{name} の {file.name} が壊れて届いたので、消しました。もう一度実行すると、ダウンロードし直します。"
                f'くり返すときは "{BUNDLED_MODEL}" を使ってください。',
                f"{file.name} of {name} arrived damaged and was deleted: run this again to download it anew; "
                f'if it happens again, use "{BUNDLED_MODEL}".',
            )
        )


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
    """Take out of the cache what may have made a model unreadable: all files that are not known to be intact.

    Returns:
        The names of the files removed; none if the folder is not one of the cache's: a reader's own is not touched.
    """
    if not folder.resolve().is_relative_to(cache_folder().resolve()):
        return []
    damaged = [file for file in sorted(folder.iterdir()) if file.is_file() and not is_intact(file)]
    for file in damaged:
        _remove(file)
    return [file.name for file in damaged]


def _remove(file: Path) -> None:
    file.resolve().unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explanation(name: str, error: Exception) -> str:
    from huggingface_hub import get_token
    from huggingface_hub.errors import OfflineModeIsEnabled

    chain = list(_chain(error))
    # hf_xet passes the system's words on, but not its number.
    if any(
        getattr(e, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on" in str(e)
        for e in chain
    ):
        return _no_space(name)
    if any(
        isinstance(e, PermissionError) or getattr(e, "errno", None) == errno.EROFS for e in chain
    ):
        return say(
            f"{cache_folder()} に書き込めないので、{name} をダウンロードできません。環境変数 HF_HOME で、書き込める場所を"
            f'指定してください。"{BUNDLED_MODEL}" はダウンロードなしで使えます。',
            f"{cache_folder()} cannot be written to, so {name} cannot be downloaded: name a place that can with the "
            f'environment variable HF_HOME; "{BUNDLED_MODEL}" needs no download.',
        )
    bundled = say(
        f'"{BUNDLED_MODEL}" はダウンロードなしで使えます。',
        f'"{BUNDLED_MODEL}" needs no download.',
    )
    if any(isinstance(e, OfflineModeIsEnabled) for e in chain):
        if _cached(name, weights=True):
            return say(
                "環境変数 HF_HUB_OFFLINE が、Hugging Face Hub への問い合わせを止めています。",
                "HF_HUB_OFFLINE in the environment forbids asking the Hugging Face Hub.",
            )
        return say(
            f"{name} はまだダウンロードされていません。環境変数 HF_HUB_OFFLINE が、ダウンロードを止めています。{bundled}",
            f"{name} has not been downloaded yet, and HF_HUB_OFFLINE in the environment forbids it; {bundled}",
        )
    responses = [r for e in chain if (r := getattr(e, "response", None)) is not None]
    status = responses[0].status_code if responses else None
    if status in (401, 403, 404):
        token = get_token() is not None
        return say(
            f"Hugging Face Hub に {name} がないか、公開されていません（HTTP {status}）。名前のつづり"
            f"{'と、HF_TOKEN などのトークン' if token else ''}を確認してください。{bundled}",
            f"the Hugging Face Hub has no public model called {name} (HTTP {status}): check the spelling"
            f"{' and your access token (HF_TOKEN)' if token else ''}; {bundled}",
        )
    if status == 429:
        wait = responses[0].headers.get("Retry-After", "")
        after = say(f"{wait} 秒", f"{wait} seconds") if wait.isdigit() else say("数分", "minutes")
        return say(
            f"Hugging Face Hub が混み合っていて、{name} を取得できません（HTTP 429）。"
            f"{after}ほど待って、もう一度実行してください。{bundled}",
            f"the Hugging Face Hub asks to wait (HTTP 429): run this again for {name} in about {after}; {bundled}",
        )
    if status and status >= 500:
        return say(
            f"Hugging Face Hub に問題が起きていて、{name} を取得できません（HTTP {status}）。"
            f"あとでもう一度実行してください。{bundled}",
            f"the Hugging Face Hub has trouble, so {name} cannot be had (HTTP {status}): "
            f"run this again later; {bundled}",
        )
    if isinstance(error, json.JSONDecodeError | NotAHub):
        return say(
            f"Hugging Face Hub のかわりに別のページが返ってきて、{name} を取得できません。"
            f"ネットワークへのログインが必要かもしれません。ブラウザで確かめてください。{bundled}",
            f"something else than the Hugging Face Hub answered, so {name} cannot be had: perhaps this network wants "
            f"you to log in; look with a browser; {bundled}",
        )
    what = f"HTTP {status}" if status else type(error).__name__
    if any("Timeout" in type(e).__name__ for e in chain):
        what = say("時間内に返事がありません", "no answer in time")
    return say(
        f"Hugging Face Hub から {name} を取得できません（{what}）。"
        f"ネットワークを確認して、もう一度実行してください。{bundled}",
        f"{name} cannot be had from the Hugging Face Hub ({what}): check the network and run this again; {bundled}",
    )
