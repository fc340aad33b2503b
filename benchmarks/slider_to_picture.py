"""From a moved slider to the redrawn picture, in the kernel: `python -m benchmarks.slider_to_picture`.

The vocabulary has the size of rinna/japanese-gpt-1b's, the weights are random and tiny: the model is run once,
for the logits, and not again when a slider moves. Sending the picture to the browser and drawing it there is not
in the figure.
"""

import argparse
import json
import platform
import statistics
import time
from types import SimpleNamespace

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import BUNDLED_MODEL
from helpers.charts import distribution_chart
from helpers.sampling import SamplingSettings, distribution_from_logits, next_token_logits
from helpers.tokenizer import load_tokenizer

VOCABULARY = 44_928


class WideTokenizer:
    """The bundled tokenizer, with a name for every id of a larger vocabulary."""

    def __init__(self) -> None:
        tokenizer = load_tokenizer(BUNDLED_MODEL)
        self.pieces = [f"piece{i}" for i in range(VOCABULARY)]
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        self.pad_token_id = tokenizer.pad_token_id

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.pieces[i] for i in ids]


def measure(moves: int) -> list[float]:
    """Milliseconds for each of `moves` different settings, from the settings to the finished HTML."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=128,
        n_embd=64,
        n_layer=1,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = GPT2LMHeadModel(config).eval()
    lm = SimpleNamespace(tokenizer=WideTokenizer(), model=model, device=torch.device("cpu"))
    input_ids = torch.arange(10, 25).view(1, -1)
    logits = next_token_logits(lm, input_ids)
    times = []
    for i in range(moves):
        settings = SamplingSettings(
            top_k=1 + (i * 997) % VOCABULARY,
            top_p=1 - (i % 50) / 100,
            temperature=0.5 + (i % 7) / 4,
        )
        start = time.perf_counter()
        distribution_chart(distribution_from_logits(lm, input_ids, logits, settings))
        times.append((time.perf_counter() - start) * 1000)
    return times[5:]  # the first ones warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=125)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times = measure(options.moves)
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "vocabulary": VOCABULARY,
        "moves": len(times),
        "milliseconds": {
            "min": round(min(times), 1),
            "median": round(statistics.median(times), 1),
            "max": round(max(times), 1),
        },
    }
    print(json.dumps(result, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
