"""A loaded model with its tokenizer, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from helpers.engines import DEFAULT_ENGINE, loader_of

if TYPE_CHECKING:
    import torch

    from helpers.engines.protocol import Runner
    from helpers.tokenizer import SentencePieceTokenizer


@dataclass(frozen=True)
class LanguageModel:
    """A model ready to generate, with its tokenizer, where it runs, and why it was chosen.

    `engine` is the name of the engine that computes, and `model` is what it loaded: with "torch" the transformers model
    itself. `runner` runs that model, with the same methods for every engine (`helpers.engines.protocol.Runner`).
    `device` is where `input_ids` have to be; `dtype` is that of the weights, as the engine says.
    """

    name: str
    tokenizer: SentencePieceTokenizer
    model: Any
    device: torch.device
    dtype: torch.dtype
    reason: str
    engine: str = DEFAULT_ENGINE

    @cached_property
    def runner(self) -> Runner:
        """What runs the model for `generate`, `stream` and the pictures, whichever engine it is."""
        return loader_of(self.engine).runner(self.model, self.tokenizer, self.device)

    @property
    def writer(self) -> Runner:
        """The old name of `runner`, for notebooks that still use it."""
        return self.runner

    @property
    def n_positions(self) -> int:
        """The longest text the model can take, in tokens: prompt and continuation together."""
        return self.runner.n_positions

    @property
    def vocab_size(self) -> int:
        """How many tokens the model has logits for."""
        return self.runner.vocab_size

    @property
    def trainable(self) -> bool:
        """Whether `model` is a transformers model whose weights can be trained."""
        return self.runner.trainable


def how_loaded(language_model: LanguageModel) -> dict[str, Any]:
    """The arguments of `load_model`, besides the name, that load a model on this machine in the same way."""
    engine, model = language_model.engine, language_model.model
    how = {} if engine == DEFAULT_ENGINE else {"engine": engine}
    loader = loader_of(engine)
    return how | loader.arguments(model, language_model.device, language_model.dtype)
