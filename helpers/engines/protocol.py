"""The protocol of engines, so that nothing above this folder asks for one by name: a `Loader` loads a model, a `Runner` runs it.

`LanguageModel.engine` is an engine's name and `LanguageModel.runner` its `Runner`. `LanguageModel.model` is what lessons call the
model: for torch that is the transformers model itself, and `Loader.runner` puts a runner around it; in another engine one
object may be both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import GPT2LMHeadModel

    from helpers.device import DeviceChoice
    from helpers.results import Step
    from helpers.settings import SamplingSettings
    from helpers.tokenizer import SentencePieceTokenizer


class Runner(ABC):
    """A model that is ready to write. Its errors are `Explained`: a sentence each, the cause kept."""

    vocab_size: int
    """How many tokens it has logits for."""

    n_positions: int
    """The longest text in tokens, prompt and continuation together."""

    trainable = False
    """Whether `LanguageModel.model` is a transformers model whose weights can be trained."""

    plain_call = False
    """Whether the `LanguageModel.model.generate(...)` of transformers writes the same text: the code to copy then shows that call."""

    @cached_property
    def processor_model(self) -> GPT2LMHeadModel:
        """The model whose `generate` builds the logits processors for a setting."""
        from helpers.engines.logits_processors import stand_in

        return stand_in(self.vocab_size, self.n_positions)

    def check(self, settings: SamplingSettings) -> None:  # noqa: B027 (most refuse nothing)
        """Refuse, before any work, what this engine cannot do.

        Raises:
            SettingsError: with the name of the setting.
        """

    @abstractmethod
    def steps(
        self, input_ids: torch.Tensor, settings: SamplingSettings
    ) -> Generator[list[Step | None], None, None]:
        """Write, one row per step: for each sequence its new token, None from the step after its end token on.

        Args:
            input_ids: the prompt, int64 of shape (1, tokens), on `LanguageModel.device`.
            settings: checked; `seed` is a number. Greedy search (`do_sample=False`) has one sequence.

        A row is yielded as soon as it is complete: callers show it at once. Closing the generator ends the work in its
        `finally` (a request is aborted, a thread is told to stop); callers do so within `contextlib.closing`.
        """

    @abstractmethod
    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """For the token after `input_ids` (1, tokens): float32 of shape (1, vocab_size)."""

    def complete(self, prompt_ids: list[int], steps: list[list[Step]]) -> list[list[Step]]:
        """The steps of texts that have ended or were stopped, with what was not known while they were written. Raises nothing."""
        return steps

    def ready(self) -> None:  # noqa: B027 (most have nothing to wait for)
        """Wait until the work on earlier texts is over, so that it does not count in a measurement."""


@dataclass(frozen=True)
class Request:
    """What `load_model` was asked for. `name` may be "auto"; `url` is for engines that are on another machine."""

    name: str
    device: str | torch.device | None = None
    dtype: torch.dtype | None = None
    url: str | None = None


class Loader(ABC):
    """How an engine's models are chosen and loaded. Each engine's module has one, `LOADER` (see `helpers.engines.ENGINES`).

    The methods that have a body here suit an engine that runs on this machine, only on request, from a model's own files.
    """

    remote = False
    """Whether it computes at a `url`: then only the tokenizer and the configuration have to be on this machine."""

    def claims(self, request: Request) -> bool:
        """Whether this engine takes a request that names none (`engine="torch"`, the default)."""
        return False

    @abstractmethod
    def check_request(self, request: Request) -> None:
        """Before any work: raise for a device, dtype or url that the engine cannot use, or if it is not installed.

        Raises:
            InputError: a ValueError.
            Explained: what is missing, and the command or the other engine that helps.
        """

    def auto(self, request: Request) -> tuple[str, str] | None:
        """What the name "auto" stands for, and why in one sentence; None leaves it to `helpers.models.choose_model`."""
        return None

    def check_config(self, request: Request, config: dict[str, Any]) -> None:  # noqa: B027
        """Refuse a model by its config.json (empty if there is none). `request.name` is its name.

        Raises:
            InputError: a ValueError.
        """

    @abstractmethod
    def choose(self, request: Request, parameters: int) -> DeviceChoice:
        """Device, dtype and the reason, for a model of `parameters` weights (0: unknown)."""

    def worth_saying(self, request: Request, choice: DeviceChoice) -> bool:
        """Whether the choice may surprise a reader, and is printed in one line."""
        return True

    def least_memory(self, parameters: int, itemsize: int) -> int:
        """Bytes of memory without which such a model cannot be loaded and write three texts of 100 tokens."""
        return 0

    def alternatives(self, parameters: int, choice: DeviceChoice) -> list[tuple[str, int]]:
        """What to try if a choice does not fit into memory: arguments of `load_model`, and the CPU memory that they need."""
        return []

    def folder(self, request: Request) -> Path | None:
        """The folder with the files that are needed here, where `helpers.hub.local_folder` is not to look for them."""
        return None

    def check_disk_space(self, request: Request, parameters: int, download: int) -> int:
        """Before a download (in bytes, 0: none): check that there is space for what the engine writes to disk. Returns the
        bytes of it that go to the disk of the downloads."""
        return 0

    @abstractmethod
    def load(
        self,
        request: Request,
        folder: Path,
        tokenizer: SentencePieceTokenizer,
        choice: DeviceChoice,
    ) -> Any:
        """`LanguageModel.model`, from a folder with the files. Errors of files need no sentence here: the caller has one."""

    def runner(self, model: Any, tokenizer: SentencePieceTokenizer, device: torch.device) -> Runner:
        """The runner of a model that `load` returned, or that replaced it. Made when first needed."""
        return model

    def arguments(self, model: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        """The arguments of `load_model`, besides the name and this engine's, that load the model in the same way again.
        Never a key or a password."""
        return {}
