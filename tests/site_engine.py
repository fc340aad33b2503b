"""The site's engine on Node, hard cases for it, and the proof that two texts part at a rounding tie."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import torch

from helpers.sampling import SamplingSettings

ROOT = Path(__file__).resolve().parent.parent
# Torch's logits in float32 are within 5e-4 of the exact ones, and JavaScript's within a tenth of that.
MARGIN = 5e-4


def ask_engine(folder: Path, wait: bool = True, **asked: Any) -> Any:
    """What site_node.mjs answers about the model in a folder; without `wait` a function that waits for it."""
    node = shutil.which("node")
    assert node, "The site is built and tested with Node 20 or newer: https://nodejs.org"
    script = str(ROOT / "tests" / "site_node.mjs")
    process = subprocess.Popen([node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps({"folder": str(folder), **asked}).encode())
    process.stdin.close()

    def answer() -> Any:
        assert process.stdout is not None
        with process.stdout as output:
            text = output.read()
        assert process.wait() == 0
        return json.loads(text)

    return answer() if wait else answer


def hard_texts(count: int, pieces: list[str], seed: int = 0) -> list[str]:
    """Strings that are unlike any text: Unicode of every width and mark, spaces, pieces, special tokens as text."""
    rng = random.Random(seed)
    planes = [(0, 0x7F), (0x80, 0x2FF), (0x300, 0x36F), (0x370, 0x1FFF), (0x2000, 0x2FFF)]
    planes += [(0x3000, 0x30FF), (0x3100, 0x9FFF), (0xA000, 0xD7FF), (0xF900, 0xFFFF)]
    planes += [(0x10000, 0x1FFFF), (0x20000, 0x2FFFF), (0xE0000, 0x10FFFF)]
    often = [
        *"雪国は、。AbＣ　 ▁\n\t\u3099\u309aｶﾞ①㍻ﷺ﷽ﬁ\u200b\ufeff\u00ad",
        "  ",
        "<s>",
        "</s>",
        "<unk>",
        "[PAD]",
    ]

    def part() -> str:
        kind = rng.random()
        if kind < 0.35:
            return chr(rng.randint(*rng.choice(planes)))
        if kind < 0.6:
            return rng.choice(often)
        return rng.choice(pieces)

    return ["".join(part() for _ in range(rng.randint(0, 40))) for _ in range(count)]


def assigned_characters() -> list[str]:
    """Each character that this Python's Unicode knows, and private and unassigned ones of the first plane."""
    every = map(chr, [*range(0xD800), *range(0xE000, 0x30000)])
    return [c for c in every if ord(c) < 0x10000 or unicodedata.category(c) != "Cn"]


def is_rounding_tie(
    lm: Any, prefix: list[int], settings: SamplingSettings, row: int, step: int, tokens: list[int]
) -> bool:
    """Whether all of `tokens` could be drawn as the next one, for all that float32 rounding decides.

    Worked out in float64 from torch's logits and torch's random numbers: each of the tokens wins, or loses by less than the margin,
    among those that no cut removes for certain.
    """
    device, dtype = lm.model.device, lm.model.dtype
    with torch.no_grad():
        scores = lm.model.double()(torch.tensor([prefix])).logits[0, -1].clone()
    lm.model.to(device, dtype)
    seen = torch.tensor(sorted(set(prefix)))
    penalty = settings.repetition_penalty
    scores[seen] = torch.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)
    if len(prefix) < settings.min_length:
        scores[lm.tokenizer.eos_token_id] = -math.inf
    margin = MARGIN * max(penalty, 1 / penalty)
    kept = surely = scores > -math.inf
    if settings.do_sample:
        scores = scores / settings.temperature
        margin /= settings.temperature
        if 0 < settings.top_k < len(scores):
            least = scores.topk(settings.top_k).values[-1]
            kept, surely = kept & (scores >= least - margin), surely & (scores > least + margin)
        if settings.top_p < 1:
            among = torch.where(kept, scores, -math.inf)
            ordered, order = among.sort()
            sums = torch.cat([scores.new_zeros(1), ordered.softmax(0).cumsum(0)])
            rest = 1 - settings.top_p
            # Tokens so close that rounding may put them in either order: with all of them, and with none but itself.
            most = sums[torch.searchsorted(ordered, among + 2 * margin, right=True)]
            least = sums[torch.searchsorted(ordered, among - 2 * margin)] + among.softmax(0)
            kept = kept & (most > rest - margin)
            surely = surely & (least > rest + margin)
            surely[order[-1]] = True
        count = settings.num_return_sequences
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            for _ in range(step + 1):
                waits = torch.empty(count, len(scores)).exponential_(1)
        scores = scores - waits[row].double().log()
    best = scores[surely].max() if surely.any() else -math.inf
    return all(bool(kept[token]) and bool(scores[token] >= best - margin) for token in tokens)
