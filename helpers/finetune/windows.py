"""A text as windows of tokens, and how well a model predicts it: bits per character."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.errors import unusable
from helpers.finetune.errors import FinetuneError
from helpers.language import say

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from helpers.tokenizer import SentencePieceTokenizer

EVALUATION_WINDOW = 256  # tokens, as in training/evaluate.py
LONG = 20_000  # characters: to measure more may take some seconds
IGNORED = -100  # a label that is ignored: PyTorch's own number for it


@dataclass(frozen=True)
class Windows:
    """A text as rows of one length: a dataset for `transformers.Trainer`, and two tensors.

    `input_ids` and `labels` are int64 of shape (rows, length). Rows overlap by one token, so every token but the
    leading `<s>` is predicted once; the last row reaches back to be full, and what it repeats has the label -100.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.input_ids[row], "labels": self.labels[row]}


def _opening(tokenizer: SentencePieceTokenizer) -> list[int]:
    """`<s>`; a vocabulary without one opens with its end token, as between two texts, or with nothing."""
    return [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None][:1]


def make_windows(tokenizer: SentencePieceTokenizer, text: str, length: int = 128) -> Windows:
    """The windows of a text, `<s>` in front.

    Raises:
        FinetuneError: the text has fewer tokens than one window, or a window fewer than 2.
    """
    import torch

    if length < 2:
        raise FinetuneError(*unusable("length", length, "2 以上の整数", "an integer, 2 or more"))
    ids = [*_opening(tokenizer), *tokenizer.encode(text, add_special_tokens=False)]
    if len(ids) < length:
        raise FinetuneError(
            f"文章が短すぎます。{len(ids)} トークンしかなく、一つの窓（{length} トークン）にも足りません。",
            f"the text is too short: its {len(ids)} tokens do not fill one window of {length}.",
        )
    starts = [*range(0, len(ids) - length, length - 1), len(ids) - length]
    input_ids = torch.tensor([ids[start : start + length] for start in starts])
    labels = input_ids.clone()
    if len(starts) > 1:
        # Position 0 of a row is nobody's target; the row before ended with that token.
        labels[-1, : starts[-2] + length - starts[-1]] = IGNORED
    return Windows(input_ids, labels)


def bits_per_character(
    model: PreTrainedModel,
    tokenizer: SentencePieceTokenizer,
    text: str,
    window: int = EVALUATION_WINDOW,
    progress: Callable[[float], None] | None = None,
) -> float:
    """How many bits the model needs per character of the text: nats / ln 2 / characters. Less is better.

    As in training/evaluate.py: a leading `<s>`, a window of 256 tokens that moves by half of itself, each token predicted
    once; characters are those of the normalised text, and an unknown one costs what `<unk>` costs.
    `progress` is called with the share (0 to 1) that is done, before each window; without it, a long text has a bar.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from tqdm import tqdm

    from helpers.tokenizer import normalize

    window = min(window, model.config.max_position_embeddings)
    ids = [*_opening(tokenizer), *tokenizer.encode(text, add_special_tokens=False)]
    nats, done = 0.0, 1
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            starts = range(0, max(1, len(ids) - window // 2), window // 2)
            quiet = progress is not None or len(text) < LONG
            for start in tqdm(starts, say("測定", "measuring"), leave=False, disable=quiet):
                if progress:
                    progress(start / len(ids))
                row = torch.tensor([ids[start : start + window]], device=model.device)
                logits = model(input_ids=row, use_cache=False).logits[0, :-1].float()
                losses = cross_entropy(logits, row[0, 1:], reduction="none")
                nats += losses[done - start - 1 :].sum().item()
                done = start + row.shape[1]
    finally:
        model.train(training)
    return nats / math.log(2) / len(normalize(tokenizer, text))


def bits_scale(tokenizer: SentencePieceTokenizer, text: str) -> float:
    """Turns nats per token into bits per character, for one text."""
    from helpers.tokenizer import normalize

    tokens = len(tokenizer.encode(text, add_special_tokens=False))
    return tokens / len(normalize(tokenizer, text)) / math.log(2)
