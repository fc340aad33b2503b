"""Continuations by two models, judged before it is known whose they are: ``python -m training.pairs``."""

import argparse
import csv
import json
import random
import secrets
import sys
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel

from helpers.console import run
from training.corpus import HERE
from training.evaluate import PROMPTS, continuations
from training.tokenizer import EOS, load

PAIRS = 40
JUDGEMENTS, KEY, PAGE = "judgements.csv", "key.json", "pairs.md"


def hidden_order(seed: int, count: int = PAIRS) -> list[str]:
    """Which side, "A" or "B", the new model's text stands on in each pair; each as often."""
    sides = ["A", "B"] * (count // 2)
    random.Random(seed).shuffle(sides)
    return sides


def texts_of(folder: Path, count: int = PAIRS) -> list[str]:
    """A model's continuations: prompt after prompt, again with other seeds until there are `count`."""
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = load(folder / "spiece.model")
    texts = []
    for number in range(count):
        prompt = PROMPTS[number % len(PROMPTS)]
        (new,) = continuations(model, processor, prompt, 1, seed=1000 + number)
        ids = processor.encode(prompt)
        whole = processor.decode(ids + [i for i in new if i != EOS])
        texts.append(whole[len(processor.decode(ids)) :] + ("" if EOS in new else "…"))
    return texts


def write(old: list[str], new: list[str], out: Path, seed: int) -> None:
    """Write the page of pairs, an empty sheet of judgements, and the key (not to be opened yet).

    Raises FileExistsError where a sheet lies already: judgements are not overwritten.
    """
    if (out / JUDGEMENTS).exists():
        raise FileExistsError(f"{out / JUDGEMENTS} is there already; give another folder.")
    out.mkdir(parents=True, exist_ok=True)
    sides = hidden_order(seed, len(new))
    lines = [
        "# Pairs",
        "",
        "Two models continue the same prompt with the same settings and seed, unedited. Which of them stands "
        "at A was drawn at random; `judgements.csv` was filled before `key.json` was opened.",
        "",
    ]
    for number, (before, after, side) in enumerate(zip(old, new, sides, strict=True), 1):
        a, b = (after, before) if side == "A" else (before, after)
        prompt = PROMPTS[(number - 1) % len(PROMPTS)]
        lines += [f"## {number}. {prompt}", ""]
        lines += [
            f"**{name}** {text.replace('<', '&lt;')}\n" for name, text in (("A", a), ("B", b))
        ]
    (out / PAGE).write_text("\n".join(lines), encoding="utf-8")
    with open(out / JUDGEMENTS, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([["pair", "better"], *([n, ""] for n in range(1, len(new) + 1))])
    (out / KEY).write_text(json.dumps({"seed": seed, "new": sides}) + "\n", encoding="utf-8")


def result(out: Path) -> tuple[int, int]:
    """How many pairs the new model won, and of how many.

    Raises ValueError unless each pair is judged "A" or "B".
    """
    with open(out / JUDGEMENTS, encoding="utf-8", newline="") as file:
        better = [row["better"].strip() for row in csv.DictReader(file)]
    sides = json.loads((out / KEY).read_text(encoding="utf-8"))["new"]
    missing = [n for n, value in enumerate(better, 1) if value not in ("A", "B")]
    if missing or len(better) != len(sides):
        raise ValueError(
            f"Pairs {missing} of {len(sides)} are not judged: write A or B in {JUDGEMENTS} first."
        )
    return sum(a == b for a, b in zip(better, sides, strict=True)), len(sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, help="folder of the old model; with --new: write pairs")
    parser.add_argument("--new", type=Path, help="folder of the new model")
    parser.add_argument("--out", type=Path, default=HERE / "pairs")
    args = parser.parse_args()
    if (args.old is None) != (args.new is None):
        parser.error("Give both --old and --new to write pairs, or neither to read the result.")
    if args.old:
        write(texts_of(args.old), texts_of(args.new), args.out, secrets.randbelow(1 << 32))
        print(f"{args.out / PAGE}: fill {JUDGEMENTS} (A or B), then run: python -m training.pairs")
        return
    won, count = result(args.out)
    print(f"the new model was preferred in {won} of {count} pairs ({won / count:.0%})")


if __name__ == "__main__":
    sys.exit(run(main))
