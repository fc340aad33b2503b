"""Write a checkpoint as helpers/aozora_mini, in the layout of rinna's models: ``python -m training.export``."""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from string import Template

import torch
from transformers import GPT2LMHeadModel

from helpers.console import run
from training.corpus import HERE, ROLES, read_authors
from training.tokenizer import BOS, CLS, EOS, MASK, PAD, SEP, SPECIAL, UNK, load
from training.train import Recipe, make_model

MODEL_DIR = HERE.parent / "helpers" / "aozora_mini"
LAYOUT = (
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer_config.json",
    "model.safetensors",
)
LARGEST = 24_000_000  # bytes of weights: the repository must stay a quick clone

SPECIAL_TOKENS = {
    "bos_token": SPECIAL[BOS],
    "eos_token": SPECIAL[EOS],
    "unk_token": SPECIAL[UNK],
    "sep_token": SPECIAL[SEP],
    "pad_token": SPECIAL[PAD],
    "cls_token": SPECIAL[CLS],
    "mask_token": SPECIAL[MASK],
}
TOKENIZER_CONFIG = SPECIAL_TOKENS | {
    "tokenizer_class": "T5Tokenizer",
    "extra_ids": 0,
    "additional_special_tokens": [],
    "sp_model_kwargs": {},
    "do_lower_case": False,
}
GENERATION_CONFIG = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}


def load_checkpoint(checkpoint: Path) -> GPT2LMHeadModel:
    """The model of a training checkpoint: float32, in evaluation mode."""
    if not checkpoint.exists():
        raise FileNotFoundError(f"{checkpoint} is not there; run: python -m training.train")
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model = make_model(Recipe(**saved["recipe"]), saved["model"]["transformer.wte.weight"].shape[0])
    model.load_state_dict(saved["model"])
    return model.eval()


def export(model: GPT2LMHeadModel, spiece: Path, out: Path) -> None:
    """Write the model (as float16) and the tokenizer into `out`, each file whole.

    Raises ValueError if the tokenizer does not fit the model or the weights exceed 24 MB.
    """
    pieces = len(load(spiece))
    if pieces != model.config.vocab_size:
        raise ValueError(
            f"{spiece} has {pieces} pieces, the model {model.config.vocab_size}; "
            "export a checkpoint with the tokenizer that it was trained with."
        )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as temporary:
        folder = Path(temporary)
        model = make_half(model)
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)  # safetensors writes it private
        size = (folder / "model.safetensors").stat().st_size
        if size > LARGEST:
            raise ValueError(f"The weights take {size:,} bytes; at most {LARGEST:,} are allowed.")
        _write_json(folder / "generation_config.json", GENERATION_CONFIG)
        _write_json(folder / "special_tokens_map.json", SPECIAL_TOKENS)
        _write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
        shutil.copyfile(spiece, folder / "spiece.model")
        for name in LAYOUT:
            (folder / name).replace(out / name)


def make_half(model: GPT2LMHeadModel) -> GPT2LMHeadModel:
    """A float16 copy with the config that belongs in the file."""
    half = GPT2LMHeadModel(model.config)
    half.load_state_dict(model.state_dict())
    half = half.half()
    half.config.use_cache = True
    half.config.tokenizer_class = "T5Tokenizer"
    return half


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


ROWS = {
    "model": "**aozora-mini**",
    "model, unknown spelled": "aozora-mini（未知を綴る）",
    "5-gram, tokens seen": "補間 5-gram（モデルが見たのと同じトークン）",
    "5-gram, whole corpus": "補間 5-gram（学習データ全体）",
    "xz": "xz",
    "xz, primed": "xz（予習あり）",
    "ppm": "PPMd",
    "ppm, primed": "PPMd（予習あり）",
}


def score_table(figures: dict) -> str:
    """Bits a character, one row a model, as Markdown."""
    lines = ["| | 未学習の作品 | 未学習の著者 |", "|---|---|---|"]
    for key, label in ROWS.items():
        if key not in figures["test"]["bits_per_character"]:
            continue  # a model that read the whole corpus saw the same tokens as the second 5-gram
        bits = [figures[split]["bits_per_character"][key] for split in ("test", "held-out")]
        lines.append(f"| {label} | {bits[0]:.2f} | {bits[1]:.2f} |")
    return "\n".join(lines)


def _opening_bits(split: dict) -> float:
    return split["openings"]["bits_per_character"]["model"]


def model_card(work_dir: Path, recipe: Recipe, results: Path = HERE) -> str:
    """The model card: ``card.template.md`` with the figures of ``evaluation.json``.

    Raises FileNotFoundError if the model has not been evaluated.
    """
    path = results / "evaluation.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run: python -m training.evaluate")
    figures = json.loads(path.read_text(encoding="utf-8"))
    counts = json.loads((work_dir / "corpus.json").read_text(encoding="utf-8"))["splits"]
    tokens = json.loads((work_dir / "tokens.json").read_text(encoding="utf-8"))
    authors = read_authors().values()
    names = {
        role: "、".join(author.name for author in authors if author.role == role) for role in ROLES
    }
    test, held_out = (figures[split]["bits_per_character"] for split in ("test", "held-out"))
    generation = figures["generation"]
    values = asdict(recipe) | {
        "parameters": f"{figures['parameters']:,}",
        "megabytes": f"{figures['parameters'] * 2 / 1e6:.1f}",
        "train_works": f"{counts['train']['works']:,}",
        "train_characters": f"{counts['train']['characters']:,}",
        "validation_works": counts["validation"]["works"],
        "test_works": counts["test"]["works"],
        "held_out_works": counts["held-out"]["works"],
        "train_authors": "、".join([names["train"], names["train-only"]]),
        "held_out_authors": names["held-out"],
        "vocabulary": f"{figures['vocabulary']:,}",
        "minutes": f"{figures['training_minutes']:.0f}",
        "steps": f"{figures['training_steps']:,}",
        "tokens": f"{figures['training_tokens_seen']:,}",
        "corpus_tokens": f"{tokens['train']['tokens']:,}",
        "epochs": f"{figures['training_tokens_seen'] / tokens['train']['tokens']:.1f}",
        "table": score_table(figures),
        "leak": f"{figures['test']['copied_share']:.1%}",
        "primer": f"{figures['primer_characters']:,}",
        "generated_characters": f"{generation['characters']:,}",
        "copied": f"{generation['copied_share']:.2%}",
        "distinct_2": f"{generation['distinct']['2']:.1%}",
        "distinct_3": f"{generation['distinct']['3']:.1%}",
        "unknown": f"{generation['unknown_share']:.2%}",
        "ended": f"{generation['ended_by_eos']:.1%}",
        "cut": f"{generation['cut_in_mid_sentence']:.1%}",
        "test_openings": f"{_opening_bits(figures['test']):.2f}",
        "held_out_openings": f"{_opening_bits(figures['held-out']):.2f}",
        "test_bits": f"{test['model']:.2f}",
        "held_out_bits": f"{held_out['model']:.2f}",
        "test_xz": f"{test['xz']:.2f}",
        "test_whole": f"{test['5-gram, whole corpus']:.2f}",
    }
    template = Template((HERE / "card.template.md").read_text(encoding="utf-8"))
    return template.substitute(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--run", default="run", help="name of the run's folder in WORK_DIR")
    parser.add_argument("--out", type=Path, default=MODEL_DIR)
    parser.add_argument(
        "--card", action="store_true", help="only write the card, with the figures now measured"
    )
    args = parser.parse_args()
    checkpoint = args.work_dir / args.run / "checkpoint.pt"
    if args.card:
        recipe = Recipe(**torch.load(checkpoint, weights_only=True, map_location="cpu")["recipe"])
        (args.out / "README.md").write_text(model_card(args.work_dir, recipe), encoding="utf-8")
        return
    model = load_checkpoint(checkpoint)
    export(model, args.work_dir / "spiece.model", args.out)
    print(f"{args.out}: {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    sys.exit(run(main))
