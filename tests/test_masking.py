"""Words that a school would not project: `pytest tests/test_masking.py` (a second)."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.masking import SIGN, find_words, mask_words, words_to_mask

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("島の土人が船を見た。", ["土人"]),
        ("本土人も郷土人も、土人形を買った。", []),
        ("本土人が土人と言った。", ["土人"]),
        ("きちがい沙汰だ。", ["きちがい"]),
        ("道で行きちがいになった。", []),
        ("天気違いなものか、気違いだ。", ["気違"]),
        ("かたわらの椅子", []),
        ("かたわ者のかたわら", ["かたわ"]),
        ("頁をめくらない", []),
        ("彼は唖然とした", []),
        ("おみなえしは女郎花と書く", []),
        ("非人間的な、非人", ["非人"]),
        ("朝鮮人参", []),
        ("雪国の駅", []),
        ("", []),
    ],
)
def test_a_word_is_found_where_it_is_one(text, words):
    found = find_words(text)
    assert [one.word for one in found] == words
    assert all(text[one.start : one.end] == one.word for one in found)


def test_a_mask_keeps_the_length_and_the_rest():
    assert mask_words("本土人と土人と乞食。") == f"本土人と{SIGN * 2}と{SIGN * 2}。"
    assert mask_words("土人", "〇") == "〇〇"


@example(["かたわ", "かたわ"])
@given(st.lists(st.sampled_from([*words_to_mask(), "雪国", "、", "本", "形", "ら"]), max_size=8))
def test_nothing_is_left_behind_a_mask(parts):
    text = "".join(parts)
    masked = mask_words(text)
    assert len(masked) == len(text) and not find_words(masked)


def test_the_list_is_in_order():
    lines = (ROOT / "helpers" / "words_to_mask.txt").read_text("utf-8").split("\n")
    entries = [line.split() for line in lines if line and not line.startswith("#")]
    assert len({entry[0] for entry in entries}) == len(entries) == len(words_to_mask()) > 100
    for word, *innocent in entries:
        assert all(word in longer and word != longer for longer in innocent), word
        assert len(set(innocent)) == len(innocent), word


def test_the_page_of_samples_can_be_projected():
    assert find_words((ROOT / "training" / "samples.md").read_text("utf-8")) == []
