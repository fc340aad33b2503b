"""The settings of a generation, and what is checked before any work: one clear sentence for each mistake."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from helpers.errors import InputError
from helpers.language import say

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_INTEGER = 2**63 - 1  # what torch takes
MAX_SEQUENCES = 1000
# Beyond these, probabilities in float32 become infinite or are no numbers.
TEMPERATURES = (0.001, 1000.0)
PENALTIES = (0.01, 100.0)


class SettingsError(InputError):
    """A setting or a prompt that cannot be used. `field` names it; the message says what is allowed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SamplingSettings:
    """How to generate. The defaults are the article's; `validate` of the fields happens on creation.

    Lengths are in tokens and count the prompt. Ranges: `0 <= min_length <= max_length`, `top_k >= 0` (0 is off),
    `0 < top_p <= 1` (1 is off), `0.001 <= temperature <= 1000`, `0.01 <= repetition_penalty <= 100` (1 is off),
    `1 <= num_return_sequences <= 1000`. `seed` None draws one and notes it in the result. With `do_sample=False` the most
    probable token is always taken, and top_k, top_p, temperature and seed play no part.

    Raises:
        SettingsError: a ValueError with the name of the field.
    """

    min_length: int = 50
    max_length: int = 100
    do_sample: bool = True
    top_k: int = 500
    top_p: float = 0.95
    temperature: float = 1.0
    repetition_penalty: float = 1.0
    num_return_sequences: int = 3
    seed: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.do_sample, bool):
            raise unusable("do_sample", self.do_sample, "True / False", "True or False")
        for field, low, high, ja, en in (
            ("min_length", 0, MAX_INTEGER, "0 以上の整数", "an integer of 0 or more"),
            ("max_length", 1, MAX_INTEGER, "1 以上の整数", "an integer of 1 or more"),
            (
                "top_k",
                0,
                MAX_INTEGER,
                "0 以上の整数（0 は制限なし）",
                "an integer of 0 or more (0 is off)",
            ),
            (
                "num_return_sequences",
                1,
                MAX_SEQUENCES,
                f"1 以上 {MAX_SEQUENCES} 以下の整数",
                f"an integer from 1 to {MAX_SEQUENCES}",
            ),
        ):
            self._set_integer(field, low, high, ja, en)
        if self.seed is not None:
            self._set_integer(
                "seed",
                0,
                MAX_INTEGER,
                f"0 以上 {MAX_INTEGER} 以下の整数か None",
                f"an integer from 0 to {MAX_INTEGER}, or None",
            )
        least, most = TEMPERATURES
        self._set_number(
            "temperature",
            least,
            most,
            f"{least:g} 以上 {most:g} 以下の数（いつも 1 位を選ばせるには do_sample=False）",
            f"a number from {least:g} to {most:g} (always the most probable token: do_sample=False)",
        )
        least, most = PENALTIES
        self._set_number(
            "repetition_penalty",
            least,
            most,
            f"{least:g} 以上 {most:g} 以下の数（1 は罰なし）",
            f"a number from {least:g} to {most:g} (1 is off)",
        )
        self._set_number(
            "top_p",
            math.ulp(0.0),
            1.0,
            "0 より大きく 1 以下の数（1 は制限なし）",
            "a number greater than 0, at most 1 (1 is off)",
        )
        if self.min_length > self.max_length:
            raise SettingsError(
                "min_length",
                say(
                    f"min_length = {self.min_length} が max_length = {self.max_length} より大きくなっています。"
                    "min_length を max_length 以下にしてください。",
                    f"min_length = {self.min_length} is greater than max_length = {self.max_length}: "
                    "make min_length at most max_length.",
                ),
            )

    def _set_integer(self, field: str, low: int, high: int, ja: str, en: str) -> None:
        value = getattr(self, field)
        if _is_truth_value(value):
            raise unusable(field, value, ja, en)
        try:
            number = operator.index(value)
        except (TypeError, RuntimeError):
            raise unusable(field, value, ja, en) from None
        if not low <= number <= high:
            raise unusable(field, value, ja, en)
        object.__setattr__(self, field, number)

    def _set_number(self, field: str, low: float, high: float, ja: str, en: str) -> None:
        value = getattr(self, field)
        if _is_truth_value(value) or not isinstance(value, Real):
            raise unusable(field, value, ja, en)
        try:
            number = float(value)
        except OverflowError:
            raise unusable(field, value, ja, en) from None
        if not low <= number <= high:
            raise unusable(field, value, ja, en)
        object.__setattr__(self, field, number)


def _is_truth_value(value: object) -> bool:
    """True and False, numpy's own too: older numpy takes those for integers, and warns."""
    return type(value).__name__ in ("bool", "bool_")


def unusable(field: str, value: object, ja: str, en: str) -> SettingsError:
    """The error for a value that is not what `ja` and `en` describe."""
    try:
        shown = " ".join(repr(value).split())
    except ValueError:
        # Python writes no integer of more than 4,300 digits.
        shown = type(value).__name__
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return SettingsError(
        field,
        say(
            f"{field} = {shown} は使えません。{ja}を指定してください。",
            f"{field} = {shown} cannot be used: give {en}.",
        ),
    )


def generate_arguments(
    tokenizer: PreTrainedTokenizerBase, settings: SamplingSettings
) -> dict[str, Any]:
    """The settings as the keyword arguments of `model.generate`, as the article writes them."""
    arguments = asdict(settings)
    del arguments["seed"]
    if not settings.do_sample:
        # transformers warns about settings that greedy search does not use.
        for name in ("top_k", "top_p", "temperature"):
            del arguments[name]
        # Greedy search has one answer; transformers refuses to return it several times.
        del arguments["num_return_sequences"]
    return arguments | {
        "pad_token_id": tokenizer.eos_token_id
        if tokenizer.pad_token_id is None
        else tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
