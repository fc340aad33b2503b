"""The lab as a picture without widgets, for pages without a kernel: controls with their values, buttons, texts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from helpers import charts
from helpers.charts.look import BORDER
from helpers.lab.controls import Controls
from helpers.language import say

STEPS = 10  # of a slider, in letters: with more, it does not fit beside the chart


def snapshot(
    name: str,
    prompt: str,
    controls: Controls,
    top: Iterable[str],
    chart: str,
    below: str,
    buttons: tuple[Iterable[str], Iterable[str]],
) -> charts.Html:
    """The whole lab, in the order in which it appears on the page.

    Args:
        name: of the model.
        top, chart, below: markup that widgets show: between prompt and controls, beside the controls, below them.
        buttons: the labels of those beside the prompt, and of those below everything.
    """
    # Half of a character pair, which a browser may send, cannot be sent back as text.
    prompt = prompt.encode("utf-8", "replace").decode("utf-8")
    note = say(
        "サンプリング実験室（ここは静止画です。セルを実行すると、動かせます）",
        "Sampling lab (a still picture: run the cell to use it)",
    )
    shown = prompt if len(prompt) <= 400 else f"{prompt[:400]}…"
    parts = [
        f"<div><b>{escape(note)}</b></div>",
        f'<div style="display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:4px 0">prompt '
        f'<span style="flex:1 1 300px;{BORDER};padding:4px 8px">{escape(shown)}</span> '
        f"{_labels(buttons[0])}</div>",
        *(f"<div>{picture}</div>" for picture in top if picture),
        '<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin:6px 0">'
        f'<div style="flex:1 1 23em;min-width:0">{_settings(controls)}</div>'
        f'<div style="flex:2 1 25em;min-width:0">{chart}</div></div>',
        f"<div>{below}</div>" if below else "",
        f'<div style="display:flex;flex-wrap:wrap;gap:6px;margin:6px 0">{_labels(buttons[1])}</div>',
    ]
    return charts.Html("".join(parts), f"SamplingLab({name}): {prompt[:40]}")


def _labels(texts: Iterable[str]) -> str:
    look = f"{BORDER};border-radius:3px;padding:3px 10px;white-space:nowrap"
    return " ".join(f'<span style="{look}">{escape(text)}</span>' for text in texts)


def _settings(controls: Controls) -> str:
    """Presets, do_sample, and each setting with its value and where its slider stands."""
    presets = _labels(button.description for button in controls.preset_buttons)
    check = "☑" if controls.do_sample_box.value else "☐"
    rows = []
    for name, box in controls.boxes.items():
        slider = controls.sliders[name]
        place = round(STEPS * slider.value / max(1, slider.max))
        rows.append([name, box.value, "━" * place + "●" + "─" * (STEPS - place)])
    header = [say("設定", "setting"), say("値", "value"), say("スライダー", "slider")]
    table = charts.table(rows, header, align=["right", "right", "left"])
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:6px;align-items:center">{presets} {check} do_sample</div>'
        f"<div>{controls.note.value}</div>{table}"
    )
