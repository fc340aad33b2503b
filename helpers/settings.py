"""The settings of a generation, and what is checked before any work: one clear sentence for each mistake."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.errors import InputError, unusable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_INTEGER = 2**63 - 1  # what torch takes


class Range(NamedTuple):
    """What a number among the settings may be: its kind, its least and greatest value, and the same in words."""

    kind: type
    low: float
    high: float
    ja: str
    en: str


# Beyond those of temperature and repetition_penalty, probabilities in float32 become infinite or NaN.
# fmt: off
RANGES = {
    "min_length": Range(int, 0, MAX_INTEGER, "0 以上の整数", "an integer, 0 or more"),
    "max_length": Range(int, 1, MAX_INTEGER, "1 以上の整数", "an integer, 1 or more"),
    "top_k": Range(int, 0, MAX_INTEGER, "0 以上の整数（0 は制限なし）", "an integer, 0 or more (0 is off)"),
    "num_return_sequences": Range(int, 1, 1000, "1 以上 1000 以下の整数", "an integer from 1 to 1000"),
    "seed": Range(
        int, 0, MAX_INTEGER,
        f"0 以上 {MAX_INTEGER} 以下の整数か None", f"an integer from 0 to {MAX_INTEGER}, or None",
    ),
    "temperature": Range(
        float, 0.001, 1000.0,
        "0.001 以上 1000 以下の数（いつも 1 位を選ばせるには do_sample=False）",
        "a number from 0.001 to 1000 (to always take the most probable token, set do_sample=False)",
    ),
    "repetition_penalty": Range(float, 0.01, 100.0, "0.01 以上 100 以下の数（1 は罰なし）", "a number from 0.01 to 100 (1 is off)"),
    "top_p": Range(
        float, math.ulp(0.0), 1.0,
        "0 より大きく 1 以下の数（1 は制限なし）", "a number greater than 0 and at most 1 (1 is off)",
    ),
}
# fmt: on


class SettingsError(InputError):
    """A setting or a prompt that cannot be used. `field` names it; the message says what is allowed."""

    def __init__(self, field: str, ja: str, en: str = "") -> None:
        super().__init__(ja, en)
        self.field = field


@dataclass(frozen=True)
class SamplingSettings:
    """How to generate. The defaults are the article's; the fields are checked on creation (`RANGES`).

    Lengths are in tokens and count the prompt. Ranges: `0 <= min_length <= max_length`, `top_k >= 0` (0 is off),
    `0 < top_p <= 1` (1 is off), `0.001 <= temperature <= 1000`, `0.01 <= repetition_penalty <= 100` (1 is off),
    `1 <= num_return_sequences <= 1000`. With `seed` None one is drawn and recorded in the result. With
    `do_sample=False` the most probable token is always taken, and top_k, top_p, temperature and seed are ignored.

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
            raise SettingsError(
                "do_sample", *unusable("do_sample", self.do_sample, "True / False", "True or False")
            )
        for field, allowed in RANGES.items():
            value = getattr(self, field)
            if field == "seed" and value is None:
                continue
            number = _number(allowed.kind, value)
            if number is None or not allowed.low <= number <= allowed.high:
                raise SettingsError(field, *unusable(field, value, allowed.ja, allowed.en))
            object.__setattr__(self, field, number)
        if self.min_length > self.max_length:
            raise SettingsError(
                "min_length",
                f"min_length = {self.min_length} が max_length = {self.max_length} より大きくなっています。"
                "min_length を max_length 以下にしてください。",
                f"min_length = {self.min_length} is greater than max_length = {self.max_length}: "
                "set min_length to at most max_length.",
            )


def _number(kind: type, value: Any) -> int | float | None:
    """A value of any library's type as Python's int or float; None if it is not one, or is too large for a float."""
    # True and False, numpy's own too: older numpy takes those for integers, and warns.
    if type(value).__name__ in ("bool", "bool_"):
        return None
    try:
        if kind is int:
            return operator.index(value)
        return float(value) if isinstance(value, Real) else None
    except (TypeError, RuntimeError, OverflowError):
        return None


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
