"""The settings as controls: a number box and a slider each, do_sample, and the presets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import ipywidgets as widgets

from helpers.lab.parts import FITS, ROW, SLIDER, WIDE, button, note
from helpers.lab.presets import Preset, nearest, presets, scales
from helpers.language import say
from helpers.sampling import SamplingSettings


class Controls:
    """Holds the values of all settings, contradictions included.

    Args:
        n_positions: how many tokens a text can have.
        vocab_size: where top_k ends.
        moved: called when the reader has changed a setting; not for `set`.
        chosen: called with a preset when its button is clicked.
    """

    def __init__(
        self,
        n_positions: int,
        vocab_size: int,
        moved: Callable[[], None],
        chosen: Callable[[Preset], None],
    ) -> None:
        self._moved = moved
        self._changing = False
        self.boxes: dict[str, widgets.BoundedIntText | widgets.BoundedFloatText] = {}
        self.sliders: dict[str, widgets.IntSlider] = {}
        for name, (scale, low, high, step) in scales(n_positions, vocab_size).items():
            self._add(name, scale, low, high, step)
        self.do_sample_box = widgets.Checkbox(
            value=True, description="do_sample", indent=False, layout=WIDE
        )
        self.do_sample_box.observe(self._setting_changed, names="value")
        self.preset_buttons = [
            button(preset.name, partial(lambda preset, _: chosen(preset), preset))
            for preset in presets()
        ]
        self.note = widgets.HTML()
        pairs = [
            widgets.HBox([self.boxes[name], self.sliders[name]], layout=ROW) for name in self.boxes
        ]
        self.view = widgets.VBox(
            [
                widgets.HBox([*self.preset_buttons, self.do_sample_box], layout=ROW),
                self.note,
                *pairs,
            ],
            layout=WIDE,
        )

    def _add(
        self, name: str, scale: Sequence[float], low: float, high: float, step: float | None
    ) -> None:
        """A number box, which holds the value, and a slider over the steps of a scale.

        So top_k is as easy to move at 5 as at 5,000; a value typed between two steps stays, and the slider goes to
        the nearest.
        """
        look = {
            "description": name,
            "style": {"description_width": "155px"},
            "layout": {"width": "245px", "max_width": FITS, "flex": "0 0 auto"},
        }
        box = (
            widgets.BoundedIntText(low, min=low, max=high, **look)
            if step is None
            else widgets.BoundedFloatText(low, min=low, max=high, step=step, **look)
        )
        slider = widgets.IntSlider(0, min=0, max=len(scale) - 1, readout=False, layout=SLIDER)
        slider.observe(partial(self._slider_moved, box, scale), names="value")
        box.observe(partial(self._box_changed, slider, scale), names="value")
        self.boxes[name], self.sliders[name] = box, slider

    def values(self) -> dict[str, Any]:
        """What the controls say, in the order of the settings."""
        values = {name: box.value for name, box in self.boxes.items()}
        values["do_sample"] = self.do_sample_box.value
        return {field.name: values[field.name] for field in fields(SamplingSettings)}

    def set(self, settings: SamplingSettings, why: str | None = None) -> None:
        """Move all at once. `why` is shown, and what a control cannot be moved to. A seed of None becomes 0.

        Without a `why` it says which preset's settings these are.
        """
        wanted = asdict(settings)
        wanted["seed"] = wanted["seed"] or 0
        self._changing = True
        try:
            self.do_sample_box.value = wanted["do_sample"]
            for name, box in self.boxes.items():
                box.value = wanted[name]
        finally:
            self._changing = False
        moved = self.values()
        why = self._named() if why is None else why
        ends = [
            f"{name}: {value} → {moved[name]}"
            for name, value in wanted.items()
            if value != moved[name]
        ]
        if ends:
            limits = say(
                f"このモデルと実験室の上限・下限に合わせました（{'、'.join(ends)}）。",
                f"Adjusted to the limits of this model and the lab ({', '.join(ends)}).",
            )
            why = f"{why} {limits}".strip()
        self.note.value = note(why) if why else ""

    def _slider_moved(
        self, box: widgets.Widget, scale: Sequence[float], change: dict[str, Any]
    ) -> None:
        # A typed value between two steps moves the slider to the nearest: that must not move the value.
        if nearest(scale, box.value) != change["new"]:
            box.value = scale[change["new"]]

    def _box_changed(
        self, slider: widgets.IntSlider, scale: Sequence[float], change: dict[str, Any]
    ) -> None:
        slider.value = nearest(scale, change["new"])
        self._setting_changed(change)

    def _setting_changed(self, change: dict[str, Any]) -> None:
        if not self._changing:
            self.note.value = note(self._named())
            self._moved()

    def _named(self) -> str:
        """Which preset's settings these are, whatever the seed; or that they are not the article's."""
        values = self.values()
        for preset in presets():
            # As far as this model lets the controls go: a button moves them there, too.
            offered = asdict(preset.settings)
            for name, box in self.boxes.items():
                offered[name] = values[name] if name == "seed" else min(offered[name], box.max)
            if offered == values:
                return say(
                    f"「{preset.name}」と同じです（seed は {values['seed']}）。",
                    f"The same as “{preset.name}”, with seed {values['seed']}.",
                )
        return say(
            "記事とは違う設定です。「記事の設定」を押すと、記事と同じになります。",
            "Not the article’s settings; “the article” brings those back.",
        )
