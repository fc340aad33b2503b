"""The curve of a training run."""

from __future__ import annotations

import math

from helpers.charts.components import progress_bar, table
from helpers.charts.look import ROOT, ZONE_COLOURS, Html, drawing
from helpers.language import say

# The picture in its own units: it is as wide as the page, at most 560 pixels.
WIDTH, HEIGHT = 520, 300
INK = "#1a1a1a"
LEFT, RIGHT, TOP, BOTTOM = 52, 508, 26, 214


def loss_curve(
    losses: list[float], held_out: list[tuple[int, float]], total: int, note: str
) -> Html:
    """The curve of a training run: a progress bar, the curves, and below them the measured values as a table.

    Args:
        losses: of each step so far, in bits per character.
        held_out: (step, bits per character on held-out text), the first at step 0.
        total: how many steps there will be.
    """
    # The mean since the last measurement is calmer than the loss of single batches; it is drawn in the middle.
    means: list[tuple[float, float]] = []
    by_step: dict[int, float] = {}
    before = 0
    for step, _ in held_out[1:]:
        by_step[step] = sum(losses[before:step]) / (step - before)
        means.append(((before + step) / 2, by_step[step]))
        before = step
    values = [*losses, *(bits for _, bits in held_out)]
    ticks = _ticks(min(values), max(values)) if values else [0.0, 1.0]
    low, high = ticks[0], ticks[-1]
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))

    def at(step: float, value: float) -> tuple[str, str]:
        x = LEFT + (RIGHT - LEFT) * step / total
        y = BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)
        return f"{x:.1f}", f"{y:.1f}"

    def line(points: list[tuple[float, float]], look: str) -> str:
        places = " ".join(",".join(at(*point)) for point in points)
        return f'<polyline points="{places}" fill="none" {look}/>'

    blue, orange = ZONE_COLOURS[None], ZONE_COLOURS["top_p"]
    looks = (
        f'stroke="{blue}" stroke-width="1.5" opacity=".75"',
        f'stroke="{blue}" stroke-width="2.5" stroke-dasharray="7 4"',
        f'stroke="{orange}" stroke-width="2.5"',
    )
    unit = say("1 文字あたりのビット数", "bits per character")
    learned, kept_back = (
        say("学習した文章", "training text"),
        say("取り分けた文章", "held-out text"),
    )
    names = (
        say(f"{learned}（1 ステップごと）", f"{learned}, each step"),
        say(f"{learned}（測定のあいだの平均）", f"{learned}, mean between measurements"),
        kept_back,
    )
    grid = "".join(
        f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="{INK}" opacity=".25"/>'
        f'<text x="{LEFT - 6}" y="{float(y) + 5:.1f}" text-anchor="end">{value:.{decimals}f}</text>'
        for value in ticks
        for _, y in [at(0, value)]
    )
    each: list[tuple[float, float]] = [(step, loss) for step, loss in enumerate(losses, 1)]
    curves = line(each, looks[0]) + line(means, looks[1]) + line([*held_out], looks[2])
    dot = '<circle cx="{}" cy="{}" r="4" fill="' + orange + '"/>'
    points = "".join(dot.format(*at(*point)) for point in held_out)
    legend = "".join(
        f'<line x1="{LEFT}" x2="{LEFT + 34}" y1="{y - 5}" y2="{y - 5}" {look}/>'
        f'<text x="{LEFT + 42}" y="{y}">{name}</text>'
        for y, look, name in zip((256, 274, 292), looks, names, strict=True)
    ) + dot.format(LEFT + 17, 287)
    axis = (
        f'<text x="{LEFT}" y="{BOTTOM + 18}" text-anchor="middle">0</text>'
        f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 18}" text-anchor="middle">{say("ステップ", "step")}</text>'
        f'<text x="{RIGHT}" y="{BOTTOM + 18}" text-anchor="end">{total}</text>'
        f'<text x="4" y="14">{unit}</text>'
    )
    # On white paper, as matplotlib draws: an image does not know the colours of the page around it.
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="14" fill="{INK}"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f"{grid}{curves}{points}{axis}{legend}</svg>"
    )
    curve = say("学習の曲線", "training curve")
    picture = drawing(svg, f"{curve}: {unit}", "display:block;width:100%;max-width:560px")
    rows = [
        [step, f"{by_step[step]:.3f}" if step in by_step else "–", f"{bits:.3f}"]
        for step, bits in held_out
    ]
    header = [say("ステップ", "step"), *(f"{name} ({unit})" for name in (learned, kept_back))]
    figures = table(rows, header, align=["right"] * 3)
    bar = progress_bar(len(losses), total, note)
    return Html(f'<div style="{ROOT}">{bar}{picture}{figures}</div>', f"{bar!r}\n{figures!r}")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, three to seven of them, from below the lowest value to above the highest."""
    spread = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(spread / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if spread / (step * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, max(last, first + 1) + 1)]
