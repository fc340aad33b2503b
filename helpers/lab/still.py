"""The lab as a picture without widgets, for pages without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers import charts
from helpers.language import say

if TYPE_CHECKING:
    from helpers.lab.sampling_lab import SamplingLab


def still_picture(lab: SamplingLab) -> charts.Html:
    values = lab.controls.values()
    pictures = [
        lab.chips.value,
        charts.table([values.values()], values),
        lab.problem.value,
        lab.chart.value,
    ]
    note = say(
        "サンプリング実験室（ここは静止画です。セルを実行すると、動かせます）",
        "Sampling lab (a still picture: run the cell to operate it)",
    )
    parts = "".join(f"<div>{picture}</div>" for picture in pictures if picture)
    # Half of a character pair, which a browser may send, cannot be sent back as text.
    prompt = lab.prompt_box.value[:40].encode("utf-8", "replace").decode("utf-8")
    return charts.Html(
        f"<div><b>{note}</b></div>{parts}", f"SamplingLab({lab.language_model.name}): {prompt}"
    )
