"""On a GPU, in the dtype that suits it: `python -m benchmarks.gpu_generate --shape gpt-1b`.

Milliseconds a token with the article's settings (3 sequences, 15 + 85 tokens), against the time in which the GPU reads the
weights once: the article's own call, in float32, and `load_model` and `generate`. Without a CUDA GPU it says so and
measures nothing.
"""

import argparse
import json
import sys

from benchmarks.cpu_generate import measure
from benchmarks.measure import SHAPE_NAMES, fresh, in_turn, in_words, machine, model_folder
from helpers.console import run

WAYS = ("article", "plain")


def gpu_bandwidth(size: int = 1 << 30) -> float:
    """GB/s at which the GPU reads its memory: the best of several sums over an array."""
    import torch

    array = torch.ones(size // 2, dtype=torch.float16, device="cuda")
    best = 0.0
    for _ in range(10):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        array.sum()
        end.record()
        torch.cuda.synchronize()
        best = max(best, size / start.elapsed_time(end) / 1e6)
    return best


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="gpt-1b")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("GPU: not measured, no CUDA GPU here")
        return
    if options.child:
        figures = measure(options.child, model_folder(options.shape), "cuda")
        figures["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        figures["bandwidth"] = gpu_bandwidth()
        print(json.dumps(figures))
        return
    model_folder(options.shape)
    name, shape = "benchmarks.gpu_generate", options.shape
    ways = {way: (lambda way=way: fresh(name, "--shape", shape, "--child", way)) for way in WAYS}
    rows = in_turn(ways, options.runs, f"gpu {shape}")
    print(f"\n### {shape} on {torch.cuda.get_device_name()}\n\n{machine()}\n")
    print(
        "| way | weights | ms a token | of the bandwidth limit | times the article | first token, s | load, s | peak GPU memory, GB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for way, runs in rows.items():
        shares = [r["steps_per_s"] * r["weight_bytes"] / r["bandwidth"] / 1e9 for r in runs]
        pairs = zip(runs, rows["article"], strict=True)
        columns = [
            runs[0]["dtype"],
            in_words([1000 / r["steps_per_s"] for r in runs], digits=1),
            in_words(shares),
            in_words([ours["steps_per_s"] / theirs["steps_per_s"] for ours, theirs in pairs]),
            in_words([r["first_token_s"] for r in runs]),
            in_words([r["load_s"] for r in runs], digits=1),
            in_words([r["peak_gb"] for r in runs]),
        ]
        print(f"| {way} | " + " | ".join(columns) + " |")


if __name__ == "__main__":
    sys.exit(run(main))
