"""Measure the model against its baselines: ``python -m training.evaluate``."""

import argparse
import itertools
import json
import lzma
import math
import os
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece as spm
import torch
from tqdm import tqdm
from transformers import GPT2LMHeadModel

from helpers.console import run
from helpers.masking import find_words
from training.corpus import HERE, read_corpus
from training.export import MODEL_DIR
from training.ngram import KneserNey
from training.tokenizer import BOS, EOS, PAD, SPECIAL, UNK, load
from training.train import BLOCK, Blocks

HELD = ("validation", "test", "held-out")
EXCERPT = HERE / "excerpt.txt"
PASSAGE = 4096  # tokens of each work at most, from its first on
OPENING = 1024  # also reported separately: all that the earliest model was measured on
WINDOW = 256  # tokens: with more before it the model predicts a little better; kept, to compare with those before
UNKNOWN_BITS = 13.0  # charged for each unknown character: one of 8,192
PRIMER_WORKS = 200  # what the primed compressors read first
COPY = 30  # characters: a passage of this length that stands in the corpus counts as copied
SETTINGS = {"do_sample": True, "top_k": 500, "top_p": 0.95, "min_length": 50, "max_length": 100}
PROMPTS = (
    "国境の長いトンネルを抜けると雪国であった。",
    "雪が降る夜、",
    "私はその人を",
    "ある日の暮方のことである。",
    "「お母さん、",
    "山道を登りながら、",
    "彼は黙って",
    "むかしむかし、",
    "窓の外には",
    "電車の中で、",
    "その晩、男は",
    "春になると、",
    "「どうして君は",
    "江戸の町は",
    "海の底に",
    "少年は空を見上げて、",
    "手紙には、こう書いてあった。",
    "猫は",
    "先生は笑いながら、",
    "戦争が終って、",
)


class Passages(NamedTuple):
    """Works from their first token on: token ids (each with a leading ``<s>``), texts, unknown characters.

    The texts are normalised as the tokenizer does it; a paragraph break is one space.
    """

    ids: list[list[int]]
    texts: list[str]
    unknown: int

    @property
    def characters(self) -> int:
        return sum(map(len, self.texts))


def passages(
    texts: list[str], processor: spm.SentencePieceProcessor, longest: int = PASSAGE
) -> Passages:
    """The first `longest` - 1 tokens of each text."""
    ids, surfaces, unknown = [], [], 0
    for text in texts:
        pieces = processor.encode(text, out_type=str)[: longest - 1]
        numbers = [processor.piece_to_id(piece) for piece in pieces]
        ids.append([BOS, *numbers])
        unknown += sum(len(p) for p, i in zip(pieces, numbers, strict=True) if i == UNK)
        # The ▁ in front of a text is the tokenizer's, not the text's.
        surfaces.append("".join(pieces).replace("▁", " ").removeprefix(" "))
    return Passages(ids, surfaces, unknown)


@torch.no_grad()
def model_bits(model: GPT2LMHeadModel, ids: list[int]) -> np.ndarray:
    """Bits that the model spends on each of ids[1:]: float64, one dimension.

    Beyond 256 tokens the window moves by 128: each token is predicted once, with 128 to 255
    tokens before it.
    """
    bits, done = [], 1
    for start in range(0, max(1, len(ids) - WINDOW // 2), WINDOW // 2):
        window = torch.tensor([ids[start : start + WINDOW]])
        hidden = model.transformer(window)[0][0, done - start - 1 : -1]
        logits = model.lm_head(hidden).float()
        targets = window[0, done - start :]
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        bits.append(losses.double().numpy() / math.log(2))
        done = start + window.shape[1]
    return np.concatenate(bits)


@cache
def xz(data: bytes) -> int:
    """Bits after xz: preset 9, a window of 64 MB, no container."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 26}]
    return 8 * len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


@cache
def ppm(data: bytes) -> int:
    """Bits after PPMd, as in 7-Zip: order 6, 512 MB. Needs the package pyppmd."""
    import pyppmd  # not for readers: only this baseline needs it

    encoder = pyppmd.Ppmd7Encoder(6, 1 << 29)
    return 8 * len(encoder.encode(data) + encoder.flush())


def compressed_bits(text: str, primer: str = "") -> dict[str, float]:
    """Bits that xz and PPMd need for `text`.

    With a primer, what they need for primer and text less what they need for the primer.
    """
    before, whole = primer.encode(), (primer + text).encode()
    return {f.__name__: f(whole) - (f(before) if before else 0) for f in (xz, ppm)}


def ngram_bits(ids: np.ndarray, splits: dict[str, Passages], kept: Path) -> dict[str, float]:
    """Bits of a 5-gram trained on `ids`, for each split.

    The figures are kept in a file: they take minutes and do not depend on the model.
    """
    known = json.loads(kept.read_text()) if kept.exists() else {}
    key = f"{len(ids)} tokens, {zlib.crc32(ids.tobytes()):08x}"
    key += f", {zlib.crc32(repr(splits).encode()):08x}"
    if key not in known:
        ngram = KneserNey(ids)
        known[key] = {
            split: -sum(float(np.log2(ngram.probabilities(np.array(p))).sum()) for p in held.ids)
            for split, held in splits.items()
        }
        kept.write_text(json.dumps(known, indent=1) + "\n")
    return known[key]


def model_figures(bits: float, held: Passages) -> dict:
    """What was measured on, and the model's bits a character, also with the unknown spelled."""
    return {
        "works": len(held.ids),
        "tokens": sum(map(len, held.ids)) - len(held.ids),
        "characters": held.characters,
        "unknown_characters": held.unknown,
        "bits_per_character": _a_character({"model": bits}, held),
    }


def baseline_bits(held: Passages, ngrams: dict[str, float], primer: str) -> dict[str, float]:
    """Bits a character of every baseline; `ngrams` holds bits by name."""
    text = "\n".join(held.texts)
    bits = compressed_bits(text)
    bits |= {f"{name}, primed": value for name, value in compressed_bits(text, primer).items()}
    rounded = {name: round(value / held.characters, 4) for name, value in bits.items()}
    return _a_character(ngrams, held) | rounded


def _a_character(bits: dict[str, float], held: Passages) -> dict[str, float]:
    """Bits a character; compressors spell every character, models write <unk>: also charged for it."""
    spelled = held.unknown * UNKNOWN_BITS
    bits = bits | {f"{name}, unknown spelled": value + spelled for name, value in bits.items()}
    return {name: round(value / held.characters, 4) for name, value in bits.items()}


def excerpt_bits(
    model: GPT2LMHeadModel, processor: spm.SentencePieceProcessor, path: Path = EXCERPT
) -> dict:
    """Bits a character on the shipped excerpt: what a test can repeat in a second."""
    lines = path.read_text(encoding="utf-8").split("\n")
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    held = passages([text], processor)
    return {
        "tokens": len(held.ids[0]) - 1,
        "characters": held.characters,
        "bits_per_character": round(model_bits(model, held.ids[0]).sum() / held.characters, 4),
    }


@torch.no_grad()
def continuations(
    model: GPT2LMHeadModel,
    processor: spm.SentencePieceProcessor,
    prompt: str,
    count: int,
    seed: int,
) -> list[list[int]]:
    """New token ids of `count` continuations with the article's settings, padding taken off."""
    ids = processor.encode(prompt)
    torch.manual_seed(seed)
    inputs = torch.tensor([ids])
    writer: Any = model  # transformers' types do not let a GPT-2 call its own generate
    output = writer.generate(
        inputs, attention_mask=torch.ones_like(inputs), num_return_sequences=count, **SETTINGS
    )
    return [[i for i in row if i != PAD] for row in output[:, len(ids) :].tolist()]


def copied_shares(groups: dict[str, list[str]], corpus: list[str]) -> dict[str, float]:
    """Share (0 to 1) of each group's characters that stand in a long copy.

    A long copy is a run of 30 characters or more that some text of the corpus holds word for word.
    """
    texts = [text for group in groups.values() for text in group]
    covered = [np.zeros(len(text), dtype=bool) for text in texts]
    windows: dict[str, list[tuple[int, int]]] = {}
    for number, text in enumerate(texts):
        for at in range(len(text) - COPY + 1):
            windows.setdefault(text[at : at + COPY], []).append((number, at))
    wanted = np.sort(np.concatenate([window_hashes(text) for text in texts]))
    for text in tqdm(corpus, unit="work", desc="copies"):
        hashes = window_hashes(text)
        if not len(hashes) or not len(wanted):
            continue
        places = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
        for at in np.flatnonzero(wanted[places] == hashes).tolist():
            for number, start in windows.get(text[at : at + COPY], ()):
                covered[number][start : start + COPY] = True
    shares, marks = {}, iter(covered)
    for name, group in groups.items():
        inside = sum(int(next(marks).sum()) for _ in group)
        shares[name] = round(inside / max(1, sum(map(len, group))), 5)
    return shares


def window_hashes(text: str) -> np.ndarray:
    """Hash (uint64) of each run of 30 characters, built from runs of 2, 4, 8 and 16."""
    runs = {1: np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)}
    for left, right in ((1, 1), (2, 2), (4, 4), (8, 8), (4, 2), (8, 6), (16, 14)):
        count = max(0, len(text) - left - right + 1)
        factor = np.uint64(pow(0x9E3779B97F4A7C15, right, 1 << 64))
        runs[left + right] = runs[left][:count] * factor + runs[right][left : left + count]
    return runs[COPY]


def distinct(sequences: list[list[int]], n: int) -> float:
    """Different n-grams of tokens as a share (0 to 1) of all."""
    grams = [tuple(ids[i : i + n]) for ids in sequences for i in range(len(ids) - n + 1)]
    return len(set(grams)) / max(1, len(grams))


def bare(text: str, processor: spm.SentencePieceProcessor) -> str:
    """Normalised text without spaces and line ends, for comparing passages."""
    return processor.normalize(text).replace("▁", "").replace(" ", "")


def generation_figures(
    model: GPT2LMHeadModel,
    processor: spm.SentencePieceProcessor,
    characters: int = 20_000,
) -> tuple[dict, list[str]]:
    """Variety and flaws of at least `characters` generated characters, and the texts."""
    sequences: list[list[int]] = []
    texts: list[str] = []
    seed = 0
    while sum(map(len, texts)) < characters:
        for prompt in PROMPTS:
            new = continuations(model, processor, prompt, 4, seed)
            sequences += new
            texts += [bare(processor.decode(ids), processor) for ids in new]
        seed += 1
    tokens = [i for ids in sequences for i in ids]
    # Whatever a reader should not see: unknown characters, and control tokens in mid-text.
    flaws = [i for ids in sequences for i in ids[:-1] if i in range(BOS, len(SPECIAL))]
    closed = sum(
        ids[-1] == EOS or text.endswith(("。", "」", "』", "?", "!", "…"))
        for ids, text in zip(sequences, texts, strict=True)
    )
    figures = {
        "characters": sum(map(len, texts)),
        "sequences": len(sequences),
        "tokens": len(tokens),
        "distinct": {str(n): round(distinct(sequences, n), 4) for n in (1, 2, 3, 4)},
        "unknown_share": round(tokens.count(UNK) / len(tokens), 6),
        "control_share": round(len(flaws) / len(tokens), 6),
        "ended_by_eos": round(sum(ids[-1] == EOS for ids in sequences) / len(sequences), 4),
        "cut_in_mid_sentence": round(1 - closed / len(sequences), 4),
    }
    return figures, texts


def samples_page(model: GPT2LMHeadModel, processor: spm.SentencePieceProcessor) -> str:
    """A continuation of each fixed prompt, the first without a word to mask, as Markdown."""
    lines = [
        "# Samples",
        "",
        "A continuation of each of 20 fixed prompts, unedited, with `top_k=500, top_p=0.95, "
        "min_length=50, max_length=100`. The seed is the prompt's number; where the text that came "
        "held a word of `helpers/words_to_mask.txt`, it is the next seed without one, and told. "
        "The prompt is in bold, … marks a text cut by `max_length`.",
        "",
    ]
    for number, prompt in enumerate(PROMPTS, 1):
        ids = processor.encode(prompt)
        for seed in itertools.count(number, len(PROMPTS)):
            (new,) = continuations(model, processor, prompt, 1, seed)
            whole = processor.decode(ids + [i for i in new if i != EOS])
            if not find_words(whole):
                break
        text = whole[len(processor.decode(ids)) :].replace("<", "&lt;")
        end = "" if EOS in new else "…"
        told = "" if seed == number else f" (seed {seed})"
        lines.append(f"{number}. **{prompt}**{text}{end}{told}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--run", default="run", help="the run that tells which tokens were seen")
    parser.add_argument("--out", type=Path, default=HERE, help="for evaluation.json, samples.md")
    parser.add_argument(
        "--bits-only", action="store_true", help="only print the model's bits a character"
    )
    args = parser.parse_args()
    model = GPT2LMHeadModel.from_pretrained(args.model, dtype=torch.float32).eval()
    processor = load(args.model / "spiece.model")
    splits, openings = {}, {}
    for split in HELD:
        texts = [work.text for work in read_corpus(args.work_dir, split)]
        splits[split] = passages(texts, processor)
        openings[split] = passages(texts, processor, OPENING)
    results: dict[str, Any] = {}
    for split, held in splits.items():
        bits = [model_bits(model, ids) for ids in tqdm(held.ids, unit="work", desc=split)]
        results[split] = model_figures(sum(b.sum() for b in bits), held)
        opening = sum(b[: OPENING - 1].sum() for b in bits)
        results[split]["openings"] = model_figures(opening, openings[split])
    if args.bits_only:
        print(json.dumps(results, indent=1))
        return
    (args.out / "samples.md").write_text(samples_page(model, processor), encoding="utf-8")
    train_texts = [work.text for work in read_corpus(args.work_dir, "train")]
    ids = np.load(args.work_dir / "train.npy")
    checkpoint = args.work_dir / args.run / "checkpoint.pt"
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    state, seed = saved["state"], saved["recipe"]["seed"]
    blocks = Blocks(ids, seed)
    # After a whole pass all is seen: counted once, since more of the same tells a count nothing.
    seen = ids
    if state["blocks"] < blocks.count:
        seen = blocks.rows(0, state["blocks"], BLOCK)[0].flatten().numpy().astype(np.uint16)
    generation, texts = generation_figures(model, processor)
    results = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(processor),
        "training_steps": state["step"],
        "training_tokens_seen": state["blocks"] * BLOCK,
        "training_minutes": round(state["seconds"] / 60, 1),
        "excerpt": excerpt_bits(model, processor),
        "generation": generation,
    } | results
    parts = splits | {f"{split}, openings": held for split, held in openings.items()}
    kept = args.work_dir / "ngrams.json"
    ngrams = {"5-gram, whole corpus": ngram_bits(ids, parts, kept)}
    if seen is not ids:
        ngrams["5-gram, tokens seen"] = ngram_bits(seen, parts, kept)
    primer = "\n".join(train_texts[:PRIMER_WORKS])
    for split in HELD:
        for part, figures in (
            (split, results[split]),
            (f"{split}, openings", results[split]["openings"]),
        ):
            mine = {name: bits[part] for name, bits in ngrams.items()}
            figures["bits_per_character"] |= baseline_bits(parts[part], mine, primer)
    results["primer_characters"] = len(primer)
    groups = {"generation": texts}
    groups |= {split: [bare(t, processor) for t in held.texts] for split, held in splits.items()}
    shares = copied_shares(groups, [bare(text, processor) for text in train_texts])
    for name, share in shares.items():
        results[name]["copied_share"] = share
    print(json.dumps(results, indent=1))
    partial = args.out / "evaluation.json.partial"
    partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, args.out / "evaluation.json")


if __name__ == "__main__":
    sys.exit(run(main))
