"""A training run as data: its settings and its record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from helpers.errors import Explained, unusable
from helpers.finetune.errors import FinetuneError


@dataclass(frozen=True)
class TrainingSettings:
    """How to train. `length` is in tokens; the learning rate is its peak; `seed` decides the order of the windows.

    With `keep_best=False` the model ends with the last weights, not with the best on held-out text: to see overfitting.

    Raises:
        FinetuneError: a setting is out of its range.
    """

    steps: int = 40
    batch_size: int = 8
    length: int = 128
    learning_rate: float = 1e-4
    warmup_steps: int = 10
    evaluate_every: int = 10
    seed: int = 42
    keep_best: bool = True

    def __post_init__(self) -> None:
        lowest = {
            "steps": 1,
            "batch_size": 1,
            "length": 2,
            "warmup_steps": 0,
            "evaluate_every": 1,
            "seed": 0,
        }
        for name, low in lowest.items():
            value = getattr(self, name)
            if type(value) is not int or value < low:
                raise FinetuneError(
                    *unusable(name, value, f"{low} 以上の整数", f"an integer, {low} or more")
                )
        if not 0 < self.learning_rate < math.inf:
            raise FinetuneError(
                *unusable(
                    "learning_rate", self.learning_rate, "0 より大きい数", "a number greater than 0"
                )
            )


@dataclass
class TrainingRun:
    """The record of a training run.

    Attributes:
        settings: what it was started with.
        losses: the training loss of each step, in bits per character.
        held_out: steps at which held-out text was measured, and its bits per character; the first is step 0.
        seconds: time that was spent, evaluations included.
        measuring: while held-out text is measured, the share (0 to 1) that is done; else None.
        stopped: "finished", "user" (interrupted), "nan", or "" while it runs.
    """

    settings: TrainingSettings
    losses: list[float] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    measuring: float | None = None
    stopped: str = ""

    @property
    def best(self) -> tuple[int, float]:
        """The step with the fewest bits per character on held-out text, and these bits."""
        return min(self.held_out, key=lambda point: point[1])

    @property
    def improvement(self) -> float:
        """By what share (0 to 1) the held-out bits per character fell, best against start."""
        return 1 - self.best[1] / self.held_out[0][1]


class LossNotFinite(FinetuneError):
    """The loss became NaN or infinite. The model has the best weights of before; `run` holds the curve."""

    def __init__(self, ja: str, en: str, run: TrainingRun) -> None:
        super().__init__(ja, en)
        self.run = run


class CheckpointNotSaved(Explained, OSError):
    """A checkpoint could not be written. The model has its best weights; `run` holds the curve."""

    def __init__(self, ja: str, en: str, run: TrainingRun) -> None:
        super().__init__(ja, en)
        self.run = run
