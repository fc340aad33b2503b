"""The models of the lessons: the catalogue, choosing one, loading it. Reading the catalogue needs no torch."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from helpers import BUNDLED_MODEL, BUNDLED_PATH
from helpers.hub import ModelUnavailable, hub_problem, local_folder
from helpers.language import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

    from helpers.device import DeviceChoice
    from helpers.tokenizer import SentencePieceTokenizer

LARGE_MODEL = "rinna/japanese-gpt-1b"

# Besides the weights: activations, the cache of keys and values, and the buffers of a matrix multiplication.
# Three sequences of 100 tokens at gpt-1b's shape peaked at 8.0 GB in float32, whose weights alone are 5.2 GB.
MEMORY_FACTOR = 1.6


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model before it is loaded.

    `epochs`, `dev_perplexity` and `training_time` are what its authors publish (rinna: the table in
    https://github.com/rinnakk/japanese-pretrained-models); None where they publish nothing. `download_bytes`
    is `parameters` times the bytes the published file uses for each (2 for gpt-1b, 4 for the others).
    """

    name: str
    parameters: int
    n_layer: int
    n_embd: int
    vocab_size: int
    n_positions: int
    download_bytes: int
    epochs: str | None = None
    dev_perplexity: float | None = None
    training_time: str | None = None

    def memory_bytes(self, dtype: torch.dtype | int) -> int:
        """Memory to generate three sequences of 100 tokens, in bytes; `dtype` or its bytes per weight.

        An estimate: the weights times 1.6, which is what gpt-1b's shape took in float32 on a CPU.
        """
        itemsize = dtype if isinstance(dtype, int) else dtype.itemsize
        return int(self.parameters * itemsize * MEMORY_FACTOR)


def count_parameters(config: dict[str, Any]) -> int:
    """The number of weights of a GPT-2 with tied embeddings, from the numbers in its config.json.

    Per layer: attention 4*d*d + 4*d, the feed-forward part 2*d*n_inner + n_inner + d, two layer norms 4*d;
    besides the layers the embeddings of tokens and positions and the last layer norm.
    """
    d, layers = config["n_embd"], config["n_layer"]
    inner = config.get("n_inner") or 4 * d
    per_layer = (4 * d * d + 4 * d) + (2 * d * inner + inner + d) + 4 * d
    return layers * per_layer + (config["vocab_size"] + config["n_positions"]) * d + 2 * d


def _rinna(name: str, config: dict[str, Any], bytes_per_weight: int, **published: Any) -> ModelInfo:
    parameters = count_parameters(config)
    shape = {key: config[key] for key in ("n_layer", "n_embd", "vocab_size", "n_positions")}
    return ModelInfo(
        name, parameters, **shape, download_bytes=parameters * bytes_per_weight, **published
    )


def _bundled() -> ModelInfo:
    config = json.loads((BUNDLED_PATH / "config.json").read_text(encoding="utf-8"))
    return ModelInfo(
        BUNDLED_MODEL,
        count_parameters(config),
        **{key: config[key] for key in ("n_layer", "n_embd", "vocab_size", "n_positions")},
        download_bytes=0,
    )


def _shape(
    n_layer: int, n_embd: int, vocab_size: int, n_inner: int | None = None
) -> dict[str, Any]:
    return {
        "n_layer": n_layer,
        "n_embd": n_embd,
        "vocab_size": vocab_size,
        "n_positions": 1024,
        "n_inner": n_inner,
    }


CATALOGUE: dict[str, ModelInfo] = {
    info.name: info
    for info in (
        _bundled(),
        _rinna(
            "rinna/japanese-gpt2-xsmall",
            _shape(6, 512, 32_000, 2304),
            4,
            epochs="3",
            dev_perplexity=28,
            training_time="4 days",
        ),
        _rinna(
            "rinna/japanese-gpt2-small",
            _shape(12, 768, 32_000),
            4,
            epochs="3",
            dev_perplexity=21,
            training_time="15 days",
        ),
        _rinna(
            "rinna/japanese-gpt2-medium",
            _shape(24, 1024, 32_000),
            4,
            epochs="4",
            dev_perplexity=18,
            training_time="45 days",
        ),
        _rinna(
            LARGE_MODEL,
            _shape(24, 2048, 44_928, 8192),
            2,
            epochs="10+",
            dev_perplexity=13.9,
        ),
    )
}


@dataclass(frozen=True)
class LanguageModel:
    """A model ready to generate, with its tokenizer, where it runs, and why it was chosen."""

    name: str
    tokenizer: SentencePieceTokenizer
    model: PreTrainedModel
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
) -> LanguageModel:
    """Load a model and its tokenizer, in the dtype that suits the device (float32 on a CPU).

    Args:
        name: "auto" (see `choose_model`; prints its choice in one line), "aozora-mini" (bundled), one of rinna's
            models, or any directory or hub id in the same layout (GPT-2 and a `spiece.model`).
        device: as in `helpers.device.choose_device`.
        engine: "torch".

    Raises:
        ValueError: the name, the device or the engine is none of those allowed.
        ModelUnavailable: the files are not there or cannot be downloaded or read.
    """
    if engine != "torch":
        raise ValueError(
            say(
                f'engine = {engine!r} は使えません。"torch" を指定してください。',
                f'engine = {engine!r} cannot be used: give "torch".',
            )
        )
    from helpers.device import choose_device

    choice = choose_device(device)
    reason = choice.reason
    name = str(name)
    if name == "auto":
        name, why = choose_model(choice)
        reason = say(f"{why}{reason}", f"{why}; {reason}")
        print(
            say(
                f"モデル: {name}（{choice.device}）。{reason}",
                f"Model: {name} on {choice.device}; {reason}",
            )
        )
    folder = local_folder(name)

    from transformers import AutoModelForCausalLM

    from helpers.tokenizer import load_tokenizer

    with _explained(name, folder), _no_progress_bar():
        tokenizer = load_tokenizer(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=choice.dtype)
    # `generate` is told the pad token with every call. In the config it only makes transformers warn of missing
    # attention masks as soon as one of several sequences has ended and is padded.
    model.config.pad_token_id = None
    model = model.to(choice.device).eval()
    return LanguageModel(name, tokenizer, model, choice.device, choice.dtype, reason, engine)


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what a missing or broken file raises into one sentence, the cause kept."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, UnpicklingError) as error:
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
