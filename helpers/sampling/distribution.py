"""The distribution of the next token, before and after the settings act."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

from helpers.engines.generation_config import SETTING_OF
from helpers.engines.logits_processors import logits_processors
from helpers.prompts import encode_prompt
from helpers.settings import SamplingSettings

if TYPE_CHECKING:
    from helpers.models import LanguageModel


class Candidate(NamedTuple):
    """One possible next token. `cut_by` is None if it can be drawn, else what removed it.

    That is "top_k", "top_p", or "min_length" for the end token `</s>` while the text is shorter than that.
    """

    token_id: int
    piece: str
    raw: float
    final: float
    cut_by: str | None


@dataclass(frozen=True)
class Distribution:
    """All possible next tokens, the most probable (raw) first. Arrays have one entry per token of the vocabulary.

    `token_ids` is int64, `raw` (softmax of the logits) and `final` (what is drawn from) are float32;
    `cut` maps "top_k", "top_p" and "min_length" to a mask of the tokens that step removed.
    """

    tokenizer: Any
    token_ids: torch.Tensor
    raw: torch.Tensor
    final: torch.Tensor
    cut: dict[str, torch.Tensor]

    def head(self, n: int) -> list[Candidate]:
        """The n most probable candidates."""
        ids = self.token_ids[:n].tolist()
        cut_by: list[str | None] = [None] * len(ids)
        for name, mask in self.cut.items():
            for i in mask[:n].nonzero().flatten().tolist():
                cut_by[i] = name
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        columns = (ids, pieces, self.raw[:n].tolist(), self.final[:n].tolist(), cut_by)
        return [Candidate(*row) for row in zip(*columns, strict=True)]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """All candidates, the most probable (raw) first."""
        return self.head(len(self.token_ids))

    def removed(self, name: str) -> int:
        """How many tokens a step ("top_k", "top_p", "min_length") removed."""
        return int(self.cut[name].sum()) if name in self.cut else 0

    @property
    def kept(self) -> int:
        """How many tokens no setting has removed. At a low temperature the probability of many of them rounds to 0."""
        removed = torch.zeros(len(self.token_ids), dtype=torch.bool)
        for mask in self.cut.values():
            removed |= mask
        return int((~removed).sum())

    @property
    def entropy(self) -> float:
        """Entropy of the final distribution in bits: log2 of the effective number of choices."""
        return _entropy(self.final)

    @property
    def raw_entropy(self) -> float:
        """Entropy of the model's own distribution in bits, before any setting acts."""
        return _entropy(self.raw)


def _entropy(probabilities: torch.Tensor) -> float:
    p = probabilities.double()
    return float(-torch.xlogy(p, p).sum() / math.log(2))


def next_token_logits(language_model: LanguageModel, input_ids: torch.Tensor) -> torch.Tensor:
    """Run the model once: its logits for the token after `input_ids` (1, tokens), float32 of shape (1, vocab)."""
    return language_model.runner.logits(input_ids)


def next_token_distribution(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings | None = None,
) -> Distribution:
    """The distribution that the first new token is drawn from, before and after the settings.

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`.
    """
    settings = settings or SamplingSettings()
    # One token needs no room for a whole text: the lengths are not held against the model's positions.
    input_ids = encode_prompt(language_model, prompt)
    return distribution_from_logits(
        language_model, input_ids, next_token_logits(language_model, input_ids), settings
    )


def distribution_from_logits(
    language_model: LanguageModel,
    input_ids: torch.Tensor,
    logits: torch.Tensor,
    settings: SamplingSettings,
) -> Distribution:
    """As `next_token_distribution`, from logits (1, vocab) already at hand: the model is not run.

    The processors are those that `model.generate` itself builds for these settings, asked one by one which
    tokens they remove. Greedy search is shown as what it is equal to, top_k = 1.
    """
    if not settings.do_sample:
        settings = replace(settings, do_sample=True, top_k=1, top_p=1.0, temperature=1.0)

    length = input_ids.shape[1] + 1
    one = replace(settings, num_return_sequences=1, max_length=max(settings.max_length, length))
    scores = logits
    cut: dict[str, torch.Tensor] = {}
    model, tokenizer = language_model.runner.processor_model, language_model.tokenizer
    for processor in logits_processors(model, tokenizer, one, input_ids):
        before, scores = scores, processor(input_ids, scores)
        removed = (scores[0] == -math.inf) & (before[0] != -math.inf)
        if removed.any() or isinstance(processor, TopKLogitsWarper | TopPLogitsWarper):
            kind = type(processor).__name__
            cut[SETTING_OF.get(kind, kind)] = removed
    raw, order = logits[0].softmax(-1).sort(descending=True, stable=True)
    return Distribution(
        tokenizer=tokenizer,
        token_ids=order.cpu(),
        raw=raw.cpu(),
        final=scores[0].softmax(-1)[order].cpu(),
        cut={name: mask[order].cpu() for name, mask in cut.items()},
    )
