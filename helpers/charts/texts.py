"""Generated texts: each token marked by its probability, two texts compared, vertical writing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from helpers.charts.blocks import cards
from helpers.charts.look import (
    BORDER,
    ROOT,
    Html,
    percent,
    scrolling,
    surprise_legend,
    surprise_level,
    surprise_style,
)
from helpers.language import say

if TYPE_CHECKING:
    from helpers.sampling import Generation, Sequence, Step


def probability_text(
    sequence: Sequence, tokenizer: Any, legend: bool = True, mark: int | None = None
) -> Html:
    """A generated text, each new token marked by the probability that the model gave it.

    Background and underline say the same, from likely (plain) to surprising (wavy); `title` holds the numbers.
    The prompt is set in bold. Tokens stand as the model has them, `▁` as the space it is.

    Args:
        legend: say below what the marks mean.
        mark: the index of a new token to put in a frame.
    """
    start = len(sequence.token_ids) - len(sequence.steps)
    all_pieces = tokenizer.convert_ids_to_tokens(sequence.token_ids)
    prompt, pieces = "".join(all_pieces[:start]).replace("▁", " ").strip(), all_pieces[start:]
    parts = []
    for i, (piece, step) in enumerate(zip(pieces, sequence.steps, strict=True)):
        numbers = token_numbers(piece, step)
        shown = escape(piece.replace("▁", " "))
        style = surprise_style(surprise_level(step.raw))
        if i == mark:
            style += ";outline:2px solid #b00020;font-weight:bold"
            shown = f"【{shown}】"
        parts.append(f'<span style="{style}" title="{escape(numbers)}">{shown}</span>')
    return Html(
        f'<div style="{ROOT}"><div style="line-height:2"><b>{escape(prompt)}</b>{"".join(parts)}</div>'
        f"{surprise_legend() if legend else ''}</div>",
        prompt + "".join(p.replace("▁", " ") for p in pieces),
    )


def token_numbers(piece: str, step: Step) -> str:
    """A new token and its two probabilities, in words."""
    return say(
        f"{piece} (id {step.token_id}): モデル {percent(step.raw)}、設定後 {percent(step.final)}",
        f"{piece} (id {step.token_id}): model {percent(step.raw)}, drawn with {percent(step.final)}",
    )


def generation_cards(generation: Generation, tokenizer: Any) -> Html:
    """All sequences of a generation side by side, coloured by probability, with how each of them ended."""
    endings = {
        "eos": say("</s> で終わり", "ended by </s>"),
        "max_length": say("max_length で終わり", "ended by max_length"),
        "user": say("停止", "stopped"),
    }
    titles = [
        say(
            f"{i}: {len(s.text)} 文字・{len(s.token_ids)} トークン、{endings[s.stopped]}",
            f"{i}: {len(s.text)} characters, {len(s.token_ids)} tokens, {endings[s.stopped]}",
        )
        for i, s in enumerate(generation.sequences, start=1)
    ]
    texts = [probability_text(s, tokenizer, legend=False) for s in generation.sequences]
    side_by_side = cards(texts, titles)
    return Html(f"{side_by_side}{surprise_legend()}", repr(side_by_side))


def comparison(a: Sequence, b: Sequence, tokenizer: Any) -> Html:
    """Two continuations of one text side by side, A and B, their first differing token in a frame."""
    place = first_difference(a.token_ids, b.token_ids)
    texts, names = [], []
    for sequence in (a, b):
        start = len(sequence.token_ids) - len(sequence.steps)
        mark = None if place is None else place - start
        texts.append(probability_text(sequence, tokenizer, legend=False, mark=mark))
        token = sequence.token_ids[place : place + 1] if place is not None else []
        names.append(
            "".join(tokenizer.convert_ids_to_tokens(token)) or say("（終わり）", "(the end)")
        )
    if place is None:
        verdict = say("2 つの文章は同じです。", "Both texts are the same.")
    else:
        verdict = say(
            f"最初の違い: 新しい {mark + 1} 番目のトークン。A は「{names[0]}」、B は「{names[1]}」。",
            f"First difference: new token number {mark + 1}. A has “{names[0]}”, B has “{names[1]}”.",
        )
    side_by_side = cards(texts, ["A", "B"])
    return Html(
        f'<div style="{ROOT}"><b>{escape(verdict)}</b></div>{side_by_side}{surprise_legend()}',
        f"{verdict}\n{side_by_side!r}",
    )


def first_difference(a: list[int], b: list[int]) -> int | None:
    """The first place at which two lists of token ids differ; None if they are equal."""
    for i, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return i
    return None if len(a) == len(b) else min(len(a), len(b))


def plain_text(prompt: str, continuation: str) -> Html:
    """A prompt in bold and what was written after it."""
    return Html(
        f'<div style="{ROOT};line-height:2"><b>{escape(prompt)}</b>{escape(continuation)}</div>',
        prompt + continuation,
    )


def vertical_text(text: str) -> Html:
    """A text in vertical writing, right to left."""
    look = (
        "writing-mode:vertical-rl;height:20em;font-family:serif;font-size:1.15em;line-height:1.9;"
        f"padding:6px;{BORDER};"
    )
    return Html(
        f"<div {scrolling(say('縦書きの文章', 'text in vertical writing'), look)}>{escape(text)}</div>",
        text,
    )
