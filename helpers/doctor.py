"""One page on whether the lessons can run here, and what to do where they cannot: `python -m helpers.doctor`.

Each line is `[OK]`, `[NG]` with the next step, or `[--]`: something is absent that the lessons do without, such as
a GPU or the network. The exit status is 1 if any line is `[NG]`.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Arguments
from dataclasses import asdict, dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.environment import REQUIREMENTS
from helpers.language import LANGUAGES, say, set_language

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OK, NG, NOTE = "OK", "NG", "--"
PROJECT = "yukiguni-notebooks"
# Lessons do without these; the sentence says when they are wanted.
OPTIONAL = {
    "ctranslate2": (
        "CPU で速く書かせるときだけ使います。レッスン 04 では、なければネットワークから入れます。",
        "wanted only for faster text on a CPU; lesson 04 fetches it from the network if it is missing.",
    ),
    "jupyterlab": (
        "make lab で使います。Colab と VS Code では要りません。",
        "wanted for make lab; not on Colab or in VS Code.",
    ),
}
# A lesson's kernel peaks at 0.6 GB (README, "The lessons").
MEMORY_NEEDED = 0.7e9  # bytes
DISK_NEEDED = 0.1e9  # bytes: notebooks, pictures, temporary files
NETWORK_SECONDS = 20
# ipywidgets has its other half in the browser, brought by two packages: the major versions that fit each other.
# With ipywidgets 7 pip installs jupyterlab-widgets 3, which its metadata allows, and JupyterLab then shows nothing.
WIDGET_MAJORS = (
    {"ipywidgets": "8", "jupyterlab-widgets": "3", "widgetsnbextension": "4"},
    {"ipywidgets": "7", "jupyterlab-widgets": "1", "widgetsnbextension": "3"},
)
OPENING_LINE = "国境の長いトンネルを抜けると雪国であった。"
# What tokenizers get wrong: unknown characters, marks that join, widths, spaces, the text of special tokens.
HARD_TEXTS = (
    "",
    OPENING_LINE,
    "𠮷野家で🍣",
    "👨‍👩‍👧‍👦",
    "ﾊﾟﾝﾀﾞ ①㍻ ＡＢＣ",
    "が か\u3099",
    "雪\n\n国   の ",
    "▁雪▁",
    "雪</s>国",
    "<s><unk>[PAD][CLS][SEP][MASK]",
    "Hello, WORLD",
    "\u202eabc\u202c",
    "\0\x7f",
)


@dataclass(frozen=True)
class Finding:
    """One line of the page. `name` and `values` are for programs, the same in both languages; sizes are in bytes."""

    name: str
    status: str  # OK, NG or NOTE
    found: str
    next_step: str = ""
    values: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        step = f" → {self.next_step}" if self.next_step else ""
        return f"[{self.status}] {_label(self.name)}: {self.found}{step}"


def examine() -> Iterator[Finding]:
    """Look at everything in turn; a finding comes as soon as it is known. Takes some seconds, changes nothing."""
    yield from _guarded("python", _python)
    yield from _guarded("packages", _packages)
    yield from _guarded("device", _device)
    yield from _guarded("memory", _memory)
    yield from _guarded("disk", _disk)
    yield from _guarded("network", _network)
    yield from _guarded("font", _font)
    yield from _guarded("widgets", _widgets)
    yield from _guarded("tokenizer", _tokenizer)
    yield from _guarded("model", _model)


def diagnose() -> list[Finding]:
    """Print the page line by line and return its findings."""
    findings = []
    for finding in examine():
        findings.append(finding)
        print(finding, flush=True)
    wrong = sum(finding.status == NG for finding in findings)
    print(
        say(
            f"[NG] が {wrong} 個あります。上から順に、→ のあとを試してください。",
            f"{wrong} × [NG]: follow the steps after the arrows, from the top.",
        )
        if wrong
        else say("ここでレッスンを動かせます。", "The lessons can run here.")
    )
    return findings


def main(arguments: Arguments[str] | None = None) -> int:
    """Run the command; returns the exit status: 1 if something keeps the lessons from running, else 0."""
    for output in (sys.stdout, sys.stderr):
        # A Windows console in cp932 has no 𠮷 and would raise.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(encoding="utf-8")
    language = argparse.ArgumentParser(add_help=False)
    language.add_argument(
        "--lang", choices=LANGUAGES, help=say("表示の言葉", "the language of the page")
    )
    # Before anything is said, --help included.
    if chosen := language.parse_known_args(arguments)[0].lang:
        set_language(chosen)
    parser = argparse.ArgumentParser(
        prog="python -m helpers.doctor",
        parents=[language],
        description=say(
            "ここでレッスンを動かせるかどうかを調べます。何も変えません。",
            "Look at whether the lessons can run here. Changes nothing.",
        ),
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help=say("結果を JSON だけで出力します", "print the result as JSON and nothing else"),
    )
    as_json = parser.parse_args(arguments).json
    findings = list(examine()) if as_json else diagnose()
    ok = all(finding.status != NG for finding in findings)
    if as_json:
        answer = {"ok": ok, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    return 0 if ok else 1


def _guarded(name: str, look: Callable[[], Iterator[Finding] | Finding]) -> Iterator[Finding]:
    """What `look` finds. A broken installation can raise anything at all: that is a finding, not the end."""
    try:
        found = look()
        yield from [found] if isinstance(found, Finding) else found
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        yield Finding(name, NG, what[:300], _install_again())


def _python() -> Finding:
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    values = {"version": platform.python_version(), "platform": platform.platform()}
    if sys.version_info >= (3, 11):  # noqa: UP036
        return Finding("python", OK, found, values=values)
    step = say("Python 3.11 以上を使ってください。", "use Python 3.11 or newer.")
    return Finding("python", NG, found, step, values)


def _packages() -> Iterator[Finding]:
    tested = _tested_versions()
    if not tested:
        yield Finding(
            "tested",
            NOTE,
            say("constraints.txt がありません。", "there is no constraints.txt."),
            say(
                "試した版とくらべるには、教材のフォルダーで実行してください。",
                "to compare with what was tested, run this in the folder of the repository.",
            ),
        )
    for requirement in _requirements():
        yield _package(requirement, tested.get(_normalised(requirement.name)))


def _package(requirement: Requirement, tested: str | None) -> Finding:
    name = requirement.name
    limits = ",".join(sorted(map(str, requirement.specifier), reverse=True))
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        installed = None
    shown = installed or say("ありません", "missing")
    found = say(f"{shown}（範囲 {limits}", f"{shown} (range {limits}")
    if tested:
        found += say(f"、試した版 {tested}", f"; tested {tested}")
    found += say("）", ")")
    values = {"installed": installed, "range": limits, "tested": tested}
    if installed is None and name in OPTIONAL:
        return Finding(name, NOTE, found, say(*OPTIONAL[name]), values)
    if installed is None or not requirement.specifier.contains(installed, prereleases=True):
        return Finding(name, NG, found, _install_again(), values)
    return Finding(name, OK, found, values=values)


def _requirements() -> list[Requirement]:
    """What the lessons need and what they can use: from the checkout, or from the installed package."""
    import tomllib

    from packaging.requirements import Requirement

    if REQUIREMENTS.exists():
        lines = re.sub("#.*", "", REQUIREMENTS.read_text(encoding="utf-8")).split("\n")
        project = tomllib.loads(
            REQUIREMENTS.with_name("pyproject.toml").read_text(encoding="utf-8")
        )
        lines += project["project"]["optional-dependencies"]["fast"]
        return [Requirement(line) for line in lines if line.strip()]
    every = map(Requirement, metadata.requires(PROJECT) or [])
    return [r for r in every if r.marker is None or r.marker.evaluate({"extra": "fast"})]


def _tested_versions() -> dict[str, str]:
    constraints = REQUIREMENTS.with_name("constraints.txt")
    if not constraints.exists():
        return {}  # helpers was installed as a package: the pins stay in the repository.
    text = constraints.read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.MULTILINE)
    return {_normalised(name): version for name, version in pins}


def _device() -> Finding:
    from helpers.device import choose_device

    choice = choose_device()
    dtype = str(choice.dtype).removeprefix("torch.")
    found = say(
        f"{choice.device}、{dtype}。{choice.reason}", f"{choice.device}, {dtype}; {choice.reason}"
    )
    values = {"device": str(choice.device), "dtype": dtype}
    if choice.device.type != "cpu":
        return Finding("device", OK, found, values=values)
    # On Colab the reason itself tells how to get one.
    step = say("GPU なしでもレッスンはできます。", "the lessons do without a GPU.")
    return Finding("device", NOTE, found, step, values)


def _memory() -> Finding:
    import torch

    from helpers.memory import available_memory
    from helpers.models import CATALOGUE

    free = available_memory(torch.device("cpu"))
    fits = [info.name for info in CATALOGUE.values() if MEMORY_NEEDED + info.memory_bytes(4) < free]
    found = say(f"空き {free / 1e9:.1f} GB", f"{free / 1e9:.1f} GB free")
    if free < MEMORY_NEEDED:
        step = say(
            f"ほかのアプリやノートブックを閉じて、{MEMORY_NEEDED / 1e9} GB を空けてください。",
            f"close other programs or notebooks until {MEMORY_NEEDED / 1e9} GB are free.",
        )
        return Finding("memory", NG, found, step, {"free": free})
    if fits:
        found += say(f"（CPU で {fits[-1]} まで）", f" (on the CPU, models up to {fits[-1]})")
    return Finding("memory", OK, found, values={"free": free})


def _disk() -> Finding:
    from huggingface_hub.constants import HF_HUB_CACHE

    from helpers.models import CATALOGUE, LARGE_MODEL

    places = [Path.cwd(), Path(tempfile.gettempdir())]
    full = min(places, key=lambda place: shutil.disk_usage(place).free)
    here = shutil.disk_usage(full).free
    cache = Path(HF_HUB_CACHE)
    nearest = next(folder for folder in (cache, *cache.parents) if folder.exists())
    room, needed = shutil.disk_usage(nearest).free, CATALOGUE[LARGE_MODEL].download_bytes
    values = {"free": here, "cache_free": room}
    found = say(
        f"空き {here / 1e9:.1f} GB、モデルの置き場所は {room / 1e9:.1f} GB",
        f"{here / 1e9:.1f} GB free, {room / 1e9:.1f} GB where models are kept",
    )
    if here < DISK_NEEDED:
        step = say(
            f"{full} のあるディスクから、いらないファイルを消してください。",
            f"delete files that you do not need from the disk of {full}.",
        )
        return Finding("disk", NG, found, step, values)
    if not os.access(nearest, os.W_OK):
        step = say(
            f"{nearest} に書き込めません。モデルをダウンロードするなら、環境変数 HF_HOME で別の場所を指定してください。",
            f"{nearest} cannot be written: to download a model, name another place in the environment variable HF_HOME.",
        )
        return Finding("disk", NOTE, found, step, values)
    if room < needed:
        step = say(
            f"{LARGE_MODEL}（{needed / 1e9:.1f} GB）は入りません。同梱モデルには要りません。",
            f"{LARGE_MODEL} ({needed / 1e9:.1f} GB) does not fit; the bundled model needs no room.",
        )
        return Finding("disk", NOTE, found, step, values)
    return Finding("disk", OK, found, values=values)


def _network() -> Finding:
    from helpers.hub import hub_silence, is_cached
    from helpers.models import LARGE_MODEL

    answers: list[str | None] = []

    def ask() -> None:
        try:
            # The hub is asked although the model may be in the cache: this line is about the network.
            answers.append(hub_silence(LARGE_MODEL))
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")

    # Looking up a name can hang for minutes, whatever time limit the connection has.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS)
    if answers == [None]:
        return Finding(
            "network", OK, say(f"{LARGE_MODEL} を取得できます。", f"{LARGE_MODEL} can be had.")
        )
    kept = ""
    if is_cached(LARGE_MODEL):
        kept = say(
            f"{LARGE_MODEL} はダウンロードしてあるので、ネットワークなしで使えます。",
            f"{LARGE_MODEL} has been downloaded and needs no network.",
        )
    if answers:
        # The sentence names the next step itself.
        return Finding("network", NOTE, answers[0], kept)
    silent = say(
        f"Hugging Face Hub は {NETWORK_SECONDS} 秒待っても応答しません。",
        f"no answer from the Hugging Face Hub in {NETWORK_SECONDS} seconds.",
    )
    step = say("同梱モデルは、ネットワークなしで動きます。", "the bundled model needs no network.")
    return Finding("network", NOTE, silent, kept or step)


def _font() -> Finding:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from helpers.charts import use_japanese_font

    with matplotlib.rc_context(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use_japanese_font()
        figure = Figure()
        figure.text(0.1, 0.5, OPENING_LINE)
        FigureCanvasAgg(figure).draw()
        family = matplotlib.rcParams["font.family"][0]
    lacking = {str(warning.message) for warning in caught if "Glyph" in str(warning.message)}
    if not lacking:
        return Finding("font", OK, say(f"{family} で描けます。", f"drawn with {family}."))
    found = say(
        f"{len(lacking)} 種類の文字が四角になります。",
        f"{len(lacking)} characters come out as boxes.",
    )
    step = say(
        "python -m pip install --force-reinstall --no-deps matplotlib-fontja を実行してください。",
        "run python -m pip install --force-reinstall --no-deps matplotlib-fontja.",
    )
    return Finding("font", NG, found, step)


def _widgets() -> Finding:
    versions: dict[str, str] = {}
    for name in ("ipywidgets", "jupyterlab-widgets", "widgetsnbextension"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "-"
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    if _on_colab():
        found = say(
            f"ipywidgets {versions['ipywidgets']}（Colab の画面）",
            f"ipywidgets {versions['ipywidgets']} on Colab's own screen",
        )
        return Finding("widgets", OK, found, values={**versions})
    majors = {name: version.partition(".")[0] for name, version in versions.items()}
    if majors in WIDGET_MAJORS:
        return Finding("widgets", OK, found, values={**versions})
    step = say(
        f"版が合わず、表示されません。Jupyter を終了してください。{_install_again()}",
        f"these do not fit each other, and nothing would show: close Jupyter. Then {_install_again()}",
    )
    return Finding("widgets", NG, found, step, {**versions})


def _tokenizer() -> Finding:
    from sentencepiece import SentencePieceProcessor

    from helpers.tokenizer import load_tokenizer

    original = SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    wrong = [
        text
        for text in HARD_TEXTS
        if tokenizer.encode(text, add_special_tokens=False) != original.encode(text)
    ]
    special = (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    values = {"texts": len(HARD_TEXTS), "wrong": wrong}
    if not wrong and special == (original.unk_id(), original.bos_id(), original.eos_id()):
        found = say(
            f"難しい文字列 {len(HARD_TEXTS)} 個で、sentencepiece と同じ id です。",
            f"the ids of sentencepiece on {len(HARD_TEXTS)} hard texts.",
        )
        return Finding("tokenizer", OK, found, values=values)
    example = ascii(wrong[0]) if wrong else "<unk>, <s>, </s>"
    found = say(
        f"sentencepiece と id が違います（{example} など）。",
        f"its ids are not those of sentencepiece (for one, {example}).",
    )
    return Finding("tokenizer", NG, found, _fetch_again(), values)


def _model() -> Finding:
    import torch

    from helpers.models import load_model

    try:
        language_model = load_model(BUNDLED_MODEL, device="cpu")
    except OSError as error:
        return Finding("model", NG, str(error), _fetch_again())
    model, tokenizer = language_model.model, language_model.tokenizer
    ids = tokenizer.encode(OPENING_LINE, add_special_tokens=False)
    size = model.config.vocab_size
    if tokenizer.vocab_size != size:
        found = say(
            f"語彙の数が合いません（トークナイザー {tokenizer.vocab_size}、モデル {size}）。",
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {size}.",
        )
        return Finding("model", NG, found, _fetch_again())
    row = torch.tensor([[tokenizer.bos_token_id, *ids]])
    with torch.no_grad():
        longer = model.generate(
            row,
            attention_mask=torch.ones_like(row),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=tokenizer.pad_token_id,
        )
        scores = model(longer).logits[0].log_softmax(-1)
    bits = -sum(scores[i, token].item() for i, token in enumerate(ids)) / math.log(2) / len(ids)
    # Guessing costs log2(size) bits a token; a model whose weights or vocabulary are damaged does no better.
    guessing = math.log2(size)
    found = say(
        f"書き出しの 1 トークンに {bits:.1f} ビット（あてずっぽうなら {guessing:.1f}）",
        f"{bits:.1f} bits a token on the opening line (guessing takes {guessing:.1f})",
    )
    whole = bool(scores.isfinite().all()) and bits < guessing - 2
    values = {"bits_per_token": bits if math.isfinite(bits) else None}
    return Finding("model", OK if whole else NG, found, "" if whole else _fetch_again(), values)


def _install_again() -> str:
    if _on_colab():
        return say(
            "レッスンの準備のセルをもう一度実行してください。それでも変わらなければ、"
            "「ランタイムのタイプを変更」で少し前のバージョンを選んでください。",
            "run the lesson's setup cell again; if that changes nothing, choose an older version under "
            "Change runtime type.",
        )
    return say(
        "教材のフォルダーで .venv を消して、make run をやり直してください（Windows では README の手順）。",
        "delete .venv in the folder of the lessons and run make run again (on Windows, the steps in the README).",
    )


def _fetch_again() -> str:
    return say(
        "教材のファイルが壊れています。教材のフォルダーで git checkout -- helpers を実行するか、取得し直してください。",
        "the files of the lessons are damaged: run git checkout -- helpers in their folder, or fetch them again.",
    )


def _on_colab() -> bool:
    try:
        return find_spec("google.colab") is not None
    except ModuleNotFoundError:
        return False


def _label(name: str) -> str:
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
        "widgets": say("つまみとボタン", "sliders and buttons"),
        "tokenizer": say("トークナイザー", "tokenizer"),
        "model": say("同梱モデル", "bundled model"),
    }
    return labels.get(name, name)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
