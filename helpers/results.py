"""What was written, as plain data: the tokens with their probabilities, the texts, and the events of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from helpers.settings import SamplingSettings


class Step(NamedTuple):
    """One new token: its probability as the model computed it, and the one it was drawn with."""

    token_id: int
    raw: float
    final: float


@dataclass(frozen=True)
class Sequence:
    """One continuation. `text` and `token_ids` include the prompt; `stopped` is "eos", "max_length" or "user"."""

    text: str
    token_ids: list[int]
    stopped: str
    steps: list[Step]


@dataclass(frozen=True)
class Generation:
    """What was generated: the prompt, the settings (with the seed that was used) and the sequences."""

    prompt: str
    settings: SamplingSettings
    sequences: list[Sequence]


class StreamEvent(NamedTuple):
    """One new token of one sequence, and the text that became whole with it (it may be empty)."""

    sequence: int
    token_id: int
    text: str
