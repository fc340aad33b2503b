"""The pictures against numbers worked out by hand: `python -m pytest tests/test_charts.py`."""

import ast
import itertools
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lab_oracle import Percent, distribution_by_hand, table_rows, tags_of, text_of
from rinna_layout import make_model, raw

from helpers import charts
from helpers.charts import look
from helpers.language import set_language
from helpers.masking import SIGN, words_to_mask
from helpers.models import load_model
from helpers.sampling import (
    Generation,
    SamplingSettings,
    Sequence,
    Step,
    generate,
    next_token_distribution,
)

PROMPT = "雪の降る夜には"
ATTACK = "<script>alert(1)</script>&\"'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def lm(folder):
    return load_model(folder, device="cpu")


@pytest.fixture(autouse=True)
def japanese():
    set_language("ja")


def logits_of(lm, prompt):
    ids = lm.tokenizer.encode(prompt, add_special_tokens=False, return_tensors="pt")
    return lm.model(ids).logits[0, -1].detach().numpy()


@pytest.mark.parametrize(
    ("probability", "level"),
    [(1.0, 0), (0.5, 0), (0.4999, 1), (0.2, 1), (0.05, 2), (0.01, 3), (0.0099, 4), (0.0, 4)],
)
def test_a_limit_of_surprise_belongs_to_the_likelier_side(probability, level):
    assert look.surprise_level(probability) == level


@pytest.mark.parametrize(
    ("top_k", "top_p", "temperature"),
    [(0, 1.0, 1.0), (30, 0.8, 1.0), (9, 1.0, 0.5), (0, 0.6, 1.7), (500, 0.95, 1.0)],
)
def test_distribution_chart_shows_what_softmax_top_k_and_top_p_give(lm, top_k, top_p, temperature):
    settings = SamplingSettings(
        min_length=0, max_length=60, top_k=top_k, top_p=top_p, temperature=temperature
    )
    chart = charts.distribution_chart(next_token_distribution(lm, PROMPT, settings), top=12)
    expected = distribution_by_hand(logits_of(lm, PROMPT), temperature, top_k, top_p)
    rows = table_rows(chart)[1:]
    order = np.argsort(-expected.raw)
    zones = {None: "残る", "top_k": "✂ top_k", "top_p": "✂ top_p"}
    for row, token_id in zip(rows, order[:12].tolist(), strict=False):
        piece = lm.tokenizer.convert_ids_to_tokens(token_id)
        assert row[0] == piece
        assert row[2:] == [
            Percent(expected.raw[token_id]),
            Percent(expected.final[token_id]),
            zones[expected.cut_by[token_id]],
            str(token_id),
        ]
    # The rest is summed up, not hidden.
    tail = Counter(zones[expected.cut_by[i]] for i in order[12:].tolist())
    assert {row[4]: row[0] for row in rows[12:]} == {
        zone: f"ほか {n:,} 個の合計" for zone, n in tail.items()
    }
    for row in rows[12:]:
        ids = [i for i in order[12:].tolist() if zones[expected.cut_by[i]] == row[4]]
        assert row[2] == Percent(expected.raw[ids].sum())
        assert row[3] == Percent(expected.final[ids].sum())
    text = text_of(chart)
    cut = Counter(expected.cut_by)
    assert f"top_k が {cut['top_k']} 個、top_p が {cut['top_p']} 個を除外" in text
    assert f"残り {cut[None]} 個" in text
    # The strip of the whole vocabulary, and the sentence on both, speak of the model's own probabilities.
    share = {zone: expected.raw[[c == zone for c in expected.cut_by]].sum() for zone in cut}
    said = text.partition("モデルの確率の合計: ")[2]
    for zone, name in zones.items():
        if zone in cut:
            assert re.search(rf"{name} (<?[\d.]+%)", said)[1] == Percent(share[zone])
    decimals = {len(each) for each in re.findall(r"\.(\d+)%", said.partition("語彙")[0])}
    assert len(decimals) < 2, "One number of decimals, as in the column below."
    both = re.search(r"top_k がモデルの確率の (\S+) を切り", text)
    assert bool(both) == ({"top_k", "top_p"} <= set(cut))
    if both:
        assert both[1] == Percent(share["top_k"])
    p = expected.final[expected.final > 0]
    bits = -(p * np.log2(p)).sum()
    assert f"エントロピー {charts.number(bits)} bit" in text
    assert f"実質 {charts.number(2**bits)} 択" in text
    bits = -(expected.raw * np.log2(expected.raw)).sum()
    assert f"（設定前 {charts.number(bits)}）" in text
    assert f"（設定前 {charts.number(2**bits)} 択）" in text


@pytest.mark.parametrize(
    ("top_k", "top_p", "sentence"),
    [
        (0, 1.0, "top_k も top_p も効いていない"),
        (5, 1.0, "効いているのは top_k"),
        (0, 0.5, "効いているのは top_p（top_k は何も除外していない）"),
        (60, 0.5, "両方が効いている（top_k がモデルの確率の"),
        (1, 0.99, "効いているのは top_k（top_p は何も除外していない）"),
    ],
)
def test_distribution_chart_says_which_setting_decides(lm, top_k, top_p, sentence):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=top_k, top_p=top_p)
    assert sentence in text_of(
        charts.distribution_chart(next_token_distribution(lm, PROMPT, settings))
    )


def test_min_length_is_named_as_what_removes_the_end_token(lm):
    settings = SamplingSettings(min_length=30, max_length=60, top_k=0, top_p=1.0)
    chart = charts.distribution_chart(next_token_distribution(lm, PROMPT, settings), top=200)
    (end,) = [row for row in table_rows(chart) if row[0] == "</s>"]
    assert end[3:5] == ["0%", "✂ min_length"]
    assert "min_length により </s> も除外" in text_of(chart)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_observed_counts_stand_beside_the_expected_ones(lm, temperature):
    settings = SamplingSettings(
        min_length=0, max_length=60, top_k=0, top_p=1.0, temperature=temperature
    )
    distribution = next_token_distribution(lm, PROMPT, settings)
    expected = distribution_by_hand(logits_of(lm, PROMPT), temperature)
    first, second, *_, last = np.argsort(-expected.raw).tolist()
    rows = table_rows(charts.distribution_chart(distribution, top=2, counts={first: 30, last: 70}))
    rest = 1 - expected.final[first] - expected.final[second]
    shown = [tuple(map(float, row[4].split(" → "))) for row in rows[1:]]
    # Expected counts have one decimal here, as the greatest has two digits before it.
    wanted = [(expected.final[first], 30), (expected.final[second], 0), (rest, 70)]
    for (guess, seen), (probability, drawn) in zip(shown, wanted, strict=True):
        assert guess == pytest.approx(100 * probability, abs=0.051) and seen == drawn


def bar_widths(chart) -> list[list[str]]:
    """The widths of the bars of each row, in percent of their cell."""
    rows = str(chart).split("<tbody>")[1].split("<tr>")[1:]
    return [re.findall(r'<div style="width:([\d.]+)%', row) for row in rows]


def test_bars_are_as_long_as_their_probabilities(lm):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=0, top_p=1.0)
    distribution = next_token_distribution(lm, PROMPT, settings)
    expected = np.sort(distribution_by_hand(logits_of(lm, PROMPT)).raw)[::-1]
    widths = bar_widths(charts.distribution_chart(distribution, top=6))
    # Above the model's own, below what is drawn from: here the same.
    assert widths[:6] == [[f"{100 * p / expected[0]:.1f}"] * 2 for p in expected[:6]]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("counts", [None, {0: 50}])
def test_a_sum_of_many_tokens_has_no_bar_and_the_legend_says_so(lm, plain, counts):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=30, top_p=0.8)
    distribution = next_token_distribution(lm, PROMPT, settings)
    chart = charts.distribution_chart(distribution, 4, counts, plain=plain)
    rows = table_rows(chart)[1:]
    sums = [i for i, row in enumerate(rows) if "合計" in row[0]]
    assert sums == list(range(4, len(rows))) and len(sums) == (1 if plain else 3)
    assert [bar_widths(chart)[i] for i in sums] == [[]] * len(sums)
    assert {rows[i][1] for i in sums} == {"⋯"} and "⋯ の行は合計" in text_of(chart)
    everything = charts.distribution_chart(distribution, 1000, plain=plain)
    assert "⋯" not in text_of(everything)


def test_a_plain_chart_shows_the_models_probabilities_and_no_setting(lm):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=3, temperature=0.5)
    chart = charts.distribution_chart(
        next_token_distribution(lm, PROMPT, settings), top=5, plain=True
    )
    expected = distribution_by_hand(logits_of(lm, PROMPT)).raw
    order = np.argsort(-expected)
    head, *rows = table_rows(chart)
    assert head == ["トークン", "確率", "", "id"]
    assert [row[3] for row in rows] == [*map(str, order[:5]), ""]
    assert [row[2] for row in rows] == [
        *(Percent(expected[i]) for i in order[:5]),
        Percent(expected[order[5:]].sum()),
    ]
    for word in ("top_k", "top_p", "設定", "エントロピー", "✂", "repeating-linear"):
        assert word not in chart


def test_two_charts_can_share_one_scale(lm):
    steep = next_token_distribution(lm, PROMPT, SamplingSettings(max_length=60, min_length=0))
    widths = [bar_widths(charts.distribution_chart(steep, 3, maximum=m))[0][0] for m in (0.5, 1.0)]
    # A width is rounded to a tenth.
    assert float(widths[0]) == pytest.approx(2 * float(widths[1]), abs=0.15)
    chart = charts.bar_chart(["雪"], [0.25], unit="%", maximum=1.0)
    assert bar_widths(chart) == [["25.0"]]


def test_values_before_stand_as_grey_bars_on_the_same_scale():
    chart = charts.bar_chart(["雪", "山"], [0.5, 0.0], unit="%", before=[0.4, 0.1])
    assert bar_widths(chart) == [["80.0", "100.0"], ["20.0"]]
    fallen = charts.bar_chart(["雪", "山"], [0.3, 0.1], unit="%", before=[0.6, 0.3])
    assert bar_widths(fallen) == [["100.0", "50.0"], ["50.0", "16.7"]]
    assert "前の値" in text_of(chart)
    assert "前の値" not in text_of(charts.bar_chart(["雪"], [0.5], unit="%"))


def test_a_page_that_takes_styles_away_still_has_bars():
    rows = table_rows(charts.bar_chart(["雪", "山", "川", "海"], [1.0, 0.5, 0.001, 0.0]))
    assert [row[2] for row in rows] == ["▇" * 20, "▇" * 10, "▏", ""]


@pytest.mark.parametrize("zone", ["top_p", "top_k", "min_length", "another"])
def test_what_is_cut_keeps_its_colour_where_the_hatch_is_taken_away(zone):
    """As JupyterLab does with the outputs of a notebook that it does not trust: it takes images out of styles."""
    plain = [part for part in look.zone_fill(zone).split(";") if "gradient" not in part]
    colour = look.ZONE_COLOURS.get(zone, look.ZONE_COLOURS[look.OTHER_ZONE])
    assert plain == [f"background-color:{colour}"]


def test_a_setting_of_another_name_that_cuts_is_shown_under_it(lm):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=0, top_p=1.0)
    distribution = next_token_distribution(lm, PROMPT, settings)
    mask = distribution.token_ids == distribution.token_ids[1]
    final = distribution.final.where(~mask, 0)
    own = replace(distribution, cut={"no_repeat_ngram_size": mask}, final=final / final.sum())
    chart = charts.distribution_chart(own, top=3)
    assert [row[4] for row in table_rows(chart)[1:4]] == ["残る", "✂ no_repeat_ngram_size", "残る"]
    assert "no_repeat_ngram_size により 1 個も除外" in text_of(chart)


WORD = next(iter(words_to_mask()))


@pytest.mark.parametrize("cut", range(1, len(WORD)))
def test_a_listed_word_is_covered_whole_wherever_tokens_end_and_nothing_else_is(cut):
    pieces = ["昔", "山に", WORD[:cut], WORD[cut:], "がいて", "、"]
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: [pieces[i] for i in ids])
    steps = [Step(i, 0.5, 0.5) for i in range(1, 6)]
    sequence = Sequence("", list(range(6)), "user", steps)
    open_text = charts.probability_text(sequence, tokenizer)
    assert repr(open_text) == f"昔山に{WORD}がいて、" and "details" not in tags_of(open_text)
    masked = charts.probability_text(sequence, tokenizer, masked=True)
    assert repr(masked) == f"昔山に{SIGN * len(WORD)}がいて、"
    before, rest = str(masked).split("<details")
    inside, after = rest.split("</details>")
    assert text_of(before) == "昔山に"
    # The cover first, and below it the word, as the tokens that it is made of.
    cover, hidden = inside.split("</summary>")
    assert cover.endswith(SIGN * len(WORD)) and text_of(hidden) == WORD
    assert text_of(after).startswith("がいて、")


def test_all_texts_can_be_masked_and_a_prompt_is_not():
    assert WORD not in charts.plain_text("昔", WORD, masked=True).split("<summary")[0]
    assert repr(charts.plain_text("昔", f"山{WORD}", masked=True)) == f"昔山{SIGN * len(WORD)}"
    assert repr(charts.vertical_text(f"山{WORD}", masked=True)) == f"山{SIGN * len(WORD)}"
    # What was typed stays as it was typed; a word that goes on in the text is covered there.
    assert repr(charts.plain_text(WORD, "がいた", masked=True)) == f"{WORD}がいた"
    half = charts.plain_text(WORD[:1], WORD[1:], masked=True)
    assert repr(half) == WORD[:1] + SIGN * (len(WORD) - 1)


def test_a_lone_space_is_named(lm):
    assert look.token_name("▁") == "␣ 空白" and look.token_name("▁雪") == "▁雪"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.231, 0.101, 0.0722], ["23.1%", "10.1%", "7.2%"]),
        ([0.75, 0.25, 0], ["75%", "25%", "0%"]),
        ([0.5, 0.0004], ["50.00%", "0.04%"]),
        ([0.5004, 1e-9], ["50.04%", "<0.01%"]),
        ([0.5, 0.12345], ["50.0%", "12.3%"]),
        ([0.99, 0.0096, 0], ["99.0%", "1.0%", "0%"]),
        ([0.5, 0.0007], ["50.0%", "0.1%"]),
    ],
)
def test_percentages_in_a_column_have_the_same_decimals_and_none_is_a_false_zero(values, shown):
    assert look.percents(values) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([574, 486.2, 29.55], ["574", "486", "30"]),
        ([4.1, 0.00666], ["4.100", "0.007"]),
        ([1234.5, 2.5], ["1,230", "2"]),
        ([2, 3], ["2", "3"]),
        ([0.5, 0.25], ["0.50", "0.25"]),
        ([0, 0], ["0", "0"]),
    ],
)
def test_numbers_in_a_column_have_the_same_decimals_and_none_is_a_false_zero(values, shown):
    assert look.numbers(values) == shown


def test_token_chips_carry_sentencepieces_ids_and_name_the_unknown(lm, folder):
    text = "雪国𠮷の①"
    chips = charts.token_chips(lm.tokenizer, text)
    sp = raw(folder)
    words = text_of(chips).split()
    for piece, token_id in zip(sp.encode(text, out_type=str), sp.encode(text), strict=True):
        assert piece in words
        assert str(token_id) in words
    assert text_of(chips).count("未知") == sp.encode(text).count(sp.unk_id()) == 1
    assert str(chips).count("dashed") == 1
    assert repr(chips).startswith(f"{len(sp.encode(text))} トークン: ▁(")


def test_token_chips_show_the_first_of_many_and_count_all(lm):
    chips = charts.token_chips(lm.tokenizer, "雪の夜" * 1000, limit=5)
    assert text_of(chips).count("雪") <= 5
    assert f"{len(lm.tokenizer.encode('雪の夜' * 1000)) - 1:,} トークン" in text_of(chips)


def test_probability_text_marks_each_new_token(lm):
    ids = lm.tokenizer.encode("雪の夜", add_special_tokens=False)
    new = lm.tokenizer.convert_tokens_to_ids(["山", "の", "国"])
    steps = [Step(new[0], 0.6, 1.0), Step(new[1], 0.07, 0.08), Step(new[2], 0.001, 0.002)]
    html = charts.probability_text(Sequence("", ids + new, "user", steps), lm.tokenizer)
    text = str(html)
    assert "山 (id" in text and "モデル 60%、設定後 100%" in text
    assert "モデル 7%、設定後 8%" in text and "モデル 0.1%、設定後 0.2%" in text
    # Without colour the underline tells: none for the likely, wavy for the surprising.
    spans = {part[-1]: part for part in text.split("</span>")[:3]}
    assert "underline" not in spans["山"]
    assert "dotted" in spans["の"] and "wavy" in spans["国"]
    assert text_of(html).startswith("雪の夜山の国")
    assert repr(html) == "雪の夜山の国"


def test_nothing_shown_becomes_markup(lm):
    tokenizer = lm.tokenizer
    sequence = generate(lm, PROMPT, SamplingSettings(max_length=20, min_length=0, seed=1)).sequences
    generation = Generation(ATTACK, SamplingSettings(), sequence)
    pictures = [
        charts.token_chips(tokenizer, ATTACK),
        charts.table([[ATTACK]], [ATTACK], caption=ATTACK),
        charts.bar_chart([ATTACK], [1.0], title=ATTACK, unit=ATTACK),
        charts.plain_text(ATTACK, ATTACK),
        charts.cards([charts.plain_text(ATTACK, ATTACK)], [ATTACK]),
        charts.progress_bar(1, 2, ATTACK),
        charts.problem(ATTACK),
        charts.generation_cards(generation, tokenizer),
    ]
    for picture in pictures:
        assert "script" not in tags_of(picture)
        assert "<script" not in picture


def test_table_keeps_pictures_in_cells_and_aligns_columns(lm):
    chips = charts.token_chips(lm.tokenizer, "雪")
    html = charts.table(
        [["雪", 1], [chips, 2]], ["文", "数"], caption="表", align=["left", "right"]
    )
    assert table_rows(html)[:2] == [["文", "数"], ["雪", "1"]]
    assert str(chips) in html
    assert html.count("text-align:right") == 3
    assert repr(html) == f"表\n文 | 数\n雪 | 1\n{chips!r} | 2"
    with pytest.raises(ValueError, match="zip"):
        charts.table([["a"]], ["a", "b"])


def test_table_of_columns_puts_numbers_on_the_right():
    columns = {
        "語": ["雪", "山"],
        "数": [1, 23],
        "割合": ["<0.1%", "99.9%"],
        "量": ["—", "2.61 GB"],
    }
    html = charts.table(columns)
    assert table_rows(html)[:2] == [["語", "数", "割合", "量"], ["雪", "1", "<0.1%", "—"]]
    assert html.count("text-align:left") == 3
    assert html.count("text-align:right") == 9
    assert charts.table({"語": ["2 匹の猫が雪の中にいた"], "正": [True]}).count("right") == 0
    with pytest.raises(ValueError, match="zip"):
        charts.table({"a": [1], "b": [1, 2]})


def test_bar_chart_draws_from_zero_and_marks_one_bar():
    html = charts.bar_chart(["雪", "山"], [0.75, 0.25], "次の語", "%", highlight=1)
    assert [row[:2] for row in table_rows(html)] == [["雪", "75%"], ["▶ 山", "25%"]]
    # A value beyond the maximum of a scale fills its cell and does not leave it.
    assert bar_widths(charts.bar_chart(["雪"], [0.9], maximum=0.5)) == [["100.0"]]
    assert bar_widths(html) == [["100.0"], ["33.3"]]
    (row,) = table_rows(charts.bar_chart(["a"], [1234.5], unit="tokens/s"))
    assert row[:2] == ["a", "1,230 tokens/s"]
    assert "NaN" not in charts.bar_chart(["a", "b"], [0, 0])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.12345, "12.3%"),
        (0.5, "50%"),
        (1e-9, "<0.001%"),
        (0.00012, "0.012%"),
    ],
)
def test_percent(value, shown):
    assert charts.percent(value) == shown


def test_html_is_one_line_of_text_where_there_is_no_html(lm):
    html = charts.token_chips(lm.tokenizer, "雪")
    assert html._repr_html_() == str(html)
    assert "<" not in repr(html) and "\n" not in repr(html)


def test_pictures_speak_the_language_in_use(lm):
    settings = SamplingSettings(min_length=0, max_length=60)
    distribution = next_token_distribution(lm, PROMPT, settings)
    set_language("en")
    text = text_of(charts.distribution_chart(distribution, top=0))
    assert not [c for c in text if "ぁ" <= c <= "ヺ"]
    assert "Probability of the next token" in text


def test_matplotlib_writes_japanese_without_a_missing_glyph(tmp_path):
    charts.use_japanese_font()
    from matplotlib.figure import Figure

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = Figure()
        figure.text(0.1, 0.5, "国境の長い ▁ トンネル")
        figure.savefig(tmp_path / "figure.png")


@pytest.mark.process
def test_charts_load_neither_matplotlib_nor_torch():
    program = "import helpers.charts, sys; print({'matplotlib', 'torch'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout.strip() == "set()", output.stderr


@pytest.mark.parametrize(
    ("a", "b", "place"),
    [([1, 2, 3], [1, 2, 3], None), ([1, 2], [1, 3], 1), ([1, 2], [1, 2, 3], 2), ([], [], None)],
)
def test_first_difference(a, b, place):
    assert charts.first_difference(a, b) == place


def test_comparison_frames_the_first_token_that_differs(lm):
    start = lm.tokenizer.encode("雪の夜", add_special_tokens=False)
    ids = [lm.tokenizer.convert_tokens_to_ids(list(text)) for text in ("山の国", "山は国")]
    a, b = (Sequence("", start + new, "user", [Step(i, 0.5, 0.5) for i in new]) for new in ids)
    html = charts.comparison(a, b, lm.tokenizer)
    text = text_of(html)
    assert "最初の違い: 新しい 2 番目のトークン。A は「の」、B は「は」。" in text
    assert "雪の夜山【の】国" in text and "雪の夜山【は】国" in text
    assert "2 つの文章は同じです。" in text_of(charts.comparison(a, a, lm.tokenizer))
    shorter = Sequence("", a.token_ids[:-1], "user", a.steps[:-1])
    assert "B は「（終わり）」" in text_of(charts.comparison(a, shorter, lm.tokenizer))


def test_what_scrolls_is_reached_by_keyboard_and_has_a_name(lm):
    settings = SamplingSettings(min_length=0, max_length=60)
    pictures = {
        "次のトークンの確率": charts.distribution_chart(
            next_token_distribution(lm, PROMPT, settings)
        ),
        "3 番目": charts.distribution_chart(
            next_token_distribution(lm, PROMPT, settings), title="3 番目"
        ),
        "表": charts.table([["a"]], ["b"]),
        "&quot;題&quot;": charts.table([["a"]], ["b"], caption='"題"'),
        "縦書きの文章": charts.vertical_text("雪国"),
    }
    for name, picture in pictures.items():
        boxes = [tag for tag in re.findall(r"<div[^>]*>", picture) if "overflow-x:auto" in tag]
        assert len(boxes) == 1
        assert f'role="group" tabindex="0" aria-label="{name}"' in boxes[0]


def test_a_long_text_shows_what_normalisation_changed_in_it():
    text = "雪" * 500 + "①" + "山" * 500
    shown = text_of(charts.normalization(text, text.replace("①", "1"), limit=40))
    assert "雪1山" in shown and shown.count("…") == 2
    assert len(shown) < 80
    assert "…" not in charts.normalization("雪①", "雪1", limit=40)
    assert charts.normalization(text, text, limit=40) == ""


def test_the_tokens_kept_are_counted_even_where_their_probability_rounds_to_nothing(lm):
    settings = SamplingSettings(min_length=0, max_length=60, top_k=50, top_p=1.0, temperature=0.01)
    distribution = next_token_distribution(lm, PROMPT, settings)
    assert int((distribution.final > 0).sum()) < 50
    total = len(distribution.token_ids)
    text = text_of(charts.distribution_chart(distribution))
    assert f"top_k が {total - 50:,} 個、top_p が 0 個を除外 → 残り 50 個" in text


def test_problems_stand_one_below_the_other():
    html = charts.problem("一つ目。", "二つ目。")
    assert html.count("⚠") == 2 and html.count('role="alert"') == 1
    assert repr(html) == "⚠ 一つ目。 ⚠ 二つ目。"


def test_vertical_text_and_normalization_keep_the_text():
    html = charts.vertical_text("雪<国")
    assert text_of(html) == "雪<国" and "vertical-rl" in html
    assert charts.normalization("雪", "雪") == ""
    assert "1" in text_of(charts.normalization("①", "1"))


ROOT = Path(__file__).resolve().parent.parent
# Sentences of the lab in the browser that the notebook's lab has too.
SHARED = [
    "stop",
    "to_copy",
    "prompt_empty",
    "prompt_surrogate",
    "lengths_contradict",
    "bars_when_usable",
    "token_numbers",
    "ended_eos",
    "ended_max_length",
    "ended_user",
    "legend_title",
    "or_more",
    "under",
    "next_title",
    "one_token",
    "back",
    "guess",
    "draw_result",
    "end_drawn",
    "tokens_count",
    "tokens_shown",
    "tokens_unknown",
    "normalized",
    "compare_title",
    "compare_take",
    "compare_run",
    "compare_same",
    "compare_difference",
    "compare_end",
    "compare_settings",
    "probability",
]


def test_both_labs_say_the_same_in_the_same_words():
    """In both languages, whatever is filled in and however the sentence begins."""

    def template(node: ast.expr) -> str | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr):
            return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
        return None

    def plain(ja: str, en: str) -> tuple[str, str]:
        return ja, en[:1].lower() + en[1:]

    here = set()
    for file in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            parts = getattr(node, "args", None) or getattr(node, "elts", None)
            words = [template(part) for part in parts] if isinstance(parts, list) else []
            here |= {plain(ja, en) for ja, en in itertools.pairwise(words) if ja and en}
    page = (ROOT / "site" / "page" / "words.js").read_text(encoding="utf-8")
    quoted = r'"((?:[^"\\]|\\.)*)"'
    there = {
        name: plain(*(re.sub(r"\{\w+\}", "{}", words).replace(r"\"", '"') for words in pair))
        for name, *pair in re.findall(
            rf"^  (\w+): \[\s*{quoted},\s*{quoted},?\s*\]", page, re.MULTILINE
        )
    }
    assert [name for name in SHARED if there[name] not in here] == []
