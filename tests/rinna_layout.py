"""Tiny models with random weights in the layouts of rinna's repositories, made on the spot."""

import json
from pathlib import Path

import sentencepiece
import torch
from transformers import GPT2Config, GPT2LMHeadModel

SPECIAL = {
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# Where rinna's files put their special tokens: the GPT-2 models one way, gpt-1b another.
LAYOUTS = {
    "gpt2": {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1},
    "gpt-1b": {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "pad_piece": "[PAD]"},
}
TEXT = (
    """国境の長いトンネルを抜けると雪国であった。
吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。
親譲りの無鉄砲で小供の時から損ばかりしている。
山の中に一軒の茶店があって、雪の降る夜には旅人が火にあたりながら話をした。
カタカナとひらがなと漢字、ＡＢＣとabcとABC、１２３と123、①②③、㍻。
The quick brown fox jumps over the lazy dog. Hello, world!
"""
    * 40
)


def make_tokenizer(
    folder: Path, layout: str = "gpt2", do_lower_case: bool = False, vocab_size: int = 200
) -> Path:
    """Train a SentencePiece model and write it with rinna's tokenizer files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text(TEXT.lower() if do_lower_case else TEXT, encoding="utf-8")
    in_vocabulary = ["[CLS]", "[SEP]", "[MASK]"]
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=vocab_size,
        # Some characters of the text stay unknown.
        character_coverage=0.99,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        control_symbols=(["[PAD]"] if layout == "gpt2" else []) + in_vocabulary,
        minloglevel=2,
        **LAYOUTS[layout],
    )
    (folder / "text.txt").unlink()
    config = SPECIAL | {
        "tokenizer_class": "T5Tokenizer",
        "do_lower_case": do_lower_case,
        "extra_ids": 0,
        "additional_special_tokens": [],
        "sp_model_kwargs": {},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(SPECIAL), encoding="utf-8")
    return folder


def make_model(
    folder: Path,
    layout: str = "gpt2",
    do_lower_case: bool = False,
    n_positions: int = 64,
    dtype: torch.dtype = torch.float32,
    safe: bool = True,
) -> Path:
    """A tokenizer and a GPT-2 with random weights, saved as safetensors or, with safe=False, pytorch_model.bin."""
    make_tokenizer(folder, layout, do_lower_case)
    sp = raw(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=sp.get_piece_size(),
        n_positions=n_positions,
        n_embd=32,
        n_layer=2,
        n_head=2,
        # Far from uniform, so that top-k and top-p have something to cut.
        initializer_range=0.3,
        bos_token_id=sp.bos_id(),
        eos_token_id=sp.eos_id(),
        pad_token_id=sp.piece_to_id("[PAD]"),
    )
    model = GPT2LMHeadModel(config).to(dtype)
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def raw(folder: Path) -> sentencepiece.SentencePieceProcessor:
    """The oracle: the sentencepiece library on the same file."""
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
