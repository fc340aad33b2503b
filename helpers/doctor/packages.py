"""What is installed: versions against ranges, widgets whose halves fit, a font for graphs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from helpers import OPENING_LINE
from helpers.doctor.finding import NG, NOTE, OK, Finding, install_again, on_colab
from helpers.environment import REQUIREMENTS, canonical_name
from helpers.language import say

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "yukiguni-notebooks"
# The lessons work without these; the sentence says when they are needed.
OPTIONAL = {
    "ctranslate2": (
        "CPU で速く書かせるときだけ使います。レッスン 04 では、なければネットワークから入れます。",
        "only for faster text on a CPU; lesson 04 installs it if it is missing.",
    ),
    "jupyterlab": (
        "make lab で使います。Colab と VS Code では要りません。",
        "needed for make lab; not on Colab or in VS Code.",
    ),
}
# ipywidgets has its other half in the browser, brought by two packages: the major versions that fit each other.
# With ipywidgets 7 pip installs jupyterlab-widgets 3, which its metadata allows, and JupyterLab then shows nothing.
WIDGET_MAJORS = (
    {"ipywidgets": "8", "jupyterlab-widgets": "3", "widgetsnbextension": "4"},
    {"ipywidgets": "7", "jupyterlab-widgets": "1", "widgetsnbextension": "3"},
)


def check_packages() -> Iterator[Finding]:
    tested = _tested_versions()
    if not tested:
        yield Finding(
            "tested",
            NOTE,
            say("constraints.txt がありません。", "there is no constraints.txt."),
            say(
                "試した版とくらべるには、教材のフォルダーで実行してください。",
                "to compare with the tested versions, run this in the folder of the repository.",
            ),
        )
    for requirement in _requirements():
        yield _package(requirement, tested.get(canonical_name(requirement.name)))


def _package(requirement: Requirement, tested: str | None) -> Finding:
    name = requirement.name
    limits = ",".join(sorted(map(str, requirement.specifier), reverse=True))
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        installed = None
    shown = installed or say("ありません", "missing")
    found = say(f"{shown}（範囲 {limits}", f"{shown} (range {limits}")
    if tested:
        found += say(f"、試した版 {tested}", f"; tested {tested}")
    found += say("）", ")")
    values = {"installed": installed, "range": limits, "tested": tested}
    if installed is None and name in OPTIONAL:
        return Finding(name, NOTE, found, say(*OPTIONAL[name]), values)
    if installed is None or not requirement.specifier.contains(installed, prereleases=True):
        return Finding(name, NG, found, install_again(), values)
    return Finding(name, OK, found, values=values)


def _requirements() -> list[Requirement]:
    """What the lessons need and what they can use: from the checkout, or from the installed package."""
    import tomllib

    from packaging.requirements import Requirement

    if REQUIREMENTS.exists():
        lines = re.sub("#.*", "", REQUIREMENTS.read_text(encoding="utf-8")).split("\n")
        project = tomllib.loads(
            REQUIREMENTS.with_name("pyproject.toml").read_text(encoding="utf-8")
        )
        lines += project["project"]["optional-dependencies"]["ctranslate2"]
        return [Requirement(line) for line in lines if line.strip()]
    every = map(Requirement, metadata.requires(PROJECT) or [])
    return [r for r in every if r.marker is None or r.marker.evaluate({"extra": "ctranslate2"})]


def _tested_versions() -> dict[str, str]:
    constraints = REQUIREMENTS.with_name("constraints.txt")
    if not constraints.exists():
        return {}  # helpers was installed as a package: the pins stay in the repository.
    text = constraints.read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.MULTILINE)
    return {canonical_name(name): version for name, version in pins}


def check_widgets() -> Finding:
    versions: dict[str, str] = {}
    for name in ("ipywidgets", "jupyterlab-widgets", "widgetsnbextension"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "-"
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    if on_colab():
        found = say(
            f"ipywidgets {versions['ipywidgets']}（Colab の画面）",
            f"ipywidgets {versions['ipywidgets']} in Colab's own interface",
        )
        return Finding("widgets", OK, found, values={**versions})
    majors = {name: version.partition(".")[0] for name, version in versions.items()}
    if majors in WIDGET_MAJORS:
        return Finding("widgets", OK, found, values={**versions})
    step = say(
        f"版が合わず、表示されません。Jupyter を終了してください。{install_again()}",
        f"these versions do not work together, and sliders would not appear: close Jupyter, then {install_again()}",
    )
    return Finding("widgets", NG, found, step, {**versions})


def check_font() -> Finding:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from helpers.charts import use_japanese_font

    with matplotlib.rc_context(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use_japanese_font()
        figure = Figure()
        figure.text(0.1, 0.5, OPENING_LINE)
        FigureCanvasAgg(figure).draw()
        family = matplotlib.rcParams["font.family"][0]
    lacking = {str(warning.message) for warning in caught if "Glyph" in str(warning.message)}
    if not lacking:
        return Finding("font", OK, say(f"{family} で描けます。", f"drawn with {family}."))
    found = say(
        f"{len(lacking)} 種類の文字が四角になります。",
        f"{len(lacking)} characters are drawn as boxes.",
    )
    step = say(
        "python -m pip install --force-reinstall --no-deps matplotlib-fontja を実行してください。",
        "run python -m pip install --force-reinstall --no-deps matplotlib-fontja.",
    )
    return Finding("font", NG, found, step)
