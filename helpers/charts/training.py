"""The course of a training."""

from __future__ import annotations

from helpers.charts.blocks import progress_bar, table
from helpers.charts.look import ROOT, ZONE_COLOURS, Html
from helpers.language import say


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

    blue, orange = ZONE_COLOURS[None], ZONE_COLOURS["top_p"]
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
    return Html(f'<div style="{ROOT}">{bar}{picture}{figures}</div>', f"{bar!r}\n{figures!r}")
