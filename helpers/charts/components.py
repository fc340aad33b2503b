"""What pictures are put together from: tables, cards, bars, a progress bar, a problem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

from helpers.charts.look import (
    BORDER,
    CELL,
    DARK_TEXT,
    GHOST,
    ROOT,
    TABLE,
    WARNING,
    ZONE_COLOURS,
    Html,
    label_style,
    markup,
    numbers,
    percents,
    scrolling,
)
from helpers.language import say

SHORT = 12  # characters
_NUMBER = re.compile(r"[<+−-]?\d[\d,.]*(e[+-]?\d+)?\+?( ?\S{1,8})?|[—–]")


def table(
    rows: Iterable[Iterable[object]] | Mapping[str, Iterable[object]],
    header: Iterable[object] | None = None,
    caption: str | None = None,
    align: Iterable[str] | None = None,
) -> Html:
    """A simple table; every cell is escaped, except one that is `Html` itself.

    Args:
        rows: the rows under `header`; or columns, `{"name": values}`, whose names are the header.
        align: "left", "right" or "center" for each column. Without it, columns of numbers are on the right where columns
            were given; everything else is on the left.

    Raises:
        ValueError: if the columns, or a row and the header, differ in length.
    """
    if isinstance(rows, Mapping):
        columns = [list(column) for column in rows.values()]
        header, rows = rows, zip(*columns, strict=True)
        align = align or ["right" if all(map(_is_number, c)) else "left" for c in columns]
    header = list(header or [])
    sides = list(align) if align is not None else ["left"] * len(header)
    # A word is not broken to save width, nor is a short cell, which is one: a wide table scrolls.
    cell = f"{CELL}{BORDER};padding:3px 8px;overflow-wrap:normal;white-space:"

    def line(cells: Iterable[object], opening: str, closing: str) -> str:
        return "".join(
            f'<{opening} style="{cell}{_wrapping(value)};text-align:{side}">{markup(value)}</{closing}>'
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
        f'<div {scrolling(caption or say("表", "table"), f"{ROOT};")}><table style="{TABLE}">'
        f"{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        f"{caption}\n{alt}" if caption else alt,
    )


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and bool(_NUMBER.fullmatch(str(value)))


def _wrapping(value: object) -> str:
    return "normal" if isinstance(value, Html) or len(str(value)) > SHORT else "nowrap"


def cards(contents: Iterable[Html], titles: Iterable[str], width: int = 220) -> Html:
    """Several pictures side by side, each under its title; on a narrow page one below the other.

    Args:
        width: how many pixels one of them needs to stand beside another.
    """
    pairs = list(zip(contents, titles, strict=True))
    boxes = " ".join(
        f'<div style="flex:1 1 {width}px;min-width:0;{BORDER};border-radius:6px;padding:4px 10px">'
        f"<div><small><b>{escape(title)}</b></small></div>{markup(content)}</div>"
        for content, title in pairs
    )
    return Html(
        f'<div style="{ROOT};display:flex;flex-wrap:wrap;gap:8px">{boxes}</div>',
        "\n".join(f"{title}: {content!r}" for content, title in pairs),
    )


def progress_bar(done: int, total: int, note: str) -> Html:
    """How far a generation is, `note` beside it."""
    name = escape(say("進み具合", "progress"))
    return Html(
        f'<div style="{ROOT}"><progress value="{done}" max="{total}" aria-label="{name}"></progress> '
        f"<span>{escape(note)}</span></div>",
        f"{done}/{total} {note}",
    )


def problem(*messages: str) -> Html:
    """What went wrong, a sentence each, that stands out without colour too."""
    lines = "".join(f"<div>⚠ {escape(message)}</div>" for message in messages)
    return Html(
        f'<div role="alert" style="{ROOT};background:#fdecea;{DARK_TEXT};border:2px solid {WARNING};'
        f'border-radius:6px;padding:4px 10px">{lines}</div>',
        " ".join(f"⚠ {message}" for message in messages),
    )


def bar(share: float, height: int, look: str) -> str:
    """A bar as long as `share` (0 to 1) of its cell, `height` pixels high."""
    width = f"{min(share, 1) * 100:.1f}"
    return (
        f'<div style="width:{width}%;height:{height}px;box-sizing:border-box;margin:1px 0;{look}"></div>'
        if share > 0
        else ""
    )


def bar_of_text(share: float) -> str:
    """The same bar in letters, which show only on a page that takes the styles away."""
    blocks = "▇" * round(share * 20) or ("▏" if share > 0 else "")
    return f'<span style="display:none">{blocks}</span>'


def bar_chart(
    labels: Iterable[object],
    values: Iterable[float],
    title: str = "",
    unit: str = "",
    highlight: int | None = None,
    maximum: float | None = None,
    before: Iterable[float] | None = None,
) -> Html:
    """A few named values as horizontal bars, from 0 to the greatest; the value is beside its bar.

    Args:
        unit: follows each value; "%" shows probabilities (0 to 1) as percentages.
        highlight: index of the bar that is marked, by colour and by an arrow.
        maximum: the value of a bar of full width: the same one makes two charts comparable.
        before: earlier values of the same rows, as thin grey bars above the bars.
    """
    names, values = [str(label) for label in labels], [float(value) for value in values]
    earlier = [float(value) for value in before] if before is not None else []
    greatest = maximum or max([*values, *earlier, 0.0]) or 1.0
    shown = percents(values) if unit == "%" else [f"{v} {unit}".strip() for v in numbers(values)]
    rows, texts = [], []
    for i, (label, value) in enumerate(zip(names, values, strict=True)):
        colour = ZONE_COLOURS["top_p" if i == highlight else None]
        mark = "▶ " if i == highlight else ""
        texts.append(f"{label} {shown[i]}")
        bars = bar(value / greatest, 12, f"background:{colour}") + bar_of_text(value / greatest)
        if earlier:
            bars = bar(earlier[i] / greatest, 5, GHOST) + bars
        rows.append(
            f'<tr><th scope="row" style="{CELL}text-align:left;font-weight:normal;{label_style(label)}">'
            f"{mark}{escape(label)}</th>"
            f'<td style="{CELL}text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums">'
            f"{escape(shown[i])}</td>"
            f'<td style="{CELL}text-align:left;width:100%;min-width:70px">{bars}</td></tr>'
        )
    heading = f"<div><b>{escape(title)}</b></div>" if title else ""
    legend = ""
    if earlier:
        note = say("灰色の細い棒: 前の値", "thin grey bar: the previous value")
        legend = f"<div><small>{note}</small></div>"
    return Html(
        f'<div style="{ROOT}">{heading}<div {scrolling(title or say("棒グラフ", "bar chart"))}>'
        f'<table style="{TABLE}width:100%"><tbody>{"".join(rows)}</tbody></table></div>{legend}</div>',
        (f"{title}: " if title else "") + ", ".join(texts),
    )
