"""Is a long prompt read once, or once for each sequence? `python -m benchmarks.long_prompt --shape gpt-1b`.

Seconds to the first token after a prompt of 900 tokens, or of as many as the model takes, for one sequence and for
three. A short text warms the engine up.
"""

import argparse
import json
import sys
import time

from benchmarks.measure import (
    SHAPE_NAMES,
    fresh,
    in_turn,
    in_words,
    machine,
    model_folder,
    prompt_of,
)
from helpers.console import run

TOKENS = 900
ENGINES = ("torch", "ctranslate2")


def measure(shape: str, engine: str) -> dict[str, float]:
    """One measurement in this process: seconds by number of sequences."""
    from helpers.models import load_model
    from helpers.sampling import SamplingSettings, stream

    lm = load_model(model_folder(shape), device="cpu", engine=engine)
    tokens = min(TOKENS, lm.n_positions - 8)
    prompt = prompt_of(lm.tokenizer, tokens)

    def seconds(count: int) -> float:
        settings = SamplingSettings(
            min_length=tokens + 2, max_length=tokens + 2, num_return_sequences=count, seed=1
        )
        lm.runner.ready()
        start = time.perf_counter()
        events = stream(lm, prompt, settings)
        next(events)
        passed = time.perf_counter() - start
        events.close()
        return passed

    seconds(1)
    return {"tokens": tokens} | {str(count): seconds(count) for count in (1, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="gpt-1b")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.shape, options.child)))
        return
    model_folder(options.shape)
    name, shape = "benchmarks.long_prompt", options.shape
    ways = {e: (lambda e=e: fresh(name, "--shape", shape, "--child", e)) for e in options.engines}
    rows = in_turn(ways, options.runs, f"prompt {shape}")
    tokens = next(iter(rows.values()))[0]["tokens"]
    print(f"\n### {shape}: seconds to the first token after a prompt of {tokens} tokens\n")
    print(f"{machine()}\n\n| engine | 1 sequence | 3 sequences | ratio |\n|---|---|---|---|")
    for engine, runs in rows.items():
        one, three = ([run[count] for run in runs] for count in ("1", "3"))
        ratio = [b / a for a, b in zip(one, three, strict=True)]
        print(f"| {engine} | {in_words(one)} | {in_words(three)} | {in_words(ratio)} |")


if __name__ == "__main__":
    sys.exit(run(main))
