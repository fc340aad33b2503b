"""What is known about the lessons' models before one is loaded. Reading it needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers import BUNDLED_MODEL, BUNDLED_PATH

if TYPE_CHECKING:
    import torch

LARGE_MODEL = "rinna/japanese-gpt-1b"

# Besides the weights: activations, the cache of keys and values, and the buffers of a matrix multiplication.
# Three sequences of 100 tokens at gpt-1b's shape peaked at 8.0 GB in float32, whose weights alone are 5.2 GB.
MEMORY_FACTOR = 1.6

SHAPE = {"n_layer", "n_embd", "vocab_size", "n_positions"}
SMALL = 30_000_000  # weights: less than 200 MB in float32


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


def parameters_of(config: dict[str, Any]) -> int:
    """The number of weights by a config.json, 0 if it is not of a GPT-2."""
    known = config.keys() >= SHAPE and config.get("model_type") == "gpt2"
    return count_parameters(config) if known else 0


def _info(name: str, config: dict[str, Any], bytes_per_weight: int, **published: Any) -> ModelInfo:
    """From the numbers of a config.json; the file to download has `bytes_per_weight` for each weight, 0 for none."""
    parameters = count_parameters(config)
    shape = {key: config[key] for key in sorted(SHAPE)}
    return ModelInfo(
        name, parameters, **shape, download_bytes=parameters * bytes_per_weight, **published
    )


def _rinna(n_layer: int, n_embd: int, n_inner: int | None = None, **more: Any) -> dict[str, Any]:
    numbers = {"n_layer": n_layer, "n_embd": n_embd, "n_inner": n_inner}
    return {"vocab_size": 32_000, "n_positions": 1024, **numbers, **more}


_BUNDLED = json.loads((BUNDLED_PATH / "config.json").read_text(encoding="utf-8"))
# fmt: off
CATALOGUE: dict[str, ModelInfo] = {
    info.name: info
    for info in (
        _info(BUNDLED_MODEL, _BUNDLED, 0),
        _info("rinna/japanese-gpt2-xsmall", _rinna(6, 512, 2304), 4, epochs="3", dev_perplexity=28, training_time="4 days"),
        _info("rinna/japanese-gpt2-small", _rinna(12, 768), 4, epochs="3", dev_perplexity=21, training_time="15 days"),
        _info("rinna/japanese-gpt2-medium", _rinna(24, 1024), 4, epochs="4", dev_perplexity=18, training_time="45 days"),
        _info(LARGE_MODEL, _rinna(24, 2048, 8192, vocab_size=44_928), 2, epochs="10+", dev_perplexity=13.9),
    )
}
# fmt: on
