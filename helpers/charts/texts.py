"""Generated texts: each token marked by its probability, two texts compared, vertical writing."""

from __future__ import annotations

from html import escape
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, Any

from helpers.charts.components import cards
from helpers.charts.look import (
    BORDER,
    ROOT,
    WARNING,
    Html,
    percent,
    scrolling,
    surprise_legend,
    surprise_level,
    surprise_style,
)
from helpers.language import say
from helpers.masking import SIGN, find_words, mask_words

if TYPE_CHECKING:
    from helpers.sampling import Generation, Sequence, Step


def probability_text(
    sequence: Sequence,
    tokenizer: Any,
    legend: bool = True,
    mark: int | None = None,
    masked: bool = False,
) -> Html:
    """A generated text, each new token marked by the probability that the model gave it.

    Background and underline say the same, from likely (plain) to surprising (wavy); `title` holds the numbers.
    The prompt is set in bold. Tokens stand as the model has them, `▁` as the space it is.

    Args:
        legend: say below what the marks mean.
        mark: the index of a new token to put in a frame.
        masked: cover the new tokens in which a word of `helpers.masking` stands; a click or a tap lifts the cover.
    """
    start = len(sequence.token_ids) - len(sequence.steps)
    tokens = tokenizer.convert_ids_to_tokens(sequence.token_ids)
    prompt = "".join(tokens[:start]).replace("▁", " ").strip()
    pieces = [token.replace("▁", " ") for token in tokens[start:]]
    shown = []
    for i, (token, piece, step) in enumerate(
        zip(tokens[start:], pieces, sequence.steps, strict=True)
    ):
        numbers = token_numbers(token, step)
        style = surprise_style(surprise_level(step.raw))
        text = escape(piece)
        if i == mark:
            style += f";outline:2px solid {WARNING};font-weight:bold"
            text = f"【{text}】"
        shown.append(f'<span style="{style}" title="{escape(numbers)}">{text}</span>')
    markup, text = covered(prompt, pieces, shown) if masked else ("".join(shown), "".join(pieces))
    return Html(
        f'<div style="{ROOT}"><div style="line-height:2"><b>{escape(prompt)}</b>{markup}</div>'
        f"{surprise_legend() if legend else ''}</div>",
        prompt + text,
    )


def covered(prompt: str, pieces: list[str], shown: list[str]) -> tuple[str, str]:
    """What was written after a prompt as markup and as plain text, words of `helpers.masking` covered.

    A word is looked for in the prompt too, but covered only where it was written.

    Args:
        pieces: the text in pieces, as they follow each other.
        shown: the markup of each.
    """
    found = find_words(prompt + "".join(pieces))
    ends = accumulate(map(len, pieces), initial=len(prompt))
    hidden = [
        any(word.start < end and begin < word.end for word in found)
        for begin, end in pairwise(ends)
    ]
    markup, text = [], []
    for hide, group in groupby(range(len(pieces)), key=hidden.__getitem__):
        places = list(group)
        inside, words = ("".join(parts[i] for i in places) for parts in (shown, pieces))
        text.append(SIGN * len(words) if hide else words)
        markup.append(_cover(text[-1], inside) if hide else inside)
    return "".join(markup), "".join(text)


def _cover(cover: str, inside: str) -> str:
    # The one element that opens without a script, by mouse, finger and keyboard.
    label = say("伏せ字（押すと見えます）", "masked word (press to see it)")
    return (
        f'<details style="display:inline-block;vertical-align:top"><summary title="{label}" style="display:block;'
        f'list-style:none;cursor:pointer">{cover}</summary>{inside}</details>'
    )


def token_numbers(piece: str, step: Step) -> str:
    """A new token and its two probabilities, in words."""
    return say(
        f"{piece} (id {step.token_id}): モデル {percent(step.raw)}、設定後 {percent(step.final)}",
        f"{piece} (id {step.token_id}): model {percent(step.raw)}, after settings {percent(step.final)}",
    )


def generation_cards(
    generation: Generation, tokenizer: Any, masked: bool = False, width: int = 220
) -> Html:
    """All sequences of a generation, coloured by probability, with how each of them ended.

    Args:
        masked: see `probability_text`.
        width: see `cards`.
    """
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
    texts = [
        probability_text(s, tokenizer, legend=False, masked=masked) for s in generation.sequences
    ]
    side_by_side = cards(texts, titles, width)
    return Html(f"{side_by_side}{surprise_legend()}", repr(side_by_side))


def comparison(a: Sequence, b: Sequence, tokenizer: Any, masked: bool = False) -> Html:
    """Two continuations of one text side by side, A and B, their first differing token in a frame.

    Args:
        masked: see `probability_text`.
    """
    place = first_difference(a.token_ids, b.token_ids)
    if place is None:
        mark, verdict = None, say("2 つの文章は同じです。", "Both texts are the same.")
    else:
        mark = place - (len(a.token_ids) - len(a.steps))
        in_a, in_b = (
            "".join(tokenizer.convert_ids_to_tokens(sequence.token_ids[place : place + 1]))
            or say("（終わり）", "(the end)")
            for sequence in (a, b)
        )
        if masked:
            in_a, in_b = mask_words(in_a), mask_words(in_b)
        verdict = say(
            f"最初の違い: 新しい {mark + 1} 番目のトークン。A は「{in_a}」、B は「{in_b}」。",
            f"First difference: new token number {mark + 1}. A has “{in_a}”, B has “{in_b}”.",
        )
    texts = [probability_text(sequence, tokenizer, False, mark, masked) for sequence in (a, b)]
    side_by_side = cards(texts, ["A", "B"])
    return Html(
        f'<div style="{ROOT}"><b>{escape(verdict)}</b></div>{side_by_side}{surprise_legend()}',
        f"{verdict}\n{side_by_side!r}",
    )


def first_difference(a: list[Any], b: list[Any]) -> int | None:
    """The first place at which two lists (of token ids, say) differ; None if they are equal."""
    for i, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return i
    return None if len(a) == len(b) else min(len(a), len(b))


def plain_text(prompt: str, continuation: str, masked: bool = False) -> Html:
    """A prompt in bold and what was written after it.

    Args:
        masked: see `probability_text`.
    """
    markup, text = escape(continuation), continuation
    if masked:
        markup, text = covered(prompt, list(text), [escape(character) for character in text])
    return Html(
        f'<div style="{ROOT};line-height:2"><b>{escape(prompt)}</b>{markup}</div>', prompt + text
    )


def vertical_text(text: str, masked: bool = False) -> Html:
    """A text in vertical writing, right to left.

    Args:
        masked: see `probability_text`.
    """
    markup = escape(text)
    if masked:
        markup, text = covered("", list(text), [escape(character) for character in text])
    look = (
        "writing-mode:vertical-rl;height:20em;font-family:serif;font-size:1.15em;line-height:1.9;"
        f"padding:6px;{BORDER};"
    )
    return Html(
        f"<div {scrolling(say('縦書きの文章', 'text in vertical writing'), look)}>{markup}</div>",
        text,
    )
