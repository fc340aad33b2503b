"""The `model.generate` of transformers prepares a text; its logits processors, or our own loop, take over from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LogitsProcessorList, PreTrainedTokenizerBase

from helpers.settings import SamplingSettings, generate_arguments


def prepared(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
    loop: Callable[..., Any],
) -> Any:
    """What `loop` returns when `model.generate` calls it instead of its own loop, with everything prepared."""
    return model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        **generate_arguments(tokenizer, settings),
        custom_generate=loop,
    )


def logits_processors(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
) -> LogitsProcessorList:
    """Those that `model.generate` builds for these settings, in its order."""

    def processors(
        model: Any, input_ids: Any, logits_processor: LogitsProcessorList, **_: Any
    ) -> LogitsProcessorList:
        return logits_processor

    return prepared(model, tokenizer, settings, input_ids, processors)


def stand_in(vocab_size: int, n_positions: int) -> GPT2LMHeadModel:
    """A one-unit GPT-2, never run: transformers builds its logits processors from it."""
    sizes: dict[str, Any] = {"vocab_size": vocab_size, "n_positions": n_positions}
    ends: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(n_embd=1, n_layer=1, n_head=1, **sizes, **ends)).eval()
