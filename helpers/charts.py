"""Pictures as pure functions from values to HTML, in the reader's language.

The markup carries its styles in the elements and reads as tables and text where a page strips them, as GitHub
does. Text has the page's own colour, so light and dark themes both fit; where a background is set, so is the
text on it. What a colour says, a label or a hatch says too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.language import say

if TYPE_CHECKING:
    from helpers.sampling import Distribution, Generation, Sequence, Step

_ROOT = "max-width:100%;line-height:1.5;overflow-wrap:anywhere"
# What is too wide scrolls, and does not make the page wider: a width of 0 asks for nothing, and fills 100%.
_SCROLL = "overflow-x:auto;width:0;min-width:100%;box-sizing:border-box"
_CELL = "padding:1px 6px;vertical-align:middle;border:0;"
_MUTED = "border:1px solid rgba(128,128,128,.6)"
_CHIPS = ("#cfe3ff", "#ffe0b8", "#d5f0d0", "#f6d3e6", "#e4dbf7", "#f3ecb4")
_DARK_TEXT = "color:#1a1a1a"

# A zone's colour stands out from white and from black alike (3:1 or more); its hatch tells it apart without colour.
_ZONE_COLOURS = {
    None: "#3b82c4",
    "top_p": "#c2711a",
    "top_k": "#8b6fb3",
    "min_length": "#808080",
}
_HATCH_ANGLES = {"top_p": "45deg", "top_k": "-45deg", "min_length": "90deg"}

# From likely to surprising: the least probability, the background, the underline that says the same.
_SURPRISE = (
    (0.5, "#d9ecff", "none"),
    (0.2, "#d5f0d0", "solid"),
    (0.05, "#f7efb2", "dotted"),
    (0.01, "#ffdcae", "dashed"),
    (0.0, "#ffcfcf", "wavy"),
)


def _scrolling(label: str, style: str = "") -> str:
    """The attributes of a box that scrolls: the keyboard reaches it, and a screen reader has a name for it."""
    return f'role="group" tabindex="0" aria-label="{escape(label)}" style="{style}{_SCROLL}"'


class Html(str):
    """Markup that a notebook shows as HTML. `alt` is the one line it shows where there is only text."""

    alt: str

    def __new__(cls, markup: str, alt: str) -> Html:
        html = super().__new__(cls, markup)
        html.alt = alt
        return html

    def _repr_html_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return self.alt


def percent(probability: float) -> str:
    """A probability (0 to 1) as readers see it: three significant digits at most, never a false zero."""
    value = probability * 100
    if value == 0:
        return "0%"
    if value < 0.001:
        return "<0.001%"
    return f"{float(f'{value:.3g}'):.3f}".rstrip("0").rstrip(".") + "%"


def number(value: float) -> str:
    """A number with three significant digits at most, thousands separated."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def token_chips(tokenizer: Any, text: str, limit: int | None = None) -> Html:
    """The tokens of a text as coloured chips, each with its id; `▁` marks a space or the beginning.

    Characters that the tokenizer does not know have a dashed border and the word 未知 (unknown).

    Args:
        limit: show no more than so many chips; how many there are in all, and how many of them are unknown,
            is still said.
    """
    # It brings transformers along, which whoever has a tokenizer has loaded already.
    from helpers.tokenizer import split_pieces

    pieces = [(piece.surface, piece.token_id) for piece in split_pieces(tokenizer, text)]
    shown = pieces[:limit]
    count = say(f"{len(pieces):,} トークン", f"{len(pieces):,} tokens")
    if len(shown) < len(pieces):
        count += say(f"（先頭の {len(shown):,} 個を表示）", f" (the first {len(shown):,} shown)")
        # Those behind the last chip show in no other way.
        if unknown := sum(token_id == tokenizer.unk_token_id for _, token_id in pieces):
            count += say(f"、うち未知 {unknown:,} 個", f", {unknown:,} of them unknown")
    return _chips(shown, tokenizer.unk_token_id, count)


def chosen_chips(tokenizer: Any, token_ids: Iterable[int]) -> Html:
    """Tokens that were chosen one by one, as chips."""
    ids = list(token_ids)
    pairs = list(zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True))
    count = say(f"選んだトークン {len(ids)} 個", f"tokens chosen: {len(ids)}")
    return _chips(pairs, tokenizer.unk_token_id, count)


def _chips(pairs: list[tuple[str, int]], unknown_id: int, count: str) -> Html:
    chips = []
    for i, (surface, token_id) in enumerate(pairs):
        unknown = token_id == unknown_id
        look = (
            f"background:#fff;{_DARK_TEXT};border:2px dashed #b00020"
            if unknown
            else f"background:{_CHIPS[i % len(_CHIPS)]};{_DARK_TEXT};border:2px solid transparent"
        )
        note = say("未知 ", "unknown ") if unknown else ""
        chips.append(
            f'<span style="display:inline-block;padding:0 5px;border-radius:5px;text-align:center;{look}">'
            f'<b style="display:block;font-weight:normal;font-size:1.1em">{escape(surface)}</b> '
            f'<sub style="display:block;font-size:.75em;line-height:1.3">{note}{token_id}</sub></span>'
        )
    return Html(
        f'<div style="{_ROOT}"><div style="display:flex;flex-wrap:wrap;gap:4px">{" ".join(chips)}</div> '
        f"<div><small>{count}</small></div></div>",
        f"{count}: " + " ".join(f"{surface}({token_id})" for surface, token_id in pairs),
    )


def distribution_chart(
    distribution: Distribution,
    top: int = 20,
    counts: Mapping[int, int] | None = None,
    title: str | None = None,
) -> Html:
    """The next token as horizontal bars: the model's own probability, and the one it is drawn with.

    The `top` most probable tokens have a row each; the rest is summed up, one row for each zone (kept, cut by
    top_p, cut by top_k, cut by min_length). Above stand how many tokens each setting removed, which one decides,
    the entropy in bits and the effective number of choices.

    Args:
        counts: how often each token id was drawn, laid over the bars as observed against expected.
    """
    draws = sum(counts.values()) if counts else 0
    rows = _rows(distribution, top, counts or {})
    # Rows that sum up the tail may be longer than any bar: they end at the edge, their number is exact.
    scale = max(max(r.raw, r.final, r.observed / draws if draws else 0) for r in rows[:top] or rows)
    columns = [
        (say("トークン", "token"), "left"),
        (say("確率", "probability"), "left"),
        (say("モデル", "model"), "right"),
        (say("設定後", "drawn with"), "right"),
        *([(say("期待 → 実際", "expected → seen"), "right")] if draws else []),
        (say("行き先", "zone"), "left"),
        ("id", "right"),
    ]
    cell = f"{_CELL}white-space:nowrap;font-variant-numeric:tabular-nums;"
    head = "".join(
        f'<th scope="col" style="{cell}text-align:{side}">{name}</th>' for name, side in columns
    )
    body = []
    for row in rows:
        values = [
            percent(row.raw),
            percent(row.final),
            *([f"{number(row.final * draws)} → {row.observed}"] if draws else []),
            _zone_label(row.zone),
            row.token_id,
        ]
        body.append(
            f'<tr><th scope="row" style="{cell}text-align:left;font-weight:normal">{escape(row.name)}</th>'
            f'<td style="{_CELL}width:50%;min-width:90px">{_bars(row, scale, draws)}</td>'
            + "".join(
                f'<td style="{cell}text-align:{side}">{value}</td>'
                for value, (_, side) in zip(values, columns[2:], strict=True)
            )
            + "</tr>"
        )
    summary = _summary(distribution)
    heading = title or say("次のトークンの確率", "Probability of the next token")
    lines = "".join(f"<li>{line}</li>" for line in summary)
    if draws:
        lines += f"<li>{say(f'{draws} 回引いた結果（点線の枠）', f'drawn {draws} times (dotted frames)')}</li>"
    return Html(
        f'<div style="{_ROOT}"><div><b>{escape(heading)}</b></div>'
        f'<ul style="margin:2px 0 4px;padding-left:1.3em">{lines}</ul>'
        f"{_whole(distribution)}"
        f'<div {_scrolling(heading)}><table style="border-collapse:collapse;width:100%;'
        f'font-size:.9em;margin:0"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        f"<div><small>{_bars_legend(bool(draws))}</small></div></div>",
        f"{heading}: " + _plain(" ".join(summary)),
    )


class _Row(NamedTuple):
    """A line of the chart: one token, or what is left of one zone."""

    name: str
    token_id: str
    raw: float
    final: float
    zone: str | None
    observed: int


def _rows(distribution: Distribution, top: int, counts: Mapping[int, int]) -> list[_Row]:
    rows = [
        _Row(c.piece, str(c.token_id), c.raw, c.final, c.cut_by, counts.get(c.token_id, 0))
        for c in distribution.head(top)
    ]
    raw, final = distribution.raw[top:], distribution.final[top:]
    ids = distribution.token_ids[top:]
    kept = final >= 0
    zones: list[tuple[str | None, Any]] = []
    for name, mask in distribution.cut.items():
        kept = kept & ~mask[top:]
        zones.append((name, mask[top:]))
    for zone, mask in [(None, kept), *reversed(zones)]:
        if n := int(mask.sum()):
            observed = sum(counts.get(i, 0) for i in ids[mask].tolist()) if counts else 0
            name = say(f"ほか {n:,} 個の合計", f"{n:,} more, summed")
            sums = _sum_of(raw, mask), _sum_of(final, mask)
            rows.append(_Row(name, "", *sums, zone, observed))
    return rows


def _sum_of(probabilities: Any, mask: Any) -> float:
    # Several times faster than picking the masked ones out.
    return float((probabilities * mask).double().sum())


def _bars(row: _Row, scale: float, draws: int) -> str:
    """Above the model's own probability, below what the token is drawn with, framed what was observed."""
    bars = [_bar(row.raw / scale, 5, _fill(row.zone, 0.55))]
    if row.zone is None:
        bars.append(_bar(row.final / scale, 9, f"background:{_ZONE_COLOURS[None]}"))
    if draws:
        bars.append(_bar(row.observed / draws / scale, 7, "border:1px dotted currentColor"))
    return "".join(bars)


def _bar(share: float, height: int, look: str) -> str:
    width = f"{min(share, 1) * 100:.1f}"
    return (
        f'<div style="width:{width}%;height:{height}px;box-sizing:border-box;margin:1px 0;{look}"></div>'
        if share > 0
        else ""
    )


def _fill(zone: str | None, opacity: float = 1) -> str:
    colour = _ZONE_COLOURS[zone]
    if zone is None:
        return f"background:{colour};opacity:{opacity}"
    angle = _HATCH_ANGLES[zone]
    return f"background:repeating-linear-gradient({angle},{colour} 0 3px,transparent 3px 6px)"


def _zone_label(zone: str | None) -> str:
    return say("残る", "kept") if zone is None else f"✂ {zone}"


def _whole(distribution: Distribution) -> str:
    """One strip for the whole vocabulary: how much of the model's probability lies in each zone."""
    parts, words = [], []
    shares: list[tuple[str | None, float]] = []
    for name, mask in distribution.cut.items():
        shares.append((name, _sum_of(distribution.raw, mask)))
    kept = max(0.0, 1 - sum(share for _, share in shares))
    for zone, share in [(None, kept), *reversed(shares)]:
        if zone is not None and not distribution.removed(zone):
            continue
        parts.append(f'<div style="width:{share * 100:.1f}%;{_fill(zone)}"></div>')
        words.append(f"{_zone_label(zone)} {percent(share)}")
    return (
        f'<div style="display:flex;height:12px;{_MUTED};margin:2px 0">{"".join(parts)}</div>'
        f"<div><small>{say('モデルの確率の合計', 'of the model’s probability')}: {' ・ '.join(words)}</small></div>"
    )


def _summary(distribution: Distribution) -> list[str]:
    total = len(distribution.token_ids)
    by_k, by_p, by_length = map(distribution.removed, ("top_k", "top_p", "min_length"))
    cuts = say(
        f"語彙 {total:,} 個 → top_k が {by_k:,} 個、top_p が {by_p:,} 個を除外 → <b>残り {distribution.kept:,} 個</b>",
        f"{total:,} tokens → top_k cuts {by_k:,}, top_p cuts {by_p:,} → <b>{distribution.kept:,} kept</b>",
    )
    if by_length:
        cuts += say("（min_length により &lt;/s&gt; も除外）", " (min_length cuts &lt;/s&gt; too)")
    if by_p and by_k:
        share = percent(float(distribution.raw[distribution.cut["top_k"]].sum()))
        bites = say(
            f"<b>両方</b>が効いている（top_k がモデルの確率の {share} を切り、残りを top_p がさらに減らした）",
            f"<b>both</b> cut (top_k takes {share} of the model’s probability, top_p cuts further into the rest)",
        )
    elif by_p:
        bites = say(
            "効いているのは <b>top_p</b>（top_k は何も除外していない）",
            "<b>top_p</b> decides (top_k cuts nothing)",
        )
    elif by_k:
        bites = say(
            "効いているのは <b>top_k</b>（top_p は何も除外していない）",
            "<b>top_k</b> decides (top_p cuts nothing)",
        )
    else:
        bites = say("top_k も top_p も効いていない", "neither top_k nor top_p cuts anything")
    before, after = distribution.raw_entropy, distribution.entropy
    spread = say(
        f"エントロピー {number(after)} bit（設定前 {number(before)}）＝ 実質 <b>{number(2**after)} 択</b>"
        f"（設定前 {number(2**before)} 択）",
        f"entropy {number(after)} bits (before the settings {number(before)}) = effectively "
        f"<b>{number(2**after)} choices</b> (before {number(2**before)})",
    )
    return [cuts, bites, spread]


def _bars_legend(observed: bool) -> str:
    legend = say(
        "上の細い棒: モデルの確率、下の太い棒: 設定後に引かれる確率。除外されたトークンは縞模様。",
        "Thin upper bar: the model’s probability; thick lower bar: what is drawn with. Tokens cut are hatched.",
    )
    return legend + (
        say("点線の枠: 実際に引かれた割合。", " Dotted frame: share observed.") if observed else ""
    )


def _plain(markup: str) -> str:
    """The text of our own inline markup."""
    return unescape(re.sub(r"</?b>", "", markup))


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
        style = _surprise_style(_surprise(step.raw))
        if i == mark:
            style += ";outline:2px solid #b00020;font-weight:bold"
            shown = f"【{shown}】"
        parts.append(f'<span style="{style}" title="{escape(numbers)}">{shown}</span>')
    return Html(
        f'<div style="{_ROOT}"><div style="line-height:2"><b>{escape(prompt)}</b>{"".join(parts)}</div>'
        f"{_surprise_legend() if legend else ''}</div>",
        prompt + "".join(p.replace("▁", " ") for p in pieces),
    )


def token_numbers(piece: str, step: Step) -> str:
    """A new token and its two probabilities, in words."""
    return say(
        f"{piece} (id {step.token_id}): モデル {percent(step.raw)}、設定後 {percent(step.final)}",
        f"{piece} (id {step.token_id}): model {percent(step.raw)}, drawn with {percent(step.final)}",
    )


def _surprise_legend() -> str:
    caption = say("モデルがそのトークンに与えた確率", "the probability the model gave each token")
    samples = []
    for level, (least, _, _) in enumerate(_SURPRISE):
        label = (
            say(f"{least:.0%} 以上", f"{least:.0%} or more")
            if least
            else say(f"{_SURPRISE[-2][0]:.0%} 未満", f"under {_SURPRISE[-2][0]:.0%}")
        )
        samples.append(f'<span style="{_surprise_style(level)};padding:0 4px">{label}</span>')
    return f"<div><small>{caption}: {' '.join(samples)}</small></div>"


def _surprise(probability: float) -> int:
    return next(i for i, (least, _, _) in enumerate(_SURPRISE) if probability >= least)


def _surprise_style(level: int) -> str:
    _, background, line = _SURPRISE[level]
    underline = (
        ""
        if line == "none"
        else f";text-decoration:underline {line} #555;text-underline-offset:3px"
    )
    return f"background:{background};{_DARK_TEXT}{underline}"


def table(
    rows: Iterable[Iterable[object]],
    header: Iterable[object],
    caption: str | None = None,
    align: Iterable[str] | None = None,
) -> Html:
    """A simple table; every cell is escaped, except one that is `Html` itself.

    Args:
        align: "left", "right" or "center" for each column; left without it.
    """
    header = list(header)
    sides = list(align) if align is not None else ["left"] * len(header)
    # A word is not broken to save width: a wide table scrolls.
    cell = f"{_CELL}{_MUTED};padding:3px 8px;white-space:normal;overflow-wrap:normal;"

    def line(cells: Iterable[object], opening: str, closing: str) -> str:
        return "".join(
            f'<{opening} style="{cell}text-align:{side}">{_markup(value)}</{closing}>'
            for value, side in zip(cells, sides, strict=True)
        )

    head = line(header, 'th scope="col"', "th")
    contents = [list(row) for row in rows]
    body = "".join(f"<tr>{line(row, 'td', 'td')}</tr>" for row in contents)
    named = (
        f'<caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>'
        if caption
        else ""
    )
    alt = "\n".join(
        " | ".join(repr(v) if isinstance(v, Html) else str(v) for v in row)
        for row in [header, *contents]
    )
    return Html(
        f'<div {_scrolling(caption or say("表", "table"), f"{_ROOT};")}><table style="border-collapse:collapse;margin:0">'
        f"{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        f"{caption}\n{alt}" if caption else alt,
    )


def cards(contents: Iterable[Html], titles: Iterable[str]) -> Html:
    """Several pictures side by side, each under its title; on a narrow page one below the other."""
    pairs = list(zip(contents, titles, strict=True))
    boxes = " ".join(
        f'<div style="flex:1 1 220px;min-width:0;{_MUTED};border-radius:6px;padding:4px 10px">'
        f"<div><small><b>{escape(title)}</b></small></div>{_markup(content)}</div>"
        for content, title in pairs
    )
    return Html(
        f'<div style="{_ROOT};display:flex;flex-wrap:wrap;gap:8px">{boxes}</div>',
        "\n".join(f"{title}: {content!r}" for content, title in pairs),
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
    return Html(f"{side_by_side}{_surprise_legend()}", repr(side_by_side))


def first_difference(a: list[int], b: list[int]) -> int | None:
    """The first place at which two lists of token ids differ; None if they are equal."""
    for i, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return i
    return None if len(a) == len(b) else min(len(a), len(b))


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
        f'<div style="{_ROOT}"><b>{escape(verdict)}</b></div>{side_by_side}{_surprise_legend()}',
        f"{verdict}\n{side_by_side!r}",
    )


def normalization(text: str, normalized: str, limit: int | None = None) -> Html:
    """What a tokenizer's normalisation made of a text; nothing if it left it as it was.

    Args:
        limit: show no more than so many characters, from a little before the first that it changed.
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
        f'<div style="{_ROOT}"><small>{note}: <b>{escape(normalized)}</b></small></div>',
        f"{note}: {normalized}",
    )


def vertical_text(text: str) -> Html:
    """A text in vertical writing, right to left."""
    look = (
        "writing-mode:vertical-rl;height:20em;font-family:serif;font-size:1.15em;line-height:1.9;"
        f"padding:6px;{_MUTED};"
    )
    return Html(
        f"<div {_scrolling(say('縦書きの文章', 'text in vertical writing'), look)}>{escape(text)}</div>",
        text,
    )


def pieces_text(tokenizer: Any, token_ids: Iterable[int]) -> str:
    """Tokens as text, one after another, `▁` as the space it is: nothing is left out or joined."""
    return "".join(tokenizer.convert_ids_to_tokens(list(token_ids))).replace("▁", " ")


def plain_text(prompt: str, continuation: str) -> Html:
    """A prompt in bold and what was written after it."""
    return Html(
        f'<div style="{_ROOT};line-height:2"><b>{escape(prompt)}</b>{escape(continuation)}</div>',
        prompt + continuation,
    )


def progress_bar(done: int, total: int, note: str) -> Html:
    """How far a generation is, `note` beside it."""
    name = escape(say("進み具合", "progress"))
    return Html(
        f'<div style="{_ROOT}"><progress value="{done}" max="{total}" aria-label="{name}"></progress> '
        f"<span>{escape(note)}</span></div>",
        f"{done}/{total} {note}",
    )


def problem(*messages: str) -> Html:
    """What went wrong, a sentence each, that stands out without colour too."""
    lines = "".join(f"<div>⚠ {escape(message)}</div>" for message in messages)
    return Html(
        f'<div role="alert" style="{_ROOT};background:#fdecea;{_DARK_TEXT};border:2px solid #b00020;'
        f'border-radius:6px;padding:4px 10px">{lines}</div>',
        " ".join(f"⚠ {message}" for message in messages),
    )


def _markup(value: object) -> str:
    return str(value) if isinstance(value, Html) else escape(str(value))


def bar_chart(
    labels: Iterable[object],
    values: Iterable[float],
    title: str = "",
    unit: str = "",
    highlight: int | None = None,
) -> Html:
    """A few named values as horizontal bars, from 0 to the greatest; the value stands beside its bar.

    Args:
        unit: follows each value; "%" shows probabilities (0 to 1) as percentages.
        highlight: index of the bar that is marked, by colour and by an arrow.
    """
    labels, values = [str(label) for label in labels], [float(value) for value in values]
    greatest = max([*values, 0.0]) or 1.0
    rows, texts = [], []
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        shown = percent(value) if unit == "%" else f"{number(value)} {unit}".strip()
        colour = _ZONE_COLOURS["top_p" if i == highlight else None]
        mark = "▶ " if i == highlight else ""
        texts.append(f"{label} {shown}")
        rows.append(
            f'<tr><th scope="row" style="{_CELL}text-align:left;font-weight:normal;white-space:nowrap">'
            f"{mark}{escape(label)}</th>"
            f'<td style="{_CELL}text-align:right;white-space:nowrap">{escape(shown)}</td>'
            f'<td style="{_CELL}width:60%">{_bar(value / greatest, 12, f"background:{colour}")}</td></tr>'
        )
    heading = f"<div><b>{escape(title)}</b></div>" if title else ""
    return Html(
        f'<div style="{_ROOT}">{heading}<table style="border-collapse:collapse;width:100%;margin:0">'
        f"<tbody>{''.join(rows)}</tbody></table></div>",
        (f"{title}: " if title else "") + ", ".join(texts),
    )


def loss_curve(
    losses: list[float], held_out: list[tuple[int, float]], total: int, note: str
) -> Html:
    """The course of a training: a progress bar, both curves, and below them the measured values as a table.

    Args:
        losses: of each step so far, in bits per character.
        held_out: (step, bits per character on held-out text), the first at step 0.
        total: how many steps there will be.
    """
    # The mean since the last measurement is calmer than the loss of single batches; it stands in the middle.
    means, by_step, before = [], {}, 0
    for step, _ in held_out[1:]:
        by_step[step] = sum(losses[before:step]) / (step - before)
        means.append(((before + step) / 2, by_step[step]))
        before = step
    values = [*losses, *(bits for _, bits in held_out)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    high = high if high > low else low + 1

    def at(step: float, value: float) -> str:
        return f"{50 + 580 * step / total:.1f},{190 - 170 * (value - low) / (high - low):.1f}"

    blue, orange = _ZONE_COLOURS[None], _ZONE_COLOURS["top_p"]
    names = say("学習した文章", "text it learns from"), say("取り分けた文章", "held-out text")
    marks = "".join(
        f'<line x1="50" x2="630" y1="{y}" y2="{y}" stroke="currentColor" opacity=".25"/>'
        f'<text x="44" y="{y + 4}" text-anchor="end">{value:.2f}</text>'
        for y, value in ((190, low), (105, (low + high) / 2), (20, high))
    )
    points = "".join(
        '<circle cx="{}" cy="{}" r="4" fill="{}"/>'.format(*at(*point).split(","), orange)
        for point in held_out
    )
    single = " ".join(at(step, loss) for step, loss in enumerate(losses, 1))
    both = [
        f'<polyline points="{" ".join(at(*point) for point in curve)}" fill="none" '
        f'stroke="{colour}" stroke-width="2.5" {dashes}/>'
        for curve, colour, dashes in (
            (means, blue, 'stroke-dasharray="7 4"'),
            (held_out, orange, ""),
        )
    ]
    unit = say("1 文字あたりのビット数", "bits per character")
    picture = (
        f'<svg viewBox="0 0 640 232" role="img" aria-label="{unit}" style="width:100%;max-width:640px;'
        f'font-size:12px" fill="currentColor">{marks}'
        f'<polyline points="{single}" fill="none" stroke="{blue}" opacity=".4"/>{"".join(both)}{points}'
        f'<text x="50" y="207">0</text><text x="630" y="207" text-anchor="end">{total}</text>'
        f'<text x="50" y="12">{unit}</text>'
        f'<line x1="140" x2="172" y1="222" y2="222" stroke="{blue}" stroke-width="2.5" stroke-dasharray="7 4"/>'
        f'<text x="178" y="226">{names[0]}</text>'
        f'<line x1="380" x2="412" y1="222" y2="222" stroke="{orange}" stroke-width="2.5"/>'
        f'<circle cx="396" cy="222" r="4" fill="{orange}"/><text x="418" y="226">{names[1]}</text></svg>'
    )
    rows = [
        [step, f"{by_step[step]:.3f}" if step in by_step else "–", f"{bits:.3f}"]
        for step, bits in held_out
    ]
    header = [say("ステップ", "step"), *(f"{name} ({unit})" for name in names)]
    figures = table(rows, header, align=["right"] * 3)
    bar = progress_bar(len(losses), total, note)
    return Html(f'<div style="{_ROOT}">{bar}{picture}{figures}</div>', f"{bar!r}\n{figures!r}")


def use_japanese_font() -> None:
    """Let matplotlib write Japanese: IPAexGothic, and DejaVu Sans for what it lacks (`▁`, for one)."""
    import matplotlib
    import matplotlib_fontja

    matplotlib_fontja.japanize()
    matplotlib.rcParams["font.family"] = ["IPAexGothic", "DejaVu Sans"]
