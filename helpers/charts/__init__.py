"""Pictures as pure functions from values to HTML, in the reader's language.

The markup carries its styles in the elements and reads as tables and text where a page strips them, as GitHub
does. Text has the page's own colour, so light and dark themes both fit; where a background is set, so is the
text on it. What a colour says, a label or a hatch says too.
"""

from helpers.charts.components import bar_chart, cards, problem, progress_bar, table
from helpers.charts.distribution import distribution_chart
from helpers.charts.font import use_japanese_font
from helpers.charts.look import Html, number, percent, percents
from helpers.charts.texts import (
    comparison,
    first_difference,
    generation_cards,
    plain_text,
    probability_text,
    token_numbers,
    vertical_text,
)
from helpers.charts.tokens import chosen_chips, normalization, pieces_text, token_chips
from helpers.charts.training_curve import loss_curve

__all__ = [
    "Html",
    "bar_chart",
    "cards",
    "chosen_chips",
    "comparison",
    "distribution_chart",
    "first_difference",
    "generation_cards",
    "loss_curve",
    "normalization",
    "number",
    "percent",
    "percents",
    "pieces_text",
    "plain_text",
    "probability_text",
    "problem",
    "progress_bar",
    "table",
    "token_chips",
    "token_numbers",
    "use_japanese_font",
    "vertical_text",
]
