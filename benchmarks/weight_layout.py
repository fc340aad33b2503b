"""In which order should GPT-2's matrices lie in memory? `python -m benchmarks.weight_layout --shape gpt-1b`.

GPT-2's Conv1D keeps a matrix as (inputs, outputs), Linear as (outputs, inputs), and oneDNN has an order of its own
(`helpers.engines.torch.packing`). The numbers and the result are the same but for rounding; the processor walks through memory in
another order. Fresh processes in turn, for float32 and bfloat16, with 1 and 3 sequences; the greedy tokens of the layouts
are compared with Conv1D's, and the logits of the prompt. `ONEDNN_MAX_CPU_ISA=AVX2` before the command, with
`--dtypes float32`, shows oneDNN without what newer processors have.
"""

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.measure import SHAPE_NAMES, fresh, in_turn, in_words, machine, model_folder
from helpers.console import run

LAYOUTS = ("conv1d", "linear", "packed")
DTYPES = ("float32", "bfloat16")


def measure(shape: str, layout: str, dtype: str, new: int) -> dict[str, Any]:
    """One measurement in this process: steps a second for 1 and 3 sequences, the greedy tokens, some logits."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D
    from transformers.utils import logging

    from helpers.engines.torch.packing import pack

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(model_folder(shape), dtype=getattr(torch, dtype))
    model.config.pad_token_id = None
    if layout == "linear":
        for module in model.modules():
            if isinstance(module, Conv1D):
                module.weight.data = module.weight.data.t().contiguous().t()
    elif layout == "packed":
        pack(model)
    ids = torch.arange(10, 25)[None]
    fixed = {"attention_mask": torch.ones_like(ids), "pad_token_id": 0}
    with torch.no_grad():
        logits = model(ids).logits[0, -1].float()
    model.generate(ids, max_new_tokens=3, do_sample=False, **fixed)
    figures: dict[str, Any] = {"logits": logits.tolist()}
    lengths = {"min_new_tokens": new, "max_new_tokens": new}
    for count in (1, 3):
        torch.manual_seed(0)
        start = time.perf_counter()
        model.generate(
            ids,
            do_sample=True,
            top_k=500,
            top_p=0.95,
            num_return_sequences=count,
            **lengths,
            **fixed,
        )
        figures[f"steps_per_s_{count}"] = new / (time.perf_counter() - start)
    figures["greedy"] = model.generate(ids, do_sample=False, **lengths, **fixed)[0].tolist()
    return figures


def main() -> None:
    import torch

    from helpers.engines.torch.packing import can_pack

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="aozora-mini")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--new", type=int, default=20, help="tokens a text")
    parser.add_argument("--child", choices=LAYOUTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        dtype = options.dtypes[0]
        print(json.dumps(measure(options.shape, options.child, dtype, options.new)))
        return
    model_folder(options.shape)
    print(f"\n### {options.shape}: the layout of the matrices\n\n{machine()}\n")
    print(
        "| dtype | sequences | layout | steps/s | times Conv1D | greedy tokens | largest difference of logits |"
    )
    print("|---|---|---|---|---|---|---|")
    for dtype in options.dtypes:
        layouts = [x for x in LAYOUTS if x != "packed" or can_pack(getattr(torch, dtype))]
        arguments = ["--shape", options.shape, "--dtypes", dtype, "--new", str(options.new)]
        ways = {
            layout: (
                lambda layout=layout, arguments=arguments: fresh(
                    "benchmarks.weight_layout", *arguments, "--child", layout
                )
            )
            for layout in layouts
        }
        rows = in_turn(ways, options.runs, f"{options.shape} {dtype}")
        for count in (1, 3):
            for layout in layouts:
                columns = compared(rows["conv1d"], rows[layout], f"steps_per_s_{count}")
                print(f"| {dtype} | {count} | {layout} | " + " | ".join(columns) + " |", flush=True)


def compared(usual: list[dict[str, Any]], other: list[dict[str, Any]], key: str) -> list[str]:
    """The columns for one layout against Conv1D's: speed, ratio, equal greedy texts, difference of logits."""
    pairs = list(zip(usual, other, strict=True))
    equal = sum(a["greedy"] == b["greedy"] for a, b in pairs)
    apart = max(abs(x - y) for a, b in pairs for x, y in zip(a["logits"], b["logits"], strict=True))
    return [
        in_words([b[key] for _, b in pairs]),
        in_words([b[key] / a[key] for a, b in pairs]),
        f"equal in {equal} of {len(pairs)}",
        f"{apart:.1e}",
    ]


if __name__ == "__main__":
    sys.exit(run(main))
