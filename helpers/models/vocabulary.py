"""Whether a vocabulary fits the rows of a model's weights."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from helpers.errors import InputError
from helpers.language import say

if TYPE_CHECKING:
    from helpers.tokenizer import SentencePieceTokenizer

# Models may have a few more rows than pieces, to round their number up.
SPARE_ROWS = 2048


def check_vocabulary(name: str, tokenizer: SentencePieceTokenizer, config: dict[str, Any]) -> None:
    """Compare a tokenizer with the `vocab_size` of a config.json before the weights are read.

    Special tokens without a row (a [PAD] that only the tokenizer's files name) are not used, and a warning says so.

    Raises:
        InputError: a ValueError; a text could get ids for which the model has no row.
    """
    rows, pieces = config.get("vocab_size"), tokenizer.vocab_size
    if not isinstance(rows, int):
        return  # loading says what is wrong with it
    without_row = {
        attribute: getattr(tokenizer, attribute)
        for attribute in tokenizer.SPECIAL_TOKENS_ATTRIBUTES
        if (getattr(tokenizer, f"{attribute}_id") or 0) >= max(rows, pieces)
    }
    for attribute, token in without_row.items():
        # Nothing that was typed may become such a token either.
        number: Any = tokenizer._added_tokens_encoder.pop(str(token), None)
        tokenizer._added_tokens_decoder.pop(number, None)
        setattr(tokenizer, attribute, None)
    added = [
        token.content
        for token_id, token in tokenizer.added_tokens_decoder.items()
        if token_id >= rows and token.content not in map(str, without_row.values())
    ]
    if pieces > rows or added:
        raise InputError(
            f"{name} の語彙と重みが合いません。spiece.model には {pieces} 個、追加のトークンは {len(added)} 個、"
            f"重みの行は {rows} 行です。同じモデルの spiece.model と重みをそろえてください"
            "（トークンを足したときは model.resize_token_embeddings(len(tokenizer)) のあとで保存します）。",
            f"the vocabulary of {name} does not match its weights: {pieces} pieces in spiece.model and {len(added)} added "
            f"tokens, but {rows} rows of weights; use the spiece.model that belongs to these weights (after adding tokens, save "
            "the model after model.resize_token_embeddings(len(tokenizer))).",
        )
    if without_row:
        if tokenizer.eos_token is None:
            tokenizer.special_tokens_pattern = "none"
        named = ", ".join(f"{attribute} {token}" for attribute, token in without_row.items())
        warnings.warn(
            say(
                f"{name} の {named} には重みの行がないので、使いません。",
                f"{named} of {name} has no row in the weights and is not used.",
            ),
            stacklevel=3,
        )
    if rows > pieces + len(tokenizer.added_tokens_decoder) + SPARE_ROWS:
        warnings.warn(
            say(
                f"{name} の重みは {rows} 行ありますが、spiece.model には {pieces} 個しかありません。"
                "別のモデルの spiece.model ではないか、確かめてください。",
                f"the weights of {name} have {rows} rows, but spiece.model has only {pieces} pieces: make sure that it "
                "belongs to this model.",
            ),
            stacklevel=3,
        )
