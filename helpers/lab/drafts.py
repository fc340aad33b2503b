"""A draft of a text, the next token after it, and continuing from it. No widgets here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple

import torch

from helpers.errors import InputError
from helpers.prompts import encode_prompt
from helpers.sampling import (
    Distribution,
    Generation,
    SamplingSettings,
    SettingsError,
    StreamEvent,
    distribution_from_logits,
    next_token_logits,
    stream_ids,
)

if TYPE_CHECKING:
    from helpers.models import LanguageModel


class Draft(NamedTuple):
    """A text so far: the typed prompt, and the tokens that were chosen after it one by one.

    They are kept as tokens: a `▁` at the end of a text would be lost if they became text.
    """

    prompt: str
    chosen: tuple[int, ...] = ()

    def then(self, token_id: int) -> Draft:
        """The draft with one more token."""
        return Draft(self.prompt, (*self.chosen, token_id))


def draft_before(
    language_model: LanguageModel, generation: Generation, sequence: int, step: int
) -> Draft:
    """The draft that stood before a new token was drawn: `step` counts a sequence's new tokens from 0."""
    written = generation.sequences[sequence]
    prompt_tokens = encode_prompt(language_model, generation.prompt).shape[1]
    end = len(written.token_ids) - len(written.steps) + step
    return Draft(generation.prompt, tuple(written.token_ids[prompt_tokens:end]))


def draft_of(language_model: LanguageModel, generation: Generation) -> Draft:
    """The draft that a run was written from: its prompt, and the tokens that had been chosen after it.

    Raises:
        InputError: a ValueError; another model wrote it, with different tokens.
    """
    first = generation.sequences[0]
    draft = draft_before(language_model, generation, sequence=0, step=0)
    start = first.token_ids[: len(first.token_ids) - len(first.steps)]
    if encode_draft(language_model, draft)[0].tolist() != start:
        raise InputError(
            "この記録は別のモデルが書いたものなので、トークンが合いません。書いたモデルを読み込むと、戻せます。",
            "another model wrote this run, so its tokens do not match: load that model to return to it.",
        )
    return draft


def encode_draft(
    language_model: LanguageModel, draft: Draft, settings: SamplingSettings | None = None
) -> torch.Tensor:
    """The draft's ids, int64 of shape (1, number of tokens), checked as `encode_prompt` checks a prompt.

    Raises:
        SettingsError: see `encode_prompt`; the chosen tokens count as the prompt does.
    """
    ids = encode_prompt(language_model, draft.prompt, settings)
    if not draft.chosen:
        return ids
    chosen = torch.tensor([draft.chosen], device=ids.device)
    ids = torch.cat([ids, chosen], dim=1)
    tokens = ids.shape[1]
    if tokens >= language_model.n_positions:
        raise SettingsError(
            "prompt",
            f"ここまでで {tokens} トークンになり、このモデルはこれより先を書けません。「戻る」を押してください。",
            f"the text has {tokens} tokens, and this model cannot take any more: press Back.",
        )
    if settings is not None and tokens >= settings.max_length:
        raise SettingsError(
            "max_length",
            f"ここまでで {tokens} トークンあり、max_length = {settings.max_length} では続きを書けません。"
            f"max_length を {tokens + 1} 以上にするか、「戻る」を押してください。",
            f"the text has {tokens} tokens, so max_length = {settings.max_length} leaves no room: "
            f"set it to at least {tokens + 1}, or press Back.",
        )
    return ids


def stream_draft(
    language_model: LanguageModel,
    draft: Draft,
    settings: SamplingSettings,
    should_stop: Callable[[], bool],
) -> Generator[StreamEvent, None, Generation]:
    """As `helpers.sampling.stream`, from a draft: what it returns counts the chosen tokens to the prompt."""
    input_ids = encode_draft(language_model, draft, settings)
    return stream_ids(language_model, draft.prompt, settings, input_ids, should_stop)


def write_at_once(
    language_model: LanguageModel, draft: Draft, settings: SamplingSettings
) -> Generation:
    """What `stream_draft` writes, when it is done."""
    events = stream_draft(language_model, draft, settings, lambda: False)
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def draw(distribution: Distribution, times: int, seed: int) -> list[int]:
    """Token ids drawn from a distribution; a single one is what `model.generate` draws first with that seed."""
    in_order_of_ids = torch.empty_like(distribution.final)
    in_order_of_ids[distribution.token_ids] = distribution.final
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(in_order_of_ids, times, replacement=True, generator=generator).tolist()


class NextToken:
    """The distribution of the next token. The model runs when the text changes, never for a setting."""

    def __init__(self, language_model: LanguageModel) -> None:
        self.language_model = language_model
        self._draft: Draft | None = None
        self._logits: torch.Tensor | None = None

    def distribution(self, draft: Draft, settings: SamplingSettings) -> Distribution:
        """The distribution after a draft, as `next_token_distribution` gives it.

        Raises:
            SettingsError: see `encode_draft`.
            FloatingPointError: the model computed NaN.
        """
        # One token needs no room for a whole text: the lengths play no part.
        input_ids = encode_draft(self.language_model, draft)
        if self._logits is None or draft != self._draft:
            self._logits = next_token_logits(self.language_model, input_ids)
            self._draft = draft
        return distribution_from_logits(self.language_model, input_ids, self._logits, settings)
