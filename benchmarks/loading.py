"""What loading costs: `python -m benchmarks.loading --shape gpt-1b`.

Seconds, and the anonymous memory that is added at most while `load_model` runs, against the size of the weights in the
dtype they are loaded in. Pages of the mapped file are not counted: the system can drop them. For CTranslate2 also the
first use, which converts. "torch" is the dtype that `load_model` chooses. Linux only.
"""

import argparse
import json
import sys
import tempfile
import time
from typing import Any

from benchmarks.measure import (
    SHAPE_NAMES,
    fresh,
    in_turn,
    in_words,
    machine,
    memory_of,
    model_folder,
    peak_of_anonymous_memory,
    weight_bytes,
)
from helpers.console import run

WAYS = ("torch", "float32", "int8", "ctranslate2")


def measure(shape: str, way: str) -> dict[str, Any]:
    """One measurement in this process; torch, transformers and CTranslate2 are imported before."""
    import torch
    import transformers

    from helpers.models import load_model

    _ = transformers.AutoModelForCausalLM, transformers.GPT2LMHeadModel
    engine = "ctranslate2" if way == "ctranslate2" else "torch"
    if engine == "ctranslate2":
        import ctranslate2  # noqa: F401
    dtype = {"float32": torch.float32, "int8": torch.int8}.get(way)
    folder = model_folder(shape)
    start = time.perf_counter()
    with peak_of_anonymous_memory() as added:
        lm = load_model(folder, device="cpu", engine=engine, dtype=dtype)
        seconds = time.perf_counter() - start
    if engine == "ctranslate2":
        weights = (lm.model.folder / "model.bin").stat().st_size
    else:
        weights = weight_bytes(lm.model)
    return {
        "seconds": seconds,
        "weights_gb": weights / 1e9,
        "dtype": str(lm.dtype).removeprefix("torch."),
        "added_gb": added[0],
        "kept_gb": memory_of("RssAnon"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="gpt-1b")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.shape, options.child)))
        return
    from helpers.engines.torch import int8

    model_folder(options.shape)
    arguments = ["--shape", options.shape, "--child"]
    fresh("benchmarks.loading", *arguments, "ctranslate2")  # converts, if that was not done yet
    ways = {
        way: (lambda way=way: fresh("benchmarks.loading", *arguments, way))
        for way in WAYS
        if way != "int8" or int8.can_compute()
    }

    def first_use() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as cache:
            home = {"HF_HOME": cache}
            return fresh("benchmarks.loading", *arguments, "ctranslate2", environment=home)

    ways["ctranslate2, first use"] = first_use
    rows = in_turn(ways, options.runs, f"loading {options.shape}")
    print(f"\n### {options.shape}: loading\n\n{machine()}\n")
    print(
        "| way, dtype | seconds | weights, GB | anonymous memory added at most, GB | ratio | kept, GB |"
    )
    print("|---|---|---|---|---|---|")
    for way, runs in rows.items():
        print(
            f"| {way}, {runs[0]['dtype']} | {in_words([r['seconds'] for r in runs])} | {runs[0]['weights_gb']:.2f}"
            f" | {in_words([r['added_gb'] for r in runs])}"
            f" | {in_words([r['added_gb'] / r['weights_gb'] for r in runs])}"
            f" | {in_words([r['kept_gb'] for r in runs])} |"
        )


if __name__ == "__main__":
    sys.exit(run(main))
