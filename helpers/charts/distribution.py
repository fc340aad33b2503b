"""The next token as bars: what the model gives, what each setting cuts, what is drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.charts.components import bar, bar_of_text
from helpers.charts.look import (
    BORDER,
    CELL,
    ROOT,
    TABLE,
    ZONE_COLOURS,
    Html,
    label_style,
    number,
    numbers,
    percents,
    scrolling,
    token_name,
    zone_fill,
    zone_label,
)
from helpers.language import say
from helpers.masking import mask_words

if TYPE_CHECKING:
    from helpers.sampling import Distribution


def distribution_chart(
    distribution: Distribution,
    top: int = 20,
    counts: Mapping[int, int] | None = None,
    title: str | None = None,
    maximum: float | None = None,
    plain: bool = False,
    masked: bool = False,
) -> Html:
    """The next token as horizontal bars: the model's own probability, and the one after the settings.

    The `top` most probable tokens have a row each; the rest is summed up, one row for each zone (kept, cut by
    top_p, cut by top_k, cut by min_length), without a bar: a sum is not a token. Above stand how many tokens each setting
    removed, which one decides, the entropy in bits and the effective number of choices.

    Args:
        counts: how often each token id was drawn, laid over the bars as observed against expected.
        maximum: the probability (0 to 1) of a bar of full width: the same one makes two charts comparable.
        plain: the model's own probabilities and nothing else.
        masked: cover tokens in which a word of `helpers.masking` stands.
    """
    draws = sum(counts.values()) if counts else 0
    rows = _plain_rows(distribution, top) if plain else _rows(distribution, top, counts or {})
    if masked:
        rows = [row._replace(name=mask_words(row.name)) for row in rows]
    single = [row for row in rows if row.token_id] or rows
    scale = maximum or max(
        max(r.raw, 0 if plain else r.final, r.observed / draws if draws else 0) for r in single
    )
    columns = [
        (say("トークン", "token"), "left", [token_name(row.name) for row in rows]),
        (say("確率", "probability"), "left", [_bars(row, scale, draws, plain) for row in rows]),
        (
            "" if plain else say("モデル", "model"),
            "right",
            percents(row.raw for row in rows),
        ),
    ]
    if not plain:
        columns.append(
            (say("設定後", "after settings"), "right", percents(row.final for row in rows))
        )
        if draws:
            expected = numbers(row.final * draws for row in rows)
            seen = [f"{value} → {row.observed}" for value, row in zip(expected, rows, strict=True)]
            columns.append((say("期待 → 実際", "expected → seen"), "right", seen))
        columns.append((say("結果", "result"), "left", [zone_label(row.zone) for row in rows]))
    columns.append(("id", "right", [row.token_id for row in rows]))
    heading = title or say("次のトークンの確率", "Probability of the next token")
    summary = [] if plain else _summary(distribution)
    lines = "".join(f"<li>{line}</li>" for line in summary)
    if draws:
        lines += f"<li>{say(f'{draws} 回引いた結果（破線の枠）', f'drawn {draws} times (dashed frames)')}</li>"
    return Html(
        f'<div style="{ROOT}"><div><b>{escape(heading)}</b></div>'
        + (
            f'<ul style="margin:0 0 2px;padding-left:1.3em;font-size:.9em">{lines}</ul>'
            if lines
            else ""
        )
        + ("" if plain else _whole(distribution))
        + f"<div {scrolling(heading)}>{_table(columns)}</div>"
        f"<div><small>{_legend(plain, bool(draws), len(single) < len(rows))}</small></div></div>",
        f"{heading}: " + (_plain(" ".join(summary)) if summary else _first_rows(rows)),
    )


def _table(columns: list[tuple[str, str, list[str]]]) -> str:
    """Columns (name, side, cells) as a table; the second one, the bars, takes all the room that the others leave."""
    cell = f"{CELL}white-space:nowrap;font-variant-numeric:tabular-nums;"
    head = "".join(
        f'<th scope="col" style="{cell}text-align:{side}">{name}</th>' for name, side, _ in columns
    )
    body = []
    for name, bars, *values in zip(*(values for _, _, values in columns), strict=True):
        label = f"{CELL}{label_style(name)};text-align:left;font-weight:normal"
        body.append(
            f'<tr><th scope="row" style="{label}">{escape(name)}</th>'
            f'<td style="{CELL}text-align:left;width:100%;min-width:90px">{bars}</td>'
            + "".join(
                f'<td style="{cell}text-align:{side}">{escape(value)}</td>'
                for value, (_, side, _) in zip(values, columns[2:], strict=True)
            )
            + "</tr>"
        )
    return (
        f'<table style="{TABLE}width:100%;font-size:.9em;line-height:1.35"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
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
            sums = _sum_of(raw, mask), _sum_of(final, mask)
            rows.append(_Row(_sum_name(n), "", *sums, zone, observed))
    return rows


def _sum_of(probabilities: Any, mask: Any) -> float:
    # Several times faster than picking the masked ones out.
    return float((probabilities * mask).double().sum())


def _plain_rows(distribution: Distribution, top: int) -> list[_Row]:
    """As `_rows`, but for the model alone: nothing is cut."""
    rows = [_Row(c.piece, str(c.token_id), c.raw, c.raw, None, 0) for c in distribution.head(top)]
    rest = distribution.raw[top:]
    if n := len(rest):
        raw = float(rest.double().sum())
        rows.append(_Row(_sum_name(n), "", raw, raw, None, 0))
    return rows


def _sum_name(count: int) -> str:
    return say(f"ほか {count:,} 個の合計", f"{count:,} more, summed")


def _bars(row: _Row, scale: float, draws: int, plain: bool) -> str:
    """Above the model's own probability, below the one after the settings, in a frame what was observed."""
    if not row.token_id:
        return "⋯"
    text = bar_of_text(row.raw / scale)
    if plain:
        return bar(row.raw / scale, 12, f"background:{ZONE_COLOURS[None]}") + text
    bars = [bar(row.raw / scale, 5, zone_fill(row.zone, 0.55))]
    if row.zone is None:
        bars.append(bar(row.final / scale, 9, f"background:{ZONE_COLOURS[None]}"))
    if draws:
        bars.append(bar(row.observed / draws / scale, 7, "border:1px dashed currentColor"))
    return "".join(bars) + text


def _whole(distribution: Distribution) -> str:
    """One strip for the whole vocabulary: how much of the model's probability falls in each zone."""
    parts, words = [], []
    shares = _shares(distribution)
    for (zone, share), shown in zip(shares.items(), percents(shares.values()), strict=True):
        parts.append(f'<div style="width:{share * 100:.1f}%;{zone_fill(zone)}"></div>')
        words.append(f"{zone_label(zone)} {shown}")
    return (
        f'<div style="display:flex;height:12px;{BORDER};margin:2px 0">{"".join(parts)}</div>'
        f"<div><small>{say('モデルの確率の合計', 'of the model’s probability')}: {' ・ '.join(words)}</small></div>"
    )


def _shares(distribution: Distribution) -> dict[str | None, float]:
    """The model's probability in each zone that has tokens: what is kept (None), then what was cut, last cut first."""
    cut = {name: _sum_of(distribution.raw, mask) for name, mask in distribution.cut.items()}
    kept = max(0.0, 1 - sum(cut.values()))
    return {None: kept} | {name: cut[name] for name in reversed(cut) if distribution.removed(name)}


def _summary(distribution: Distribution) -> list[str]:
    total = len(distribution.token_ids)
    by_k, by_p, by_length = map(distribution.removed, ("top_k", "top_p", "min_length"))
    cuts = say(
        f"語彙 {total:,} 個 → top_k が {by_k:,} 個、top_p が {by_p:,} 個を除外 → <b>残り {distribution.kept:,} 個</b>",
        f"{total:,} tokens → top_k cuts {by_k:,}, top_p cuts {by_p:,} → <b>{distribution.kept:,} kept</b>",
    )
    if by_length:
        cuts += say("（min_length により &lt;/s&gt; も除外）", " (min_length cuts &lt;/s&gt; too)")
    for name in distribution.cut:
        if name not in ("top_k", "top_p", "min_length") and (more := distribution.removed(name)):
            shown = escape(name)
            cuts += say(f"（{shown} により {more:,} 個も除外）", f" ({shown} cuts {more:,} too)")
    if by_p and by_k:
        shares = _shares(distribution)
        share = dict(zip(shares, percents(shares.values()), strict=True))["top_k"]
        bites = say(
            f"<b>両方</b>が効いている（top_k がモデルの確率の {share} を切り、残りを top_p がさらに減らした）",
            f"<b>both</b> cut (top_k removes {share} of the model’s probability, and top_p cuts further into the rest)",
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


def _legend(plain: bool, observed: bool, sums: bool) -> str:
    parts = []
    if not plain:
        parts.append(
            say(
                "細い棒: モデルの確率、太い棒: 設定後の確率、青以外の縞: 除外",
                "Thin bar: the model’s probability, thick bar: after settings, hatched and not blue: cut",
            )
        )
    if observed:
        parts.append(say("破線の枠: 実際に引かれた割合", "Dashed frame: observed share"))
    if sums:
        parts.append(
            say("⋯ の行は合計なので、棒がありません", "Rows with ⋯ are sums and have no bar")
        )
    return say("。", ". ").join(parts) + say("。", ".") if parts else ""


def _first_rows(rows: list[_Row]) -> str:
    shown = percents(row.raw for row in rows)
    return ", ".join(f"{row.name} {value}" for row, value in zip(rows[:5], shown, strict=False))


def _plain(markup: str) -> str:
    """The text of our own inline markup."""
    return unescape(re.sub(r"</?b>", "", markup))
