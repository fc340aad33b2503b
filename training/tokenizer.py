"""Train the SentencePiece model and turn the corpus into token ids: ``python -m training.tokenizer``."""

import argparse
import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import sentencepiece as spm
from tqdm import tqdm

from helpers.console import run
from training.corpus import HERE, Work, read_corpus

VOCAB_SIZE = 8000
SPECIAL = ("<unk>", "<s>", "</s>", "[PAD]", "[CLS]", "[SEP]", "[MASK]")  # ids 0-6, as rinna's
UNK, BOS, EOS, PAD, CLS, SEP, MASK = range(7)
SPLITS = ("train", "validation", "test", "held-out")


def train_tokenizer(
    lines: Iterable[str], path: Path, vocab_size: int = VOCAB_SIZE, coverage: float = 0.9995
) -> spm.SentencePieceProcessor:
    """Train a unigram model on lines of text and write it to `path`.

    Same settings for the same lines give the same file. Raises RuntimeError (from sentencepiece)
    if the lines are too few for `vocab_size` pieces.
    """
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            model_type="unigram",
            vocab_size=vocab_size,
            character_coverage=coverage,
            normalization_rule_name="nmt_nfkc",
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            pad_id=PAD,
            pad_piece=SPECIAL[PAD],
            control_symbols=list(SPECIAL[CLS:]),
            num_threads=2,
            minloglevel=2,
        )
    partial.replace(path)
    return load(path)


def load(path: Path) -> spm.SentencePieceProcessor:
    """Open a SentencePiece model.

    Training and evaluation use it raw: T5Tokenizer of transformers 5 gives unknown characters
    the id 2, which here is ``</s>``.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run: python -m training.tokenizer")
    return spm.SentencePieceProcessor(model_file=str(path))


def sample_lines(works: list[Work], characters: int, seed: int = 0) -> Iterator[str]:
    """Yield paragraphs drawn without replacement, `characters` in all or fewer."""
    lines = [line for work in works for line in work.text.split("\n")]
    random.Random(seed).shuffle(lines)
    for line in lines:
        yield line
        characters -= len(line)
        if characters < 0:
            return


def encode_works(works: list[Work], processor: spm.SentencePieceProcessor) -> np.ndarray:
    """Token ids of all works in order, each ``<s> ... </s>``: uint16, one dimension."""
    parts = []
    with tqdm(total=len(works), unit="work", desc="encode") as bar:
        for start in range(0, len(works), 64):
            batch = works[start : start + 64]
            for ids in processor.encode([work.text for work in batch], num_threads=2):
                parts.append(np.array([BOS, *ids, EOS], dtype=np.uint16))
            bar.update(len(batch))
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--vocab-size", type=int, default=VOCAB_SIZE)
    parser.add_argument("--sample", type=int, default=12_000_000, help="characters to learn from")
    args = parser.parse_args()
    path = args.work_dir / "spiece.model"
    train = read_corpus(args.work_dir, "train")
    if path.exists():
        print(f"{path} is there already: kept (delete it to train another)")
        processor = load(path)
    else:
        processor = train_tokenizer(sample_lines(train, args.sample), path, args.vocab_size)
    counts = {}
    for split in SPLITS:
        works = read_corpus(args.work_dir, split)
        ids = encode_works(works, processor)
        partial = args.work_dir / f"{split}.npy.partial"
        with open(partial, "wb") as file:
            np.save(file, ids)
        partial.replace(args.work_dir / f"{split}.npy")
        characters = sum(len(work.text) for work in works)
        counts[split] = {
            "tokens": len(ids),
            "characters_per_token": round(characters / len(ids), 4),
            "unknown_share": round(float((ids == UNK).mean()), 6),
        }
    (args.work_dir / "tokens.json").write_text(json.dumps(counts, indent=1) + "\n")
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    sys.exit(run(main))
