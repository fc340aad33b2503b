"""What the controls offer: settings with a name, and the steps of the sliders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from helpers.language import say
from helpers.settings import SamplingSettings

# JavaScript's numbers are exact to 2**53; a seed of 32 bits is enough to tell runs apart.
LARGEST_SEED = 2**32 - 1
MOST_SEQUENCES = 8


class Preset(NamedTuple):
    """Settings with a name; `why` says in one line what they show."""

    name: str
    settings: SamplingSettings
    why: str


def presets() -> list[Preset]:
    """The settings that the lab offers: the article's first."""
    article = SamplingSettings()
    return [
        Preset(
            say("記事の設定", "the article"),
            article,
            say(
                f"top_k={article.top_k}、top_p={article.top_p}：上位 {article.top_k} 個のうち、確率の合計が"
                f" {article.top_p:.0%} になるまでから引きます。",
                f"top_k={article.top_k}, top_p={article.top_p}: samples from the top {article.top_k}, only as far as their "
                f"probabilities add up to {article.top_p:.0%}.",
            ),
        ),
        Preset(
            say("貪欲", "greedy"),
            SamplingSettings(do_sample=False, num_return_sequences=1),
            say(
                "いつも確率が最大のトークンを選びます。くじを引かないので、結果は 1 通りです。",
                "Always takes the most probable token. Nothing is drawn, so there is only one result.",
            ),
        ),
        Preset(
            say("おとなしい", "cautious"),
            SamplingSettings(top_k=20, top_p=0.8, temperature=0.7),
            say(
                "確率の高いものをさらに選びやすくします。無難ですが、同じ言い方が増えます。",
                "Favours what is already probable: safe, but it repeats itself more.",
            ),
        ),
        Preset(
            say("奔放", "wild"),
            SamplingSettings(top_k=0, top_p=1.0, temperature=1.5),
            say(
                "何も除外せず、確率をならします。意外な語が出るかわりに、文が崩れます。",
                "Cuts nothing and evens the odds: surprising words, but sentences fall apart.",
            ),
        ),
    ]


class Scale(NamedTuple):
    """What a number's box takes, from `low` to `high`, and the steps of its slider. A `step` of None: integers only."""

    steps: Sequence[float]
    low: float
    high: float
    step: float | None


def scales(n_positions: int, vocab_size: int) -> dict[str, Scale]:
    """Each number among the settings, in the lab's order; the page in the browser takes them from here too."""
    hundredths = [i / 100 for i in range(1, 101)]
    twentieths = [i / 20 for i in range(1, 41)]
    return {
        "top_k": Scale(top_k_scale(vocab_size), 0, vocab_size, None),
        "top_p": Scale(hundredths, 0.001, 1.0, 0.01),
        "temperature": Scale([*twentieths, 2.5, 3.0, 4.0, 5.0], 0.01, 100.0, 0.05),
        "repetition_penalty": Scale([1 + i / 20 for i in range(21)], 0.01, 10.0, 0.05),
        "min_length": Scale(range(n_positions + 1), 0, n_positions, None),
        "max_length": Scale(range(1, n_positions + 1), 1, n_positions, None),
        "num_return_sequences": Scale(range(1, MOST_SEQUENCES + 1), 1, MOST_SEQUENCES, None),
        "seed": Scale(range(101), 0, LARGEST_SEED, None),
    }


def top_k_scale(vocab_size: int) -> list[int]:
    """The steps of a slider for top_k: 0 (off), each number to 10, then ever larger steps to the vocabulary."""
    steps = {*range(min(10, vocab_size) + 1), vocab_size}
    decade = 10
    while decade < vocab_size:
        for part in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80):
            steps.add(min(decade * part // 10, vocab_size))
        decade *= 10
    return sorted(steps)


def nearest(scale: Sequence[float], value: float) -> int:
    """The index of the step nearest to a value; the lower one where two are as near."""
    return min(range(len(scale)), key=lambda i: abs(scale[i] - value))
