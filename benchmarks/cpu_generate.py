"""The article's call against ours on a CPU: `python -m benchmarks.cpu_generate --shape gpt-1b`.

Three texts of 15 + 85 tokens with the article's settings. "article" is transformers alone, in float32; "plain" is
`load_model(...)` and `generate`; "ctranslate2_int8" the same with `engine="ctranslate2"`. Where the processor makes
`load_model` choose bfloat16, "plain_float32" is "plain" with float32 asked for; where it has VNNI, "plain_int8" is
"plain" with `dtype=torch.int8`. Each measurement is a fresh process; a short text warms it up. The bandwidth limit is
how often a second the weights could be read from memory: it is measured in each round, beside the ways. `--threads 1`
compares another number of threads.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    SHAPE_NAMES,
    fresh,
    in_turn,
    in_words,
    machine,
    memory_of,
    model_folder,
    prompt_of,
    read_bandwidth,
    spread,
    weight_bytes,
)
from helpers.console import run

WAYS = ("article", "plain", "plain_float32", "plain_int8", "ctranslate2_int8")
BANDWIDTH = "bandwidth"
THREADS = "BENCHMARK_THREADS"  # set by --threads for the fresh processes
PROMPT, NEW, SEQUENCES = 15, 85, 3


def measure(way: str, folder: Path, device: str | None = None) -> dict[str, Any]:
    """One measurement in this process. Conversion for CTranslate2, done once for a model, is not in the figures."""
    import torch

    from helpers.engines.ctranslate2 import runner as ctranslate2_runner
    from helpers.models import load_model
    from helpers.sampling import SamplingSettings, generate, stream

    if way == "article":
        return _article(folder, device or "cpu")
    if threads := os.environ.get(THREADS):
        ctranslate2_runner.choose_threads = lambda _: int(threads)
    engine = "ctranslate2" if way == "ctranslate2_int8" else "torch"
    dtype = {"plain_float32": torch.float32, "plain_int8": torch.int8}.get(way)
    start = time.perf_counter()
    lm = load_model(folder, device=device or "cpu", engine=engine, dtype=dtype)
    load = time.perf_counter() - start
    prompt = prompt_of(lm.tokenizer, PROMPT)

    def settings(new: int) -> SamplingSettings:
        length = PROMPT + new
        return SamplingSettings(
            min_length=length, max_length=length, num_return_sequences=SEQUENCES, seed=1
        )

    def ready() -> float:
        start = time.perf_counter()
        lm.runner.ready()
        return time.perf_counter() - start

    generate(lm, prompt, settings(3))
    ready()
    start = time.perf_counter()
    events = stream(lm, prompt, settings(2))
    next(events)
    first = time.perf_counter() - start
    list(events)
    ready()
    start = time.perf_counter()
    generate(lm, prompt, settings(NEW))
    seconds = time.perf_counter() - start
    between = ready()
    weights = (
        (lm.model.folder / "model.bin").stat().st_size
        if engine == "ctranslate2"
        else weight_bytes(lm.model)
    )
    return _figures(lm.dtype, NEW / seconds, load, first, between, weights)


def _ways_here(folder: Path) -> list[str]:
    """The ways that this processor has, none of them twice."""
    import torch

    from helpers.device import choose_device
    from helpers.engines.torch import int8
    from helpers.models import count_parameters

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    left_out = set()
    if choose_device("cpu", count_parameters(config)).dtype == torch.float32:
        left_out.add("plain_float32")
    if not int8.can_compute():
        left_out.add("plain_int8")
    return [way for way in WAYS if way not in left_out]


def _article(folder: Path, device: str) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from helpers.tokenizer import load_tokenizer

    logging.disable_progress_bar()
    start = time.perf_counter()
    # Its T5Tokenizer gives other ids since transformers 5; the number of tokens is what counts here.
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device)
    load = time.perf_counter() - start
    ids = tokenizer.encode(
        prompt_of(tokenizer, PROMPT), return_tensors="pt", add_special_tokens=False
    ).to(device)

    def call(new: int) -> float:
        start = time.perf_counter()
        with torch.no_grad():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                min_length=PROMPT + new,
                max_length=PROMPT + new,
                do_sample=True,
                top_k=500,
                top_p=0.95,
                num_return_sequences=SEQUENCES,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        return time.perf_counter() - start

    torch.manual_seed(1)
    call(3)
    first = call(1)
    return _figures(model.dtype, NEW / call(NEW), load, first, 0.0, weight_bytes(model))


def _figures(
    dtype: Any, steps: float, load: float, first: float, between: float, weights: int
) -> dict[str, Any]:
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "steps_per_s": steps,
        "load_s": load,
        "first_token_s": first,
        "between_texts_s": between,
        "weight_bytes": weights,
        "peak_gb": memory_of("VmHWM"),
    }


def compare(shape: str, runs: int) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """All ways in turn: the figures as `--json` prints them, and every single measurement."""
    name = "benchmarks.cpu_generate"
    fresh(name, "--child", "ctranslate2_int8", "--shape", shape)  # makes what is made once
    ways = {
        way: (lambda way=way: fresh(name, "--child", way, "--shape", shape))
        for way in fresh(name, "--ways", "--shape", shape)
    }
    single = in_turn(ways | {BANDWIDTH: lambda: fresh(name, "--bandwidth")}, runs, shape)
    bandwidths = single.pop(BANDWIDTH)
    result: dict[str, Any] = {
        "machine": machine(),
        "bandwidth_gb_s": spread(bandwidths, 1)["median"],
        "ways": {},
    }
    for way, rows in single.items():
        shares = [
            row["steps_per_s"] * row["weight_bytes"] / bandwidth / 1e9
            for row, bandwidth in zip(rows, bandwidths, strict=True)
        ]
        result["ways"][way] = {
            "steps_per_s": spread([row["steps_per_s"] for row in rows]),
            "peak_gb": spread([row["peak_gb"] for row in rows])["median"],
            "load_s": spread([row["load_s"] for row in rows])["median"],
            "share_of_bandwidth_limit": spread(shares, 3)["median"],
        }
    result["ratios"] = {
        way: spread(_ratios(single, way))["median"] for way in single if way != "article"
    }
    return result, single


def _ratios(single: dict[str, list[dict[str, Any]]], way: str) -> list[float]:
    pairs = zip(single[way], single["article"], strict=True)
    return [ours["steps_per_s"] / theirs["steps_per_s"] for ours, theirs in pairs]


def report(shape: str, result: dict[str, Any], single: dict[str, list[dict[str, Any]]]) -> None:
    """The figures as a Markdown table."""
    runs = len(single["article"])
    print(f"\n### {shape}: {SEQUENCES} sequences, {PROMPT} + {NEW} tokens, {runs} runs in turn\n")
    print(f"{result['machine']}; reads {result['bandwidth_gb_s']} GB/s\n")
    print(
        "| way | weights | steps/s | of the bandwidth limit | times the article | first token, s | load, s | wait for the next text, s | peak, GB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for way, rows in single.items():
        figures = result["ways"][way]
        ratio = "1" if way == "article" else in_words(_ratios(single, way))
        columns = [
            rows[0]["dtype"],
            in_words([row["steps_per_s"] for row in rows]),
            f"{figures['share_of_bandwidth_limit']:.0%}",
            ratio,
            in_words([row["first_token_s"] for row in rows]),
            f"{figures['load_s']:.1f}",
            f"{spread([row['between_texts_s'] for row in rows])['median']:.2f}",
            f"{figures['peak_gb']:.2f}",
        ]
        print(f"| {way} | " + " | ".join(columns) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="aozora-mini")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--json", action="store_true", help="print the figures as JSON, nothing else"
    )
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help="of torch and of the engine (theirs)")
    parser.add_argument("--bandwidth", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ways", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: at least 1")
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ[THREADS] = str(options.threads)
    if options.bandwidth:
        print(json.dumps(read_bandwidth()))
        return
    folder = model_folder(options.shape)
    if options.child:
        print(json.dumps(measure(options.child, folder)))
        return
    if options.ways:
        print(json.dumps(_ways_here(folder)))
        return
    result, single = compare(options.shape, options.runs)
    if options.json:
        print(json.dumps(result))
    else:
        report(options.shape, result, single)


if __name__ == "__main__":
    sys.exit(run(main))
