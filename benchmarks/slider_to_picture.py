"""From a moved slider to the redrawn picture, in the kernel: `python -m benchmarks.slider_to_picture`.

The lab's own sliders are moved. The vocabulary has the size of rinna/japanese-gpt-1b's, the weights are random and
tiny: the model is run once, for the logits, and not again when a slider moves. Sending the picture to the browser
and drawing it there is not in the figure. It ends with 1 where the lab has become slow, or runs the model.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.measure import machine
from helpers import BUNDLED_MODEL
from helpers.console import run
from helpers.lab import SamplingLab
from helpers.models import LanguageModel
from helpers.tokenizer import load_tokenizer

VOCABULARY = 44_928
# Milliseconds. What takes longer no longer follows the hand.
LIMIT = 50.0
MOVED = ("top_k", "top_p", "temperature")


class WideTokenizer:
    """The bundled tokenizer, with a name for every id of a larger vocabulary."""

    def __init__(self) -> None:
        self.bundled = load_tokenizer(BUNDLED_MODEL)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bundled, name)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [f"piece{i}" for i in ids]


def wide_model() -> LanguageModel:
    """A tiny GPT-2 with random weights and a large vocabulary."""
    torch.manual_seed(0)
    tokenizer = WideTokenizer()
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=128,
        n_embd=64,
        n_layer=1,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LanguageModel(
        name="wide",
        tokenizer=tokenizer,
        model=GPT2LMHeadModel(config).eval(),
        device=torch.device("cpu"),
        dtype=torch.float32,
        reason="",
        engine="torch",
    )


def measure(moves: int) -> tuple[list[float], list[float], int]:
    """Milliseconds for each of `moves` moves, from the slider's new place to the finished HTML, on the clock and of
    the processor; and calls of the model."""
    model = wide_model()
    lab = SamplingLab(model)
    calls: list[int] = []
    model.model.register_forward_hook(lambda *_: calls.append(1))
    times, worked, changed = [], [], 0
    for i in range(moves):
        slider = lab.sliders[MOVED[i % len(MOVED)]]
        # A prime, so that a slider is not soon where it has been.
        place = (slider.value + 17) % (slider.max + 1)
        before, start, work = lab.chart.value, time.perf_counter(), time.thread_time()
        slider.value = place
        times.append((time.perf_counter() - start) * 1000)
        worked.append((time.thread_time() - work) * 1000)
        changed += lab.chart.value != before
    # With top_k at 1 the other sliders change nothing; else they do.
    if lab.error is not None or changed < moves / 2:
        raise RuntimeError(f"{changed} new pictures in {moves} moves; {lab.error}")
    return times[5:], worked[5:], len(calls)  # the first ones warm up


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=125)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times, worked, calls = measure(options.moves)
    median = statistics.median(times)
    result = {
        "machine": f"{machine()}, {torch.get_num_threads()} threads",
        "vocabulary": VOCABULARY,
        "moves": len(times),
        "model_calls": calls,
        "milliseconds": {
            "min": round(min(times), 1),
            "median": round(median, 1),
            "max": round(max(times), 1),
        },
        # Far less than the median above: the machine was busy with other things.
        "processor_milliseconds": round(statistics.median(worked), 1),
    }
    print(json.dumps(result, indent=None if options.json else 1))
    if calls or median >= LIMIT:
        print(
            f"A moved slider should take under {LIMIT:g} ms and run no model.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
