"""From a prompt to the ids that a model continues, checked before any work, with one clear sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.errors import InputError, unusable
from helpers.settings import SamplingSettings, SettingsError

if TYPE_CHECKING:
    import torch

    from helpers.models import LanguageModel


def encode_prompt(
    language_model: LanguageModel, prompt: str, settings: SamplingSettings | None = None
) -> torch.Tensor:
    """The prompt's ids, checked against the model and the settings before any work.

    Returns:
        input_ids, int64 of shape (1, number of tokens), on the model's device, without special tokens.

    Raises:
        SettingsError: the prompt is not a string, is empty or longer than the model can take, or `max_length` leaves no
            room for a new token or exceeds the model's positions.
    """
    if not isinstance(prompt, str):
        raise SettingsError("prompt", *unusable("prompt", prompt, "文字列", "a string"))
    try:
        ids = language_model.tokenizer.encode(prompt, add_special_tokens=False)
    except InputError as error:
        raise SettingsError("prompt", str(error)) from error
    if not ids:
        raise SettingsError(
            "prompt",
            "prompt が空です。続きを書かせたい文章を 1 文字以上入れてください。",
            "the prompt is empty: it needs at least one character to continue from.",
        )
    limit = language_model.n_positions
    if len(ids) >= limit:
        over = len(ids) - limit
        raise SettingsError(
            "prompt",
            f"prompt は {len(ids)} トークンで、このモデルが続きとあわせて扱える {limit} トークンを {over} 超えています。"
            f"{over + 1} トークン以上短くしてください。"
            if over
            else f"prompt だけで、このモデルが扱える {limit} トークンを使い切っています。1 トークン以上短くしてください。",
            f"the prompt has {len(ids)} tokens, {over} more than the {limit} that this model can handle, "
            f"continuation included: shorten it by at least {over + 1} tokens."
            if over
            else f"the prompt alone takes up all {limit} tokens of this model: shorten it by at least 1 token.",
        )
    if settings is not None:
        if settings.max_length > limit:
            raise SettingsError(
                "max_length",
                f"max_length = {settings.max_length} は、このモデルが扱える {limit} トークンを "
                f"{settings.max_length - limit} 超えています。{limit} 以下にしてください。",
                f"max_length = {settings.max_length} is {settings.max_length - limit} more than the {limit} tokens "
                f"that this model can handle: set it to at most {limit}.",
            )
        if settings.max_length <= len(ids):
            raise SettingsError(
                "max_length",
                f"prompt だけで {len(ids)} トークンあり、max_length = {settings.max_length} では続きを書けません。"
                f"max_length は prompt も数えます。{len(ids) + 1} 以上にしてください。",
                f"the prompt alone has {len(ids)} tokens, so max_length = {settings.max_length} leaves no room: "
                f"max_length counts the prompt too; set it to at least {len(ids) + 1}.",
            )
    import torch

    return torch.tensor([ids], device=language_model.device)
