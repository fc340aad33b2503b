"""The models of the lessons: choosing one, loading it. Reading the catalogue needs no torch."""

from __future__ import annotations

import errno
import json
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from helpers import BUNDLED_MODEL
from helpers.catalogue import CATALOGUE, LARGE_MODEL, SHAPE, SMALL, count_parameters
from helpers.errors import Explained, InputError
from helpers.failures import explained_device_errors
from helpers.hub import (
    ModelUnavailable,
    discard_damaged,
    hub_problem,
    is_cached,
    local_folder,
    weights_file,
)
from helpers.language import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

    from helpers.device import DeviceChoice
    from helpers.fast import FastModel
    from helpers.tokenizer import SentencePieceTokenizer

ENGINES = ("torch", "ctranslate2")


@dataclass(frozen=True)
class LanguageModel:
    """A model ready to generate, with its tokenizer, where it runs, and why it was chosen."""

    name: str
    tokenizer: SentencePieceTokenizer
    model: PreTrainedModel | FastModel
    device: torch.device
    dtype: torch.dtype
    reason: str
    engine: str = "torch"

    @property
    def n_positions(self) -> int:
        """The longest text the model can take, in tokens: prompt and continuation together."""
        return self.model.config.max_position_embeddings


def choose_model(choice: DeviceChoice) -> tuple[str, str]:
    """What "auto" stands for on a device: the name of a model and one sentence that says why.

    `HELPERS_MODEL` in the environment decides if it is set. Otherwise rinna/japanese-gpt-1b where a CUDA GPU
    has the memory for it and its files are in the cache or the hub answers; else the bundled model.
    """
    if name := os.environ.get("HELPERS_MODEL"):
        return name, say(
            f"環境変数 HELPERS_MODEL が {name} を指定しています。",
            f"the environment variable HELPERS_MODEL says {name}",
        )
    if choice.device.type != "cuda":
        return BUNDLED_MODEL, say(
            "大きいモデルには CUDA の GPU が要るので、同梱の小さいモデルを使います。",
            "the large model wants a CUDA GPU, so the small bundled one is used",
        )
    import torch

    needed = CATALOGUE[LARGE_MODEL].memory_bytes(choice.dtype)
    free, _ = torch.cuda.mem_get_info(choice.device)
    if free < needed:
        return BUNDLED_MODEL, say(
            f"{LARGE_MODEL} には GPU メモリが約 {needed / 1e9:.1f} GB 必要ですが、空きは {free / 1e9:.1f} GB です。"
            "同梱の小さいモデルを使います。",
            f"{LARGE_MODEL} needs about {needed / 1e9:.1f} GB of GPU memory and {free / 1e9:.1f} GB are free, "
            "so the small bundled model is used",
        )
    if problem := hub_problem(LARGE_MODEL):
        return BUNDLED_MODEL, say(
            f"同梱の小さいモデルを使います。{problem}",
            f"the small bundled model is used, because {problem}",
        )
    return LARGE_MODEL, say(
        f"GPU に {LARGE_MODEL} が載ります（約 {needed / 1e9:.1f} GB）。",
        f"the GPU holds {LARGE_MODEL} (about {needed / 1e9:.1f} GB)",
    )


def load_model(
    name: str | Path = "auto",
    device: str | torch.device | None = None,
    engine: str = "torch",
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """Load a model and its tokenizer, in the dtype that suits the device (see `helpers.device.choose_device`).

    Args:
        name: "auto" (see `choose_model`; prints its choice in one line), "aozora-mini" (bundled), one of rinna's
            models, or any directory or hub id in the same layout (GPT-2 and a `spiece.model`).
        device: as in `helpers.device.choose_device`.
        engine: "torch", or "ctranslate2" (extra `fast`): weights in int8 for a CPU. It takes less memory, and is faster
            than float32 (not than bfloat16 on a CPU with units for it: benchmarks/README.md); its numbers are not those
            of float32. First use converts the model into the user's cache.
        dtype: of the weights, in place of the one that suits the device: torch.float32, bfloat16, float16, or int8, which
            is for writing text on a CPU with VNNI (see `helpers.int8`). CTranslate2 has int8 only.

    On a CPU the matrices of a GPT-2 are packed (see `helpers.packing`): the numbers are the same but for rounding, and
    come sooner. A model that is moved (also with `.to("cpu")`), edited or trained becomes an ordinary, slower one.

    Raises:
        ValueError: the name, the device, the engine or its dtype is none of those allowed, or the engine cannot run this
            model.
        ModelUnavailable: the files are not there or cannot be downloaded or read.
        NotEnoughMemory: a MemoryError, raised before anything is downloaded.
        OutOfMemory: a MemoryError; there was less memory than it seemed.
        DeviceLost: a RuntimeError; the GPU does not answer.
        EngineUnavailable: CTranslate2 is missing, or its cache cannot be written.
    """
    if engine not in ENGINES:
        raise InputError(
            say(
                f'engine = {engine!r} は使えません。"torch" か "ctranslate2" を指定してください。',
                f'engine = {engine!r} cannot be used: give "torch" or "ctranslate2".',
            )
        )
    import torch

    from helpers import fast
    from helpers.tokenizer import load_tokenizer

    if engine == "ctranslate2":
        if dtype not in (None, torch.int8):
            raise InputError(
                say(
                    f'dtype = {dtype} は、engine="ctranslate2" といっしょには使えません（重みは int8 です）。'
                    'dtype を書かないか、engine="torch" を使ってください。',
                    f'dtype = {dtype} cannot be used with engine="ctranslate2", whose weights are int8: '
                    'leave dtype out, or use engine="torch".',
                )
            )
        fast.check_device(device)
        fast.require_ctranslate2()
        device = "cpu"
    elif dtype is not None:
        _check_dtype(dtype, device)
        device = "cpu" if dtype == torch.int8 else device
    # A GPU that was lost before says so at the first question.
    with explained_device_errors(torch.device("cuda")):
        name, parameters, choice = _choose(str(name), device, engine, dtype)
        check_memory(name, parameters, choice, engine)
    reason, beside = choice.reason, 0
    if engine == "ctranslate2" and not fast.is_converted(name):
        known = CATALOGUE.get(name)
        fast.check_room(parameters, known.download_bytes if known and not is_cached(name) else 0)
        beside = fast.converted_bytes(parameters) if fast.is_beside_downloads() else 0
    folder = local_folder(name, extra_bytes=beside)
    with _explained(name, folder):
        weights = weights_file(folder)
    if weights and ".bin" in weights.name:
        warnings.warn(
            say(
                f"{name} の重みは pytorch_model.bin だけです。この形式はプログラムを含むことができるので、"
                "数値だけを読み込みます（含まれていれば読み込みをやめます）。信頼できる作者のモデルだけを使ってください。",
                f"{name} has its weights only as pytorch_model.bin: that format can hold code, so nothing but numbers is "
                "read (and none of it if there is code); use models of authors you trust only.",
            ),
            stacklevel=2,
        )
    with _explained(name, folder), _no_progress_bar():
        tokenizer = load_tokenizer(folder)
    if engine == "ctranslate2":
        with explained_device_errors(choice.device):
            model = _load_fast(name, folder, tokenizer)
        return LanguageModel(name, tokenizer, model, choice.device, torch.int8, reason, engine)

    from transformers import AutoModelForCausalLM, GPT2LMHeadModel

    from helpers.int8 import to_int8
    from helpers.packing import can_pack, pack

    with _explained(name, folder), explained_device_errors(choice.device), _no_progress_bar():
        # Weights in a file of safetensors are mapped and converted one after another: never held twice.
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=_dtype_in(weights) if choice.dtype == torch.int8 else choice.dtype,
            trust_remote_code=False,
        )
        model = model.to(choice.device).eval()
    if choice.device.type == "cpu" and isinstance(model, GPT2LMHeadModel):
        with explained_device_errors(choice.device):
            if choice.dtype == torch.int8:
                to_int8(model)
            elif can_pack(model.dtype):
                pack(model)
    # `generate` is told the pad token with every call. In the config it only makes transformers warn of missing
    # attention masks as soon as one of several sequences has ended and is padded.
    model.config.pad_token_id = None
    # Lengths are those of the call: these would go before them.
    model.generation_config.max_new_tokens = model.generation_config.min_new_tokens = None
    return LanguageModel(name, tokenizer, model, choice.device, choice.dtype, reason, engine)


def _check_dtype(dtype: torch.dtype, device: str | torch.device | None) -> None:
    """Raise `InputError` unless a model can be held in `dtype` on this device."""
    import torch

    from helpers import int8

    if dtype not in (torch.float32, torch.bfloat16, torch.float16, torch.int8):
        allowed = "torch.float32, torch.bfloat16, torch.float16, torch.int8"
        raise InputError(
            say(
                f"dtype = {dtype!r} は使えません。{allowed} のどれかを指定するか、書かないでください。",
                f"dtype = {dtype!r} cannot be used: give one of {allowed}, or leave it out.",
            )
        )
    if dtype == torch.int8 and device is not None and str(device) != "cpu":
        raise InputError(
            say(
                f'dtype = torch.int8 は CPU 用です（device = "{device}"）。'
                'device="cpu" にするか、dtype を書かないでください。',
                f'dtype = torch.int8 is for the CPU here (device = "{device}"): give device="cpu", or leave dtype out.',
            )
        )
    if dtype == torch.int8 and not int8.can_compute():
        raise InputError(
            say(
                "dtype = torch.int8 は、この CPU では計算できません（VNNI という回路が要ります）。"
                'engine="ctranslate2" なら int8 を使えます。',
                "this CPU cannot compute with dtype = torch.int8 (it needs units called VNNI): "
                'engine="ctranslate2" can use int8.',
            )
        )


def _choose(
    name: str, device: str | torch.device | None, engine: str, dtype: torch.dtype | None
) -> tuple[str, int, DeviceChoice]:
    """The model's name, its number of weights (0 if unknown), and where and how it is to run.

    Prints the choice in one line where it is not simply what was asked for.
    """
    import torch

    from helpers import fast
    from helpers.device import choose_device

    why, auto = "", name == "auto"
    if auto:
        name, why = choose_model(choose_device(device))
    if name in CATALOGUE:
        parameters = CATALOGUE[name].parameters
    else:
        config = _read_config(name)
        if engine == "ctranslate2":
            fast.check_config(name, config)
        # Other kinds of models are refused, in their own words, by those that load them.
        kind = config.get("model_type", "gpt2")
        if dtype == torch.int8 and kind != "gpt2":
            raise InputError(
                say(
                    f"{name} は dtype = torch.int8 にできません（model_type = {kind}、できるのは gpt2）。"
                    "dtype を書かないでください。",
                    f"{name} cannot be used with dtype = torch.int8 (model_type = {kind}; only gpt2 can): leave dtype out.",
                )
            )
        parameters = _parameters_of(config)
    choice = choose_device(device, parameters)
    reason = choice.reason
    if engine == "ctranslate2":
        reason = say(
            "CTranslate2 が int8 の重みで計算します（float32 と同じ数値にはなりません）。",
            "CTranslate2 computes with int8 weights (its numbers are not those of float32).",
        )
    elif dtype == torch.int8:
        reason = say(
            "指定どおり int8 の重みで計算します（float32 と同じ数値にはなりません）。",
            "int8 weights, as you asked (their numbers are not those of float32).",
        )
        choice = replace(choice, dtype=dtype)
    elif dtype not in (None, choice.dtype):
        wanted = str(dtype).removeprefix("torch.")
        reason = say(f"指定どおり {wanted} を使います。", f"{wanted}, as you asked.")
        choice = replace(choice, dtype=dtype)
    unlike_asked = (
        engine == "ctranslate2"
        or dtype == torch.int8
        or (choice.device.type == "cpu" and choice.dtype == torch.bfloat16 and dtype is None)
    )
    if auto:
        reason = say(f"{why}{reason}", f"{why}; {reason}")
    if auto or unlike_asked:
        print(
            say(
                f"モデル: {name}（{choice.device}）。{reason}",
                f"Model: {name} on {choice.device}; {reason}",
            )
        )
    return name, parameters, replace(choice, reason=reason)


def _dtype_in(weights: Path | None) -> torch.dtype | str:
    """The dtype that weights have in their file: so they stay mapped and take no memory. A config.json may say another."""
    import torch
    from safetensors import safe_open

    if weights is None or weights.suffix != ".safetensors":
        return "auto"
    with safe_open(weights, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (it is no dict)
    known = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
    kinds &= known.keys()  # old files hold the masks of attention too, as bytes
    return known[kinds.pop()] if len(kinds) == 1 else "auto"


def _load_fast(name: str, folder: Path, tokenizer: SentencePieceTokenizer) -> FastModel:
    from transformers import AutoConfig

    from helpers import fast

    with _explained(name, folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        settings = folder / "generation_config.json"
        if not settings.is_file():
            settings = folder / "config.json"
        hidden = json.loads(settings.read_text(encoding="utf-8"))
    fast.check_config(name, config.to_dict())
    fast.check_generation_config(name, hidden)
    weights = weights_file(folder)
    if weights is None:
        with _explained(name, folder):
            raise FileNotFoundError(errno.ENOENT, "no weights", str(folder))
    source = fast.source_of(folder, weights, tokenizer.eos_token_id)
    target = fast.converted_folder(name, source)
    if not target.is_dir():
        from transformers import AutoModelForCausalLM

        fast.check_room(count_parameters(config.to_dict()))
        with _explained(name, folder), _no_progress_bar():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=_dtype_in(weights), trust_remote_code=False
            )
        fast.convert(model, tokenizer.eos_token_id, target, source)
        del model  # before the engine takes its memory
    return fast.FastModel(target, config, tokenizer.eos_token_id)


def _parameters_of(config: dict[str, Any]) -> int:
    """The number of weights by a config.json, 0 if it is not of a GPT-2."""
    known = config.keys() >= SHAPE and config.get("model_type") == "gpt2"
    return count_parameters(config) if known else 0


def how_loaded(language_model: LanguageModel) -> dict[str, Any]:
    """The arguments of `load_model`, beside the name, that load a model on this machine as it is here."""
    import torch

    from helpers.device import choose_device

    if language_model.engine != "torch":
        return {"engine": language_model.engine}
    device, dtype = language_model.device.type, language_model.dtype
    if device == "cuda":
        return {"dtype": dtype}  # a GPU that was lost is not asked what suits it
    arguments: dict[str, Any] = {}
    if device != "cpu" or torch.cuda.is_available():
        arguments["device"] = device
    parameters = _parameters_of(language_model.model.config.to_dict())
    if device == "cpu" and dtype != choose_device("cpu", parameters).dtype:
        arguments["dtype"] = dtype
    return arguments


def _read_config(name: str) -> dict[str, Any]:
    """A model's config.json, fetched before the weights; empty if it is not there, which loading then says."""
    folder = local_folder(name, weights=False)
    if not (folder / "config.json").is_file():
        return {}
    with _explained(name, folder):
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))


class NotEnoughMemory(Explained, MemoryError):
    """A model does not fit into the memory that is free; the message says what does."""


def least_memory(parameters: int, bytes_per_weight: int, engine: str = "torch") -> int:
    """The memory in bytes without which a model cannot be loaded and write three texts of 100 tokens.

    At gpt-1b's shape on a CPU: in torch less than 1.1 times the weights, as the output layer is packed beside the
    embeddings (which in int8 stay in the file), and the pages of the file, which the system can drop. CTranslate2
    arranges the weights anew while it loads them and holds them twice.
    """
    weights = 2 * parameters if engine == "ctranslate2" else 1.1 * parameters * bytes_per_weight
    return int(weights) + 200_000_000


def check_memory(name: str, parameters: int, choice: DeviceChoice, engine: str) -> None:
    """Say what fits if a model does not. Nothing has been downloaded yet.

    Raises:
        NotEnoughMemory: a MemoryError.
    """
    from helpers.memory import available_memory

    needed = least_memory(parameters, choice.dtype.itemsize, engine)
    free = available_memory(choice.device)
    # A small model is let in: what is left will not turn on it, and torch itself has long been loaded.
    if needed <= free or parameters < SMALL:
        return
    ja, en = _what_fits(parameters, choice, engine, free)
    gpu = choice.device.type == "cuda"
    raise NotEnoughMemory(
        say(
            f"{name} には{'GPU の' if gpu else ''}メモリが約 {needed / 1e9:.1f} GB 必要ですが、"
            f"空きは {free / 1e9:.1f} GB です。{ja}",
            f"{name} needs about {needed / 1e9:.1f} GB of {'GPU ' if gpu else ''}memory and {free / 1e9:.1f} GB are "
            f"free: {en}",
        )
    )


def _what_fits(parameters: int, choice: DeviceChoice, engine: str, free: int) -> tuple[str, str]:
    import torch

    from helpers import int8
    from helpers.device import choose_device
    from helpers.memory import available_memory

    on_gpu = choice.device.type == "cuda"  # a Mac's "mps" shares the memory of its CPU
    cpu = 'device="cpu"'
    ways = []
    if on_gpu:
        # A GPU computes in float32 only if that was asked for.
        usual = choose_device("cpu", parameters).dtype.itemsize
        ways.append((cpu, least_memory(parameters, max(usual, choice.dtype.itemsize))))
    if engine == "torch" and choice.dtype != torch.int8:
        to_cpu = "" if choice.device.type == "cpu" else f", {cpu}"
        if int8.can_compute():
            ways.append((f"dtype=torch.int8{to_cpu}", least_memory(parameters, 1)))
        converted = least_memory(parameters, 1, "ctranslate2")
        ways.append((f'engine="ctranslate2"{to_cpu}', converted))
    of_cpu = available_memory(torch.device("cpu")) if on_gpu else free
    for way, least in ways:
        if least <= of_cpu:
            return (
                f"{way}（約 {least / 1e9:.1f} GB）なら載ります。",
                f"{way} (about {least / 1e9:.1f} GB) fits.",
            )
    smaller = [
        (info.name, least)
        for info in CATALOGUE.values()
        if info.parameters < parameters
        and (least := least_memory(info.parameters, choice.dtype.itemsize, engine)) <= free
    ]
    if smaller:
        name, least = max(smaller, key=lambda pair: pair[1])
        return (
            f'"{name}"（約 {least / 1e9:.1f} GB）なら載ります。',
            f'"{name}" (about {least / 1e9:.1f} GB) fits.',
        )
    return (
        f'ほかのプログラムを閉じるか、同梱の "{BUNDLED_MODEL}" を使ってください。',
        f'close other programs, or use the bundled "{BUNDLED_MODEL}".',
    )


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what a missing or broken file raises into one sentence, the cause kept."""
    from safetensors import SafetensorError

    try:
        yield
    except UnpicklingError as error:
        raise ModelUnavailable(
            say(
                f"{name} の重み（{folder} の pytorch_model.bin）は、壊れているか、数値のほかにプログラムを含むので、読み込みません。"
                f'model.safetensors のあるモデルか、"{BUNDLED_MODEL}" を使ってください。',
                f"the weights of {name} (pytorch_model.bin in {folder}) are damaged or hold code besides numbers, so they "
                f'are not loaded: use a model that has a model.safetensors, or "{BUNDLED_MODEL}".',
            )
        ) from error
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, Explained):
            raise
        # Only what is wrong in the files themselves; the system's own refusals carry a number.
        broken = not getattr(error, "errno", None)
        if broken and (gone := discard_damaged(folder)):
            raise ModelUnavailable(
                say(
                    f"{name} のファイルが壊れていたので、キャッシュから消しました（{'、'.join(gone)}）。"
                    f'もう一度実行すると、ダウンロードし直します。"{BUNDLED_MODEL}" はダウンロードなしで使えます。',
                    f"files of {name} were damaged and have been deleted from the cache ({', '.join(gone)}): "
                    f'run this again to download them anew; "{BUNDLED_MODEL}" needs no download.',
                )
            ) from error
        raise ModelUnavailable(
            say(
                f"{name} のファイルを読み込めません（{type(error).__name__}、フォルダー: {folder}）。"
                f'フォルダーを消してもう一度実行するか、"{BUNDLED_MODEL}" を使ってください。',
                f"the files of {name} cannot be read ({type(error).__name__}, folder: {folder}): "
                f'delete the folder and run this again, or use "{BUNDLED_MODEL}".',
            )
        ) from error


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Downloads keep their progress bars; reading the files that are there takes a moment and needs none."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
