"""Rehearse a class: `python -m helpers.rehearse [PROMPT ...] --seeds 1 2 3`.

Prints the texts of these prompts and seeds, which are those of the lab and the lessons with the same settings, and
marks words that a school would not project. They are computed on the CPU, as on the pupils' machines and in the browser:
a GPU draws other random numbers, so a teacher who has one would rehearse other texts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from typing import TYPE_CHECKING, Any

from helpers import BUNDLED_MODEL, OPENING_LINE
from helpers.console import add_settings, given_settings, run
from helpers.errors import Explained
from helpers.language import say

if TYPE_CHECKING:
    from helpers.models import LanguageModel


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.rehearse",
        description=say(
            "授業のリハーサル。この書き出しとシードで書かれる文章を表示し、映さないほうがよい語に印を付けます。",
            "Rehearse a class: print the texts of these openings and seeds, and mark words that a school would not "
            "project.",
        ),
    )
    opening = say("書き出し（『雪国』の書き出し）", "openings (the line of 『雪国』)")
    parser.add_argument("prompts", nargs="*", metavar="PROMPT", help=opening)
    seeds = say(
        "シード（15 16 17 18：レッスン 03 の実験室も、ブラウザーの実験室も 15 から）",
        "seeds (15 16 17 18: the labs of lesson 03 and in the browser both start at 15)",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", default=[15, 16, 17, 18], help=seeds
    )
    model = say(f"モデル（{BUNDLED_MODEL}）", f"the model ({BUNDLED_MODEL})")
    parser.add_argument("--model", default=BUNDLED_MODEL, metavar="M", help=model)
    device = say(
        "計算する場所（cpu。ブラウザーの実験室も同じ文章です。GPU では違う文章になります）",
        "where to compute (cpu, whose texts are those of the lab in the browser; a GPU writes others)",
    )
    parser.add_argument("--device", default="cpu", metavar="D", help=device)
    add_settings(parser)
    return parser


def marked(text: str) -> tuple[str, int]:
    """A text with 【】 around each word that a school would not project, and how many there are."""
    from helpers.masking import find_words

    found = find_words(text)
    for start, end, word in reversed(found):
        text = f"{text[:start]}【{word}】{text[end:]}"
    return text, len(found)


def rehearse(
    language_model: LanguageModel, prompts: list[str], seeds: list[int], **settings: Any
) -> tuple[list[int], list[int]]:
    """Print the texts of each prompt and seed; returns the seeds without such a word, and those with one.

    Raises:
        SettingsError: for a setting or a prompt that does not fit, before anything is printed.
    """
    from helpers.prompts import encode_prompt
    from helpers.sampling import generate

    tries = [(p, given_settings(seed=seed, **settings)) for p in prompts for seed in seeds]
    for prompt, chosen in tries:
        encode_prompt(language_model, prompt, chosen)
    with_words: set[int] = set()
    for prompt, chosen in tries:
        seed = int(chosen.seed or 0)
        print(f"── {say('シード', 'seed')} {seed} ── {prompt}")
        for number, sequence in enumerate(generate(language_model, prompt, chosen).sequences, 1):
            text, words = marked(sequence.text)
            if words:
                with_words.add(seed)
            print(f"{'▲' if words else ' '}[{number}] {text}")
        print(flush=True)
    return [seed for seed in seeds if seed not in with_words], sorted(with_words)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 for what cannot be done, which is said in one line on stderr."""
    options = vars(_parser().parse_args(arguments))
    prompts, seeds = options.pop("prompts"), options.pop("seeds")
    name, device = options.pop("model"), options.pop("device")
    # Imported only now: `--help` and a mistyped option should answer at once.
    from helpers.models import load_model

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            language_model = load_model(name, device=device)
        clean, with_words = rehearse(language_model, prompts or [OPENING_LINE], seeds, **options)
    except BrokenPipeError:
        raise
    except (Explained, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    shown = {True: ", ".join(map(str, clean)) or "—", False: ", ".join(map(str, with_words)) or "—"}
    print(
        say(
            f"モデル: {language_model.name}、{language_model.device}。同じモデルと設定で、CPU なら、ほとんどの場合、同じ文章になります。\n"
            f"印の語がないシード: {shown[True]}\n印の語があるシード: {shown[False]}\n"
            "一覧（helpers/words_to_mask.txt）にない語は、見つけられません。目でも確かめてください。",
            f"Model: {language_model.name}, {language_model.device}. With this model and these settings, CPUs nearly "
            f"always write the same texts.\nSeeds without a marked word: {shown[True]}\n"
            f"Seeds with one: {shown[False]}\n"
            "Words that are not in helpers/words_to_mask.txt are not found: read the texts yourself as well.",
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
