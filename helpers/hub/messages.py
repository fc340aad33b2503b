"""Whatever goes wrong between here and the Hugging Face Hub, as one sentence with the next step."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator

from helpers.hub.cache import cache_folder, cached_folder
from helpers.hub.errors import BUNDLED_EN, BUNDLED_JA, NotAHub
from helpers.language import say
from helpers.memory import needed_and_free


def explanation(name: str, error: Exception) -> str:
    """Why a model could not be fetched, and what to do."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import OfflineModeIsEnabled

    chain = list(_chain(error))
    # hf_xet passes the system's words on, but not its number.
    if any(
        getattr(e, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on" in str(e)
        for e in chain
    ):
        return no_space(name)
    if any(
        isinstance(e, PermissionError) or getattr(e, "errno", None) == errno.EROFS for e in chain
    ):
        return say(
            f"{cache_folder()} に書き込めないので、{name} をダウンロードできません。環境変数 HF_HOME で、書き込める場所を"
            f"指定してください。{BUNDLED_JA}",
            f"{cache_folder()} cannot be written to, so {name} cannot be downloaded: set the environment "
            f"variable HF_HOME to a writable folder; {BUNDLED_EN}",
        )
    bundled = say(BUNDLED_JA, BUNDLED_EN)
    if any(isinstance(e, OfflineModeIsEnabled) for e in chain):
        if cached_folder(name, weights=True):
            return say(
                "環境変数 HF_HUB_OFFLINE が、Hugging Face Hub への問い合わせを止めています。",
                "the environment variable HF_HUB_OFFLINE blocks all requests to the Hugging Face Hub.",
            )
        return say(
            f"{name} はまだダウンロードされていません。環境変数 HF_HUB_OFFLINE が、ダウンロードを止めています。{bundled}",
            f"{name} has not been downloaded yet, and the environment variable HF_HUB_OFFLINE blocks downloads; {bundled}",
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
            f"the Hugging Face Hub is busy (HTTP 429): run this again in about {after} to get {name}; {bundled}",
        )
    if status and status >= 500:
        return say(
            f"Hugging Face Hub に問題が起きていて、{name} を取得できません（HTTP {status}）。"
            f"あとでもう一度実行してください。{bundled}",
            f"the Hugging Face Hub has a problem, so {name} could not be downloaded (HTTP {status}): "
            f"run this again later; {bundled}",
        )
    if isinstance(error, json.JSONDecodeError | NotAHub):
        return say(
            f"Hugging Face Hub のかわりに別のページが返ってきて、{name} を取得できません。"
            f"ネットワークへのログインが必要かもしれません。ブラウザで確かめてください。{bundled}",
            f"something other than the Hugging Face Hub answered, so {name} could not be downloaded: this network may "
            f"require a login; open any page in a browser to check; {bundled}",
        )
    what = f"HTTP {status}" if status else type(error).__name__
    if any("Timeout" in type(e).__name__ for e in chain):
        what = say("時間内に返事がありません", "no answer in time")
    return say(
        f"Hugging Face Hub から {name} を取得できません（{what}）。"
        f"ネットワークを確認して、もう一度実行してください。{bundled}",
        f"{name} could not be downloaded from the Hugging Face Hub ({what}): check the network and run this again; {bundled}",
    )


def no_space(name: str, needed: int | None = None, free: int | None = None) -> str:
    """That the disk has no room for a download; `needed` and `free` are in bytes."""
    ja = en = ""
    if needed is not None and free is not None:
        both = needed_and_free(needed, free)
        ja, en = f"（{both}）", f" ({both})"
    return say(
        f"ディスクの空きが足りないので、{name} をダウンロードできません{ja}。いらないファイルを消すか、"
        f"環境変数 HF_HOME で保存先（今は {cache_folder()}）を変えてください。"
        f"{BUNDLED_JA}",
        f"there is not enough disk space for {name}{en}: delete what you do not need, or set the environment "
        f"variable HF_HOME to another place (now {cache_folder()}); "
        f"{BUNDLED_EN}",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
