"""From the name of a model to a folder with its files: the bundled one, a local folder, or a download.

`from_pretrained` could download by itself. Offline it asks for every single file and tries five times each, which
takes minutes; here the hub is asked once, and what cannot be had is said in one sentence.
"""

from __future__ import annotations

from pathlib import Path

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.language import say

TOKENIZER_FILES = ("spiece.model", "tokenizer_config.json", "special_tokens_map.json")
CONFIG_FILES = ("config.json", "generation_config.json")
TIMEOUT = 10  # seconds for the hub's first answer


class ModelUnavailable(OSError):
    """A model's files cannot be had; the message says what to do, `__cause__` keeps the original error."""


def local_folder(name: str | Path, weights: bool = True) -> Path:
    """The folder that holds a model's files, downloaded into the Hugging Face cache if need be.

    Args:
        name: "aozora-mini", a folder, or a hub id ("author/model").
        weights: False fetches the tokenizer and the configuration only.

    Raises:
        ValueError: the name is none of these.
        ModelUnavailable: there is no such model, or the hub cannot be reached and the cache does not hold it.
    """
    if str(name) == BUNDLED_MODEL:
        return BUNDLED_PATH
    if str(name) and Path(name).is_dir():
        return Path(name)
    author, slash, model = str(name).partition("/")
    if not (author and slash and model) or "/" in model or author in (".", "..", "~"):
        raise ValueError(
            say(
                f'モデル名 "{name}" がわかりません。"auto"、"{BUNDLED_MODEL}"、'
                '"rinna/japanese-gpt-1b" のような Hugging Face Hub の「作者/モデル名」、'
                "またはモデルのフォルダーを指定してください。",
                f'there is no model or folder called "{name}": give "auto", "{BUNDLED_MODEL}", an "author/model" of '
                'the Hugging Face Hub such as "rinna/japanese-gpt-1b", or a folder that holds a model.',
            )
        )
    return _download(str(name), weights)


def _download(name: str, weights: bool) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    # httpx's or httpx2's, whichever this version of huggingface_hub uses.
    from huggingface_hub.errors import HTTPError

    try:
        info = HfApi().model_info(name, timeout=TIMEOUT)
        names = [file.rfilename for file in info.siblings or []]
        return Path(snapshot_download(name, allow_patterns=_wanted(names, weights)))
    except (OSError, HTTPError, ValueError) as error:
        if folder := _cached(name, weights):
            return folder
        raise ModelUnavailable(_explanation(name, error)) from error


def _wanted(names: list[str], weights: bool) -> list[str]:
    wanted = [*TOKENIZER_FILES, *CONFIG_FILES]
    if weights:
        safe = [n for n in names if n.startswith("model") and ".safetensors" in n]
        wanted += safe or [n for n in names if n.startswith("pytorch_model") and ".bin" in n]
    return wanted


def _cached(name: str, weights: bool) -> Path | None:
    """The folder of an earlier download, if what is needed is whole."""
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(name, "spiece.model")
    if not isinstance(file, str):
        return None
    folder = Path(file).parent
    has_weights = any(folder.glob("model*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    return folder if has_weights or not weights else None


def hub_problem(name: str) -> str | None:
    """Why a model cannot be had from the cache or the hub, or None if it can. Downloads nothing."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    if _cached(name, weights=True):
        return None
    try:
        HfApi().model_info(name, timeout=TIMEOUT)
    except (OSError, HTTPError) as error:
        return _explanation(name, error)
    return None


def _explanation(name: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        return say(
            f"Hugging Face Hub に {name} がないか、公開されていません（HTTP {status}）。"
            f'名前のつづりを確認してください。ネットワークなしで使えるモデルは "{BUNDLED_MODEL}" です。',
            f"the Hugging Face Hub has no public model called {name} (HTTP {status}): check the spelling; "
            f'"{BUNDLED_MODEL}" needs no download.',
        )
    what = f"HTTP {status}" if status else type(error).__name__
    return say(
        f"Hugging Face Hub から {name} を取得できません（{what}）。"
        f'ネットワークを確認して、もう一度実行するか、ダウンロードのいらない "{BUNDLED_MODEL}" を使ってください。',
        f"{name} cannot be had from the Hugging Face Hub ({what}): check the network and run this again, "
        f'or use "{BUNDLED_MODEL}", which needs no download.',
    )
