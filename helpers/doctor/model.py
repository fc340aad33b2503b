"""Whether the bundled model and its tokenizer still compute what they should."""

from __future__ import annotations

import math

from helpers import BUNDLED_MODEL, BUNDLED_PATH, OPENING_LINE
from helpers.doctor.finding import NG, OK, Finding, fetch_again
from helpers.language import say

# What tokenizers get wrong: unknown characters, marks that join, widths, spaces, the text of special tokens.
HARD_TEXTS = (
    "",
    OPENING_LINE,
    "𠮷野家で🍣",
    "👨‍👩‍👧‍👦",
    "ﾊﾟﾝﾀﾞ ①㍻ ＡＢＣ",
    "が か\u3099",
    "雪\n\n国   の ",
    "▁雪▁",
    "雪</s>国",
    "<s><unk>[PAD][CLS][SEP][MASK]",
    "Hello, WORLD",
    "\u202eabc\u202c",
    "\0\x7f",
)


def check_tokenizer() -> Finding:
    from sentencepiece import SentencePieceProcessor

    from helpers.tokenizer import load_tokenizer

    original = SentencePieceProcessor(model_file=str(BUNDLED_PATH / "spiece.model"))
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    wrong = [
        text
        for text in HARD_TEXTS
        if tokenizer.encode(text, add_special_tokens=False) != original.encode(text)
    ]
    special = (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    values = {"texts": len(HARD_TEXTS), "wrong": wrong}
    if not wrong and special == (original.unk_id(), original.bos_id(), original.eos_id()):
        found = say(
            f"難しい文字列 {len(HARD_TEXTS)} 個で、sentencepiece と同じ id です。",
            f"same ids as sentencepiece on {len(HARD_TEXTS)} hard texts.",
        )
        return Finding("tokenizer", OK, found, values=values)
    example = ascii(wrong[0]) if wrong else "<unk>, <s>, </s>"
    found = say(
        f"sentencepiece と id が違います（{example} など）。",
        f"its ids differ from sentencepiece's ({example}, for example).",
    )
    return Finding("tokenizer", NG, found, fetch_again(), values)


def check_model() -> Finding:
    import torch

    from helpers.models import load_model

    try:
        language_model = load_model(BUNDLED_MODEL, device="cpu")
    except OSError as error:
        return Finding("model", NG, str(error), fetch_again())
    model, tokenizer = language_model.model, language_model.tokenizer
    ids = tokenizer.encode(OPENING_LINE, add_special_tokens=False)
    size = model.config.vocab_size
    if tokenizer.vocab_size != size:
        found = say(
            f"語彙の数が合いません（トークナイザー {tokenizer.vocab_size}、モデル {size}）。",
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {size}.",
        )
        return Finding("model", NG, found, fetch_again())
    row = torch.tensor([[tokenizer.bos_token_id, *ids]])
    with torch.no_grad():
        longer = model.generate(
            row,
            attention_mask=torch.ones_like(row),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=tokenizer.pad_token_id,
        )
        scores = model(longer).logits[0].log_softmax(-1)
    bits = -sum(scores[i, token].item() for i, token in enumerate(ids)) / math.log(2) / len(ids)
    # Guessing costs log2(size) bits per token; a model whose weights or vocabulary are damaged does no better.
    guessing = math.log2(size)
    found = say(
        f"書き出しの 1 トークンに {bits:.1f} ビット（あてずっぽうなら {guessing:.1f}）",
        f"{bits:.1f} bits per token on the opening line (guessing takes {guessing:.1f})",
    )
    whole = bool(scores.isfinite().all()) and bits < guessing - 2
    values = {"bits_per_token": bits if math.isfinite(bits) else None}
    return Finding("model", OK if whole else NG, found, "" if whole else fetch_again(), values)
