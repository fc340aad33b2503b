"""What an engine must answer, so that everything above asks none by name: `Engine` writes, a `Loader` makes one.

`LanguageModel.writer` is the `Engine`. `LanguageModel.model` is what lessons call the model: for torch that is the model of
transformers itself, and `Loader.writer` puts the engine around it; another engine may be both in one object.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import GPT2LMHeadModel

    from helpers.device import DeviceChoice
    from helpers.results import Step
    from helpers.settings import SamplingSettings
    from helpers.tokenizer import SentencePieceTokenizer


class Engine(Protocol):
    """A model that is ready to write. Its errors are `Explained`: a sentence each, the cause kept."""

    vocab_size: int
    """How many tokens it has logits for."""

    n_positions: int
    """The longest text in tokens, prompt and continuation together."""

    trainable: bool
    """Whether `LanguageModel.model` is a model of transformers whose weights can learn."""

    plain_call: bool
    """Whether `LanguageModel.model.generate(...)` of transformers writes the same text: code to copy shows that call."""

    told: int | None
    """Of how many tokens, the most probable ones, `logits` are the model's own. None: of all."""

    processor_model: GPT2LMHeadModel
    """The model whose `generate` builds the logits processors for a setting; `helpers.engines.processors` has a stand-in."""

    def check(self, settings: SamplingSettings) -> None:
        """Refuse, before any work, what this engine cannot do.

        Raises:
            SettingsError: with the name of the setting.
        """

    def steps(
        self, input_ids: torch.Tensor, settings: SamplingSettings, at_once: int | None = None
    ) -> Generator[list[Step | None], None, None]:
        """Write, one row a step: for each sequence its new token, None from the step after its end token on.

        Args:
            input_ids: the prompt, int64 of shape (1, tokens), on `LanguageModel.device`.
            settings: checked; `seed` is a number. Greedy search (`do_sample=False`) has one sequence.
            at_once: at most so many sequences side by side; only an engine whose memory can run out needs to follow it.

        A row is given as soon as it is there: callers show it at once. Closing the generator ends the work in its
        `finally` (a request is aborted, a thread is told to stop); callers do so within `contextlib.closing`.
        """

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """For the token after `input_ids` (1, tokens): float32 of shape (1, vocab_size).

        Where only the most probable tokens are told (`told`), the others share evenly what is left of the probability.
        """

    def finished(self, prompt_ids: list[int], steps: list[list[Step]]) -> list[list[Step]]:
        """The steps of a text that has come to its end, or was stopped, with what could not be told before. Raises nothing.

        Most engines tell all with each step, and give back what they are given.
        """

    def ready(self) -> None:
        """Wait until nothing of an earlier text goes on: for measuring."""


@dataclass(frozen=True)
class Request:
    """What `load_model` was asked for. `name` may be "auto"; `url` is for engines that are elsewhere."""

    name: str
    device: str | torch.device | None = None
    dtype: torch.dtype | None = None
    url: str | None = None


class Loader(Protocol):
    """How an engine's models are chosen and loaded: a module with these names (see `helpers.engines.ENGINES`)."""

    elsewhere: bool
    """Whether it computes at a `url`: then only the tokenizer and the configuration have to be on this machine."""

    def claims(self, request: Request) -> bool:
        """Whether this engine takes a request that names none (`engine="torch"`, the default)."""

    def refuse(self, request: Request) -> None:
        """Before any work: raise for a device or dtype (or url, if it takes one) that the engine cannot use, and where it is not installed.

        Raises:
            InputError: a ValueError.
            Explained: what is missing, and the command or the engine that helps.
        """

    def auto(self, request: Request) -> tuple[str, str] | None:
        """What the name "auto" stands for, and why in one sentence; None leaves it to `helpers.models.choose_model`."""

    def check_config(self, request: Request, config: dict[str, Any]) -> None:
        """Refuse a model by its config.json (empty if there is none). `request.name` is its name.

        Raises:
            InputError: a ValueError.
        """

    def choose(self, request: Request, parameters: int) -> DeviceChoice:
        """Device, dtype and the reason, for a model of so many weights (0: not known)."""

    def worth_saying(self, request: Request, choice: DeviceChoice) -> bool:
        """Whether the choice is other than what a reader would expect, and is printed in one line."""

    def least_memory(self, parameters: int, itemsize: int) -> int:
        """Memory in bytes without which such a model cannot be loaded and write three texts of 100 tokens."""

    def ways(self, parameters: int, choice: DeviceChoice) -> list[tuple[str, int]]:
        """What may help where a choice does not fit: arguments of `load_model`, and the memory of the CPU they take."""

    def folder(self, request: Request) -> Path | None:
        """The folder with the files that are needed here, where `helpers.hub.local_folder` is not to look for them."""

    def make_room(self, request: Request, parameters: int, download: int) -> int:
        """Before a download (in bytes, 0: none): see that what the engine writes has room. Gives the bytes that it
        takes on the disk of the downloads."""

    def load(
        self,
        request: Request,
        folder: Path,
        tokenizer: SentencePieceTokenizer,
        choice: DeviceChoice,
    ) -> Any:
        """`LanguageModel.model`, from a folder with the files. Errors of files need no sentence here: the caller has one."""

    def writer(self, model: Any, tokenizer: SentencePieceTokenizer, device: torch.device) -> Engine:
        """The engine of a model that `load` gave, or that took its place. Made when it is first asked for."""

    def arguments(self, model: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        """The arguments of `load_model`, beside the name and this engine's, that load the model in the same way again.
        Never a key or a password."""
