"""SentencePiece exactly as the model was trained with it, behind a transformers tokenizer.

Why not `T5Tokenizer`, as rinna's model cards say? Since transformers 5 it assumes T5's own order of special
tokens (`<unk>` is 2). In rinna's files `<unk>` is 0 and 2 is `</s>`: every unknown character would silently
become "end of text". It also ignores `do_lower_case`. Here the ids come from the `sentencepiece` library itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from helpers import BUNDLED_MODEL
from helpers.errors import InputError
from helpers.hub import local_folder


class SentencePieceTokenizer(SentencePieceBackend):
    """A transformers tokenizer whose ids are those of the model's `spiece.model`.

    The text of a special token that somebody typed ("</s>") is ordinary text here. Tokens that were added to the
    vocabulary ("<|user|>") are found in a text, as transformers finds them. `encode` appends `</s>` as T5Tokenizer does,
    unless `add_special_tokens=False`.
    """

    vocab_files_names: ClassVar = {"vocab_file": "spiece.model"}  # type: ignore[misc]  # transformers declares it without ClassVar
    model_input_names: ClassVar = ["input_ids", "attention_mask"]  # type: ignore[misc]  # transformers declares it without ClassVar

    def __init__(self, vocab_file: str, do_lower_case: bool = False, **kwargs: Any) -> None:
        self.do_lower_case = do_lower_case
        # T5's sentinel tokens <extra_id_N> are not part of a GPT-2 vocabulary.
        kwargs.pop("extra_ids", None)
        kwargs["split_special_tokens"] = True
        kwargs["special_tokens_pattern"] = "eos"
        kwargs["legacy"] = True
        super().__init__(vocab_file=vocab_file, do_lower_case=do_lower_case, **kwargs)
        if self.eos_token is None:
            self.special_tokens_pattern = "none"

    def prepare_text(self, text: str) -> str:
        """The text as SentencePiece gets it: in lower case where the model was trained so.

        Raises:
            InputError: a ValueError; the text has half of a character pair (a lone surrogate), which is not a character.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"prompt の {error.start + 1} 文字目は、文字として正しくありません。その文字を消してください。",
                f"character {error.start + 1} of the prompt is half of a character pair, not text: remove it.",
            ) from error
        return text.lower() if self.do_lower_case else text

    def tokenize(self, text: str, *_: Any, **kwargs: Any) -> list[str]:
        """The pieces of a text. Unlike the base class, pieces of unknown characters read `<unk>`.

        The base class would look the pieces' text up again, and unknown characters that happen to spell a
        special token would turn into it.
        """
        pieces = []
        for part, token_id in self.split_added(text):
            if token_id is None:
                pieces += self.sp_model.id_to_piece(self.sp_model.encode(part))
            else:
                pieces.append(self.convert_ids_to_tokens(token_id))
        return pieces

    def split_added(self, text: str) -> Iterator[tuple[str, int | None]]:
        """A text in parts: tokens that were added to the vocabulary, each with its id, and the prepared text between."""
        prepared = self.prepare_text(text)
        own = {str(getattr(self, name)) for name in self.SPECIAL_TOKENS_ATTRIBUTES}
        added = {key: i for key, i in self._added_tokens_encoder.items() if key not in own}
        if not added:
            yield prepared, None
            return
        longest_first = "|".join(map(re.escape, sorted(added, key=len, reverse=True)))
        any_case = re.IGNORECASE if self.do_lower_case else re.NOFLAG
        for part in re.split(f"({longest_first})", text, flags=any_case):
            if part:
                token_id = added.get(part, added.get(part.lower()) if any_case else None)
                yield (self.prepare_text(part) if token_id is None else part), token_id

    def _convert_id_to_token(self, index: int) -> str:
        # Some models have more rows than pieces, rounded up to a convenient number: the extra rows mean nothing.
        return self.sp_model.id_to_piece(
            index if index < self.vocab_size else self.sp_model.unk_id()
        )

    def unfinished(self, token_ids: list[int]) -> int:
        """How many of the last tokens are bytes of a character whose other bytes have not come yet (0 to 3)."""
        read = b""
        for i in reversed(token_ids[-3:]):
            if not (i < self.vocab_size and self.sp_model.is_byte(i)):
                return 0
            read = bytes([int(self.sp_model.id_to_piece(i)[3:5], 16)]) + read
            if read[0] >= 0xC0:  # the first byte tells how many there are
                length = 2 + (read[0] >= 0xE0) + (read[0] >= 0xF0)
                return len(read) if len(read) < length else 0
        return 0

    def _decode(
        self, token_ids: int | list[int], skip_special_tokens: bool = False, *_: Any, **kwargs: Any
    ) -> str:
        # transformers strips the ends of the text; sentencepiece itself loses nothing.
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        special, pieces = set(self.all_special_ids), self.vocab_size
        run: list[int] = []
        parts: list[str | list[int]] = [run]
        for i in ids:
            added = i in self._added_tokens_decoder and i not in special
            if i < pieces and i not in special and not added:
                run.append(i)
            elif added or not skip_special_tokens:
                run = []
                parts += [self.convert_ids_to_tokens(i), run]
        return "".join(p if isinstance(p, str) else self.sp_model.decode(p) for p in parts)


def load_tokenizer(name_or_path: str | Path = BUNDLED_MODEL) -> SentencePieceTokenizer:
    """Load the tokenizer of a model in rinna's layout (a `spiece.model` and its `tokenizer_config.json`).

    Args:
        name_or_path: "aozora-mini", a folder, or a hub id such as "rinna/japanese-gpt-1b".

    Returns:
        A transformers tokenizer whose ids equal those of the `sentencepiece` library on any text.

    Raises:
        InputError: a ValueError; the name is none of these, or the model is in another layout, without `spiece.model`.
        ModelUnavailable: an OSError; the files could not be downloaded.
    """
    folder = local_folder(name_or_path, weights=False)
    if not (folder / "spiece.model").is_file():
        raise InputError(
            f"{name_or_path} に spiece.model がありません。"
            "rinna/japanese-gpt-1b と同じ配置（SentencePiece）のモデルを指定してください。",
            f"{name_or_path} has no spiece.model: "
            "give a model in the layout of rinna/japanese-gpt-1b (SentencePiece).",
        )
    return SentencePieceTokenizer.from_pretrained(folder)


class Piece(NamedTuple):
    """One token of a text: the part of the text it covers (`▁` marks a space or the beginning), its piece and id."""

    surface: str
    piece: str
    token_id: int


def split_pieces(tokenizer: SentencePieceTokenizer, text: str) -> list[Piece]:
    """The tokens of a text, each with the (normalised) characters it covers: those of `<unk>` stay readable."""
    sp, pieces = tokenizer.sp_model, []
    for part, token_id in tokenizer.split_added(text):
        if token_id is None:
            # As strings, sentencepiece shows the characters themselves where the id is that of <unk>.
            surfaces, ids = sp.encode(part, out_type=str), sp.encode(part, out_type=int)
            surfaces = _whole_characters(tokenizer, surfaces, ids)
            pieces += [Piece(*row) for row in zip(surfaces, sp.id_to_piece(ids), ids, strict=True)]
        else:
            pieces.append(Piece(part, tokenizer.convert_ids_to_tokens(token_id), token_id))
    return pieces


def _whole_characters(
    tokenizer: SentencePieceTokenizer, surfaces: list[str], ids: list[int]
) -> list[str]:
    """A character spelled in bytes is shown at its last byte; the bytes before it show nothing."""
    sp, shown, start = tokenizer.sp_model, list(surfaces), 0
    for i, token_id in enumerate(ids):
        if not sp.is_byte(token_id):
            start = i + 1
            continue
        if tokenizer.unfinished(ids[start : i + 1]):
            shown[i] = ""
        else:
            shown[i] = sp.decode(ids[start : i + 1])
            start = i + 1
    return shown


def normalize(tokenizer: SentencePieceTokenizer, text: str) -> str:
    """The text after the tokenizer's own normalisation (`nmt_nfkc` in rinna's models), as the model sees it."""
    return "".join(
        tokenizer.sp_model.normalize(part).replace("▁", " ").strip(" ")
        if token_id is None
        else part
        for part, token_id in tokenizer.split_added(text)
    )
