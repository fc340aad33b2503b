"""The charts as a page shows a cell's output: `python -m pytest tests/test_figures.py` (a browser, no JupyterLab).

nbconvert's page carries JupyterLab's own styles, which give every column of a table the same width. GitHub takes all
styles away. Pictures of what was seen are left in test-results/figures.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page

from helpers import OPENING_LINE, charts
from helpers.language import set_language
from helpers.models import load_model
from helpers.sampling import SamplingSettings, next_token_distribution
from tools.project import ROOT

# A wide page, a tablet and a phone, in pixels.
WIDTHS = (1200, 768, 390)
STYLES = [("lab", "light"), ("lab", "dark"), ("classic", "light")]


@pytest.fixture(scope="module")
def figures() -> dict[str, charts.Html]:
    """Each kind of chart whose bars are compared, Japanese and with long labels."""
    set_language("ja")
    lm = load_model("aozora-mini", device="cpu")
    settings = SamplingSettings(min_length=0)
    distribution = next_token_distribution(lm, OPENING_LINE, settings)
    ids = distribution.token_ids[:3].tolist()
    labels = ["top_p だけでも 500 個以内", "top_k が先に切る", "両方", "どちらも効かない"]
    return {
        "distribution": charts.distribution_chart(distribution, 10),
        "drawn": charts.distribution_chart(
            distribution, 10, dict(zip(ids, (60, 30, 10), strict=True))
        ),
        "plain": charts.distribution_chart(distribution, 10, plain=True),
        "bars": charts.bar_chart(labels, [29, 3, 1.5, 0.2], unit="ステップ", highlight=0),
        "before": charts.bar_chart(["降る", "積もる"], [0.6, 0.4], unit="%", before=[0.5, 0.3]),
    }


def open_page(page: Page, figures: dict[str, charts.Html], template: str, theme: str) -> None:
    cells = []
    for name, figure in figures.items():
        cell = nbformat.v4.new_code_cell(name)
        data = {"text/html": str(figure), "text/plain": repr(figure)}
        cell.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=1)]
        cells.append(cell)
    notebook = nbformat.v4.new_notebook(cells=cells)
    html, _ = HTMLExporter(template_name=template, theme=theme).from_notebook_node(notebook)
    # Nothing is fetched: its scripts are for formulas and widgets.
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.set_content(re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))


# For each table of a figure: its width; for each row its label, the width of the cell of the bars and of each bar in it,
# and whether two of its cells' texts lie over each other.
_TABLES = """() => [...document.querySelectorAll("table")].map(table => ({
    width: table.getBoundingClientRect().width,
    rows: [...table.querySelectorAll("tbody tr")].map(row => {
        const cells = [...row.children];
        const bars = cells.find(cell => cell.querySelector("div") || cell.innerText.trim() === "⋯" || cell.innerText === "");
        const texts = cells.filter(cell => cell.innerText.trim()).map(cell => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return range.getBoundingClientRect();
        });
        const bar = bars.getBoundingClientRect();
        const boxes = [...texts, ...[...bars.querySelectorAll("div")].map(div => div.getBoundingClientRect())];
        return {
            label: cells[0].innerText.trim(),
            cell: bar.width,
            bars: [...bars.querySelectorAll("div")].map(div => div.getBoundingClientRect().width),
            overlap: texts.some((a, i) => texts.some((b, j) => i < j && a.left < b.right - 0.5 && b.left < a.right - 0.5))
                || [...bars.querySelectorAll("div")].some(div => div.getBoundingClientRect().right > bar.right + 0.5),
        };
    }),
}))"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("template", "theme"), STYLES)
def test_bars_use_their_width_and_nothing_lies_over_anything(page, figures, template, theme, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, figures, template, theme)
    folder = Path(ROOT / "test-results" / "figures")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{template}-{theme}-{width}.png", full_page=True)
    tables = page.evaluate(_TABLES)
    assert len(tables) == len(figures)
    for name, table in zip(figures, tables, strict=True):
        rows = table["rows"]
        assert [row["label"] for row in rows if row["overlap"]] == [], name
        longest = max(max(row["bars"], default=0) for row in rows)
        # The longest bar fills its cell but for the padding; on a wide page that is more than half of the table.
        assert longest >= rows[0]["cell"] - 30 and longest >= 50, name
        if width == 1200:
            assert longest > table["width"] / 2, name
    # What is too wide scrolls in a box of its own, and makes no output wider than the page has room for.
    output = ".jp-OutputArea-output, .output_subarea"
    overflows = "areas => areas.filter(area => area.scrollWidth > area.clientWidth + 1).length"
    assert page.locator(output).evaluate_all(overflows) == 0


def test_the_lengths_of_bars_are_the_numbers_beside_them(page, figures):
    open_page(page, figures, "lab", "light")
    tables = dict(zip(figures, page.evaluate(_TABLES), strict=True))
    plain = {row["label"]: row["bars"] for row in tables["plain"]["rows"]}
    shown = dict(
        re.findall(r"<th scope=\"row\"[^>]*>([^<]*)</th>.*?>(\d+\.\d)%</td>", figures["plain"])
    )
    longest = max(bars[0] for bars in plain.values() if bars)
    greatest = max(float(value) for label, value in shown.items() if plain[label])
    for label, value in shown.items():
        if "合計" in label:
            assert plain[label] == []
        else:
            (bar,) = plain[label]
            # The number has one decimal.
            assert bar / longest == pytest.approx(
                float(value) / greatest, abs=0.06 / greatest * 1.5
            )


def test_without_any_style_the_numbers_and_bars_in_letters_are_there(page, figures):
    """As GitHub shows a notebook: tables and text."""
    page.set_content(re.sub(r' style="[^"]*"', "", figures["bars"]))
    rows = page.locator("tbody tr").all_inner_texts()
    assert [row.count("▇") for row in rows] == [20, 2, 1, 0]
    assert "▏" in rows[3] and all(re.search(r"\d ステップ", row) for row in rows)
