"""Tokens as chips and as text, and what normalisation did before them."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from helpers.charts.look import CHIP_COLOURS, DARK_TEXT, ROOT, WARNING, Html
from helpers.charts.texts import first_difference
from helpers.language import say
from helpers.masking import mask_words


def token_chips(tokenizer: Any, text: str, limit: int | None = None) -> Html:
    """The tokens of a text as coloured chips, each with its id; `▁` marks a space or the beginning.

    Characters that the tokenizer does not know have a dashed border and the word 未知 (unknown).

    Args:
        limit: show no more than this many chips; how many there are in all, and how many of them are unknown,
            is still shown.
    """
    # It imports transformers, which a tokenizer has loaded already.
    from helpers.tokenizer import split_pieces

    pieces = [(piece.surface, piece.token_id) for piece in split_pieces(tokenizer, text)]
    shown = pieces[:limit]
    count = say(f"{len(pieces):,} トークン", f"{len(pieces):,} tokens")
    if len(shown) < len(pieces):
        count += say(f"（先頭の {len(shown):,} 個を表示）", f" (the first {len(shown):,} shown)")
        # Those after the last chip show in no other way.
        if unknown := sum(token_id == tokenizer.unk_token_id for _, token_id in pieces):
            count += say(f"、うち未知 {unknown:,} 個", f", {unknown:,} of them unknown")
    return _chips(shown, tokenizer.unk_token_id, count)


def chosen_chips(tokenizer: Any, token_ids: Iterable[int], masked: bool = False) -> Html:
    """Tokens that were chosen one by one, as chips; `masked` covers those in which a word of `helpers.masking` stands."""
    ids = list(token_ids)
    pieces = tokenizer.convert_ids_to_tokens(ids)
    if masked:
        pieces = [mask_words(piece) for piece in pieces]
    pairs = list(zip(pieces, ids, strict=True))
    count = say(f"選んだトークン {len(ids)} 個", f"tokens chosen: {len(ids)}")
    return _chips(pairs, tokenizer.unk_token_id, count)


def _chips(pairs: list[tuple[str, int]], unknown_id: int, count: str) -> Html:
    chips = []
    for i, (surface, token_id) in enumerate(pairs):
        unknown = token_id == unknown_id
        look = (
            f"background:#fff;{DARK_TEXT};border:2px dashed {WARNING}"
            if unknown
            else f"background:{CHIP_COLOURS[i % len(CHIP_COLOURS)]};{DARK_TEXT};border:2px solid transparent"
        )
        note = say("未知 ", "unknown ") if unknown else ""
        chips.append(
            f'<span style="display:inline-block;padding:0 5px;border-radius:5px;text-align:center;{look}">'
            f'<b style="display:block;font-weight:normal;font-size:1.1em">{escape(surface)}</b> '
            f'<sub style="display:block;font-size:.75em;line-height:1.3">{note}{token_id}</sub></span>'
        )
    return Html(
        f'<div style="{ROOT}"><div style="display:flex;flex-wrap:wrap;gap:4px">{" ".join(chips)} '
        f'<small style="align-self:center">{count}</small></div></div>',
        f"{count}: " + " ".join(f"{surface}({token_id})" for surface, token_id in pairs),
    )


def pieces_text(tokenizer: Any, token_ids: Iterable[int]) -> str:
    """Tokens as text, one after another, `▁` as the space it is: nothing is left out or joined."""
    return "".join(tokenizer.convert_ids_to_tokens(list(token_ids))).replace("▁", " ")


def normalization(text: str, normalized: str, limit: int | None = None) -> Html:
    """What a tokenizer's normalisation made of a text; nothing if it left it as it was.

    Args:
        limit: show no more than this many characters, from a little before the first that it changed.
    """
    if text == normalized:
        return Html("", "")
    note = say("モデルが読む形（NFKC 正規化後）", "As the model reads it, after NFKC")
    if limit is not None and len(normalized) > limit:
        change = first_difference(list(text), list(normalized)) or 0
        start = max(0, min(change - limit // 4, len(normalized) - limit))
        end = start + limit
        normalized = (
            ("…" if start else "") + normalized[start:end] + ("…" if end < len(normalized) else "")
        )
    return Html(
        f'<div style="{ROOT}"><small>{note}: <b>{escape(normalized)}</b></small></div>',
        f"{note}: {normalized}",
    )
