"""Carry a model over into another vocabulary: what its embeddings know stays."""

import sentencepiece as spm
import torch

from training.tokenizer import UNK

EMBEDDINGS = ("transformer.wte.weight", "lm_head.weight")


def in_vocabulary(
    weights: dict[str, torch.Tensor],
    old: spm.SentencePieceProcessor,
    new: spm.SentencePieceProcessor,
) -> dict[str, torch.Tensor]:
    """`weights` (a GPT-2's state_dict) of the vocabulary `old`, for the vocabulary `new`.

    A piece in both keeps its embedding. Another begins as the mean of the old pieces that spell it,
    or as the mean of all where none does. Everything else, positions too, is taken as it is.
    """
    places = {old.id_to_piece(i): i for i in range(len(old))}
    sources = [_spelling(new.id_to_piece(i), places, old) for i in range(len(new))]
    result = dict(weights)
    for name in EMBEDDINGS:
        if name in weights:
            table = weights[name]
            rows = [table[ids].mean(dim=0) if ids else table.mean(dim=0) for ids in sources]
            result[name] = torch.stack(rows)
    return result


def shared_pieces(old: spm.SentencePieceProcessor, new: spm.SentencePieceProcessor) -> int:
    """How many pieces stand in both vocabularies."""
    both = [{p.id_to_piece(i) for i in range(len(p))} for p in (old, new)]
    return len(both[0] & both[1])


def _spelling(piece: str, places: dict[str, int], old: spm.SentencePieceProcessor) -> list[int]:
    """The old ids that spell a new piece, without the unknown."""
    if piece in places:
        return [places[piece]]
    pieces = old.encode(piece.replace("▁", " "), out_type=str)
    if not piece.startswith("▁") and pieces:
        # SentencePiece opens every text with a ▁ of its own.
        first = pieces[0].removeprefix("▁")
        pieces = [*([first] if first in places else first), *pieces[1:]]
    return [places[p] for p in pieces if places.get(p, UNK) != UNK]
