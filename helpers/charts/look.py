"""Colours, words and numbers of every picture: here and nowhere else; the page in the browser uses them too."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from unicodedata import east_asian_width

from helpers.language import say

ROOT = "max-width:100%;line-height:1.5;overflow-wrap:anywhere"
# What is too wide scrolls, and does not make the page wider: a width of 0 asks for nothing, and fills 100%.
SCROLL = "overflow-x:auto;width:0;min-width:100%;box-sizing:border-box"
CELL = "padding:1px 6px;vertical-align:middle;border:0;"
# JupyterLab and nbconvert give every column of a table the same width, whatever is in it.
TABLE = "border-collapse:collapse;table-layout:auto;margin:0;"
BORDER = "border:1px solid rgba(128,128,128,.6)"
DARK_TEXT = "color:#1a1a1a"
CHIP_COLOURS = ("#cfe3ff", "#ffe0b8", "#d5f0d0", "#f6d3e6", "#e4dbf7", "#f3ecb4")
# A zone's colour stands out from white and from black alike (3:1 or more); its hatch distinguishes it without colour.
ZONE_COLOURS = {
    None: "#3b82c4",
    "top_p": "#c2711a",
    "top_k": "#8b6fb3",
    "min_length": "#808080",
}
HATCH_ANGLES = {"top_p": "45deg", "top_k": "-45deg", "min_length": "90deg"}
# Any other setting that cuts tokens looks like min_length.
OTHER_ZONE = "min_length"
# What needs attention: dark red, readable on white.
WARNING = "#b00020"
GHOST = "background:rgba(128,128,128,.45)"
# From likely to surprising: the least probability, the background, the underline that says the same.
SURPRISE = (
    (0.5, "#d9ecff", "none"),
    (0.2, "#d5f0d0", "solid"),
    (0.05, "#f7efb2", "dotted"),
    (0.01, "#ffdcae", "dashed"),
    (0.0, "#ffcfcf", "wavy"),
)


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
    if math.isnan(value):
        # An engine that was cut off in mid-text no longer knows it.
        return "?"
    if value == 0:
        return "0%"
    if value < 0.001:
        return "<0.001%"
    return f"{float(f'{value:.3g}'):.3f}".rstrip("0").rstrip(".") + "%"


def percents(probabilities: Iterable[float]) -> list[str]:
    """A column of probabilities (0 to 1): all with the same number of decimals, never a false zero."""
    values = [probability * 100 for probability in probabilities]
    if all(value == round(value) for value in values):
        return [f"{value:.0f}%" for value in values]
    decimals = 2 if any(0 < value < 0.05 for value in values) else 1
    unit = 10**-decimals
    return [
        "0%" if value == 0 else f"<{unit}%" if value < unit / 2 else f"{value:.{decimals}f}%"
        for value in values
    ]


def number(value: float) -> str:
    """A number with three significant digits at most, thousands separated."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def numbers(values: Iterable[float]) -> list[str]:
    """A column of numbers: three significant digits at most, all with the same number of decimals."""
    rounded = [float(f"{value:.3g}") for value in values]
    needed = [len(f"{value:.10f}".rstrip("0").partition(".")[2]) for value in rounded]
    # What the greatest does not need, the others can do without, if it makes none of them 0.
    greatest = max(map(abs, rounded), default=0.0)
    enough = 0 if greatest >= 100 else 1 if greatest >= 10 else 2
    least = min((abs(value) for value in rounded if value), default=1.0)
    enough = max(enough, math.ceil(-math.log10(least)))
    decimals = min(max(needed, default=0), enough)
    return [f"{value:,.{decimals}f}" for value in rounded]


def token_name(piece: str) -> str:
    """A token as a row of a chart is called: a lone `▁`, which nobody can read, by what it is."""
    return say("␣ 空白", "␣ space") if piece == "▁" else piece


def label_style(label: str) -> str:
    """How a row's label breaks: a short one never, a long one nowhere narrower than a short one is wide."""
    columns = sum(2 if east_asian_width(character) in "WF" else 1 for character in label)
    return "white-space:nowrap" if columns <= 28 else "white-space:normal;min-width:11em"


def scrolling(label: str, style: str = "") -> str:
    """The attributes of a box that scrolls: the keyboard reaches it, and a screen reader has a name for it."""
    return f'role="group" tabindex="0" aria-label="{escape(label)}" style="{style}{SCROLL}"'


def drawing(svg: str, alt: str, style: str) -> str:
    """An SVG as an image: where markup is cleaned, as on GitHub, SVG loses its lines and leaves its letters behind."""
    data = b64encode(svg.encode("utf-8")).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}" style="{style}">'


def markup(value: object) -> str:
    """A value as markup: escaped, unless it is markup."""
    return str(value) if isinstance(value, Html) else escape(str(value))


def zone_label(zone: str | None) -> str:
    """What happens to a token: it is kept, or the setting of this name cuts it."""
    return say("残る", "kept") if zone is None else f"✂ {zone}"


def zone_fill(zone: str | None, opacity: float = 1) -> str:
    """The background of a zone: plain for what is kept, hatched for what is cut.

    JupyterLab shows an output that it does not trust, as of a notebook just copied, without the hatch: the colour stays.
    """
    if zone is None:
        return f"background:{ZONE_COLOURS[None]};opacity:{opacity}"
    like = zone if zone in ZONE_COLOURS else OTHER_ZONE
    colour, angle = ZONE_COLOURS[like], HATCH_ANGLES[like]
    hatch = f"repeating-linear-gradient({angle},transparent 0 3px,rgba(255,255,255,.65) 3px 6px)"
    return f"background-color:{colour};background-image:{hatch}"


def surprise_level(probability: float) -> int:
    """The index in SURPRISE of a probability (0 to 1)."""
    return next(i for i, (least, _, _) in enumerate(SURPRISE) if probability >= least)


def surprise_style(level: int) -> str:
    """The background and the underline of a level of SURPRISE."""
    _, background, line = SURPRISE[level]
    underline = (
        ""
        if line == "none"
        else f";text-decoration:underline {line} #555;text-underline-offset:3px"
    )
    return f"background:{background};{DARK_TEXT}{underline}"


def surprise_legend() -> str:
    """A line that says what the marks in a text mean."""
    caption = say("モデルがそのトークンに与えた確率", "the probability the model gave each token")
    samples = []
    for level, (least, _, _) in enumerate(SURPRISE):
        label = (
            say(f"{least:.0%} 以上", f"{least:.0%} or more")
            if least
            else say(f"{SURPRISE[-2][0]:.0%} 未満", f"under {SURPRISE[-2][0]:.0%}")
        )
        samples.append(f'<span style="{surprise_style(level)};padding:0 4px">{label}</span>')
    return f"<div><small>{caption}: {' '.join(samples)}</small></div>"
