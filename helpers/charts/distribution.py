"""The next token as bars: what the model gives, what each setting cuts, what is drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.charts.blocks import bar
from helpers.charts.look import (
    BORDER,
    CELL,
    ROOT,
    ZONE_COLOURS,
    Html,
    number,
    percent,
    scrolling,
    zone_fill,
    zone_label,
)
from helpers.language import say

if TYPE_CHECKING:
    from helpers.sampling import Distribution


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
    cell = f"{CELL}white-space:nowrap;font-variant-numeric:tabular-nums;"
    head = "".join(
        f'<th scope="col" style="{cell}text-align:{side}">{name}</th>' for name, side in columns
    )
    body = []
    for row in rows:
        values = [
            percent(row.raw),
            percent(row.final),
            *([f"{number(row.final * draws)} → {row.observed}"] if draws else []),
            zone_label(row.zone),
            row.token_id,
        ]
        body.append(
            f'<tr><th scope="row" style="{cell}text-align:left;font-weight:normal">{escape(row.name)}</th>'
            f'<td style="{CELL}width:50%;min-width:90px">{_bars(row, scale, draws)}</td>'
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
        f'<div style="{ROOT}"><div><b>{escape(heading)}</b></div>'
        f'<ul style="margin:2px 0 4px;padding-left:1.3em">{lines}</ul>'
        f"{_whole(distribution)}"
        f'<div {scrolling(heading)}><table style="border-collapse:collapse;width:100%;'
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
    bars = [bar(row.raw / scale, 5, zone_fill(row.zone, 0.55))]
    if row.zone is None:
        bars.append(bar(row.final / scale, 9, f"background:{ZONE_COLOURS[None]}"))
    if draws:
        bars.append(bar(row.observed / draws / scale, 7, "border:1px dotted currentColor"))
    return "".join(bars)


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
        parts.append(f'<div style="width:{share * 100:.1f}%;{zone_fill(zone)}"></div>')
        words.append(f"{zone_label(zone)} {percent(share)}")
    return (
        f'<div style="display:flex;height:12px;{BORDER};margin:2px 0">{"".join(parts)}</div>'
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
