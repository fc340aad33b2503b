"""One line of the page, and the steps that several lines advise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from helpers.language import say

OK, NG, NOTE = "OK", "NG", "--"


@dataclass(frozen=True)
class Finding:
    """One line of the page. `name` and `values` are for programs, the same in both languages; sizes are in bytes."""

    name: str
    status: str  # OK, NG or NOTE
    found: str
    next_step: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        step = f" → {self.next_step}" if self.next_step else ""
        return f"[{self.status}] {label(self.name)}: {self.found}{step}"


def label(name: str) -> str:
    """What a finding is called on the page; a package keeps its name."""
    labels = {
        "python": "Python",
        "packages": say("ライブラリ", "packages"),
        "tested": say("試した版", "tested versions"),
        "device": say("デバイス", "device"),
        "memory": say("メモリ", "memory"),
        "disk": say("ディスク", "disk"),
        "network": say("ネットワーク", "network"),
        "font": say("グラフの日本語", "Japanese in graphs"),
        "widgets": say("スライダーとボタン", "sliders and buttons"),
        "tokenizer": say("トークナイザー", "tokenizer"),
        "model": say("同梱モデル", "bundled model"),
    }
    return labels.get(name, name)


def install_again() -> str:
    if on_colab():
        return say(
            "レッスンの準備のセルをもう一度実行してください。それでも変わらなければ、"
            "「ランタイムのタイプを変更」で少し前のバージョンを選んでください。",
            "run the lesson's setup cell again; if that does not help, choose an older version under "
            "Change runtime type.",
        )
    return say(
        "教材のフォルダーで .venv を消して、make run をやり直してください（Windows では README の手順）。",
        "delete .venv in the folder of the lessons and run make run again (on Windows, the steps in the README).",
    )


def fetch_again() -> str:
    return say(
        "教材のファイルが壊れています。教材のフォルダーで git checkout -- helpers を実行するか、取得し直してください。",
        "the files of the lessons are damaged: run git checkout -- helpers in their folder, or download them again.",
    )


def on_colab() -> bool:
    try:
        return find_spec("google.colab") is not None
    except ModuleNotFoundError:
        return False
