"""`generate` and `stream`: what an engine writes, checked before and gathered as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from helpers.device_errors import explained_device_errors
from helpers.prompts import encode_prompt
from helpers.results import Generation, Sequence, Step, StreamEvent
from helpers.settings import SamplingSettings

if TYPE_CHECKING:
    import torch

    from helpers.models import LanguageModel


def generate(
    language_model: LanguageModel, prompt: str, settings: SamplingSettings | None = None
) -> Generation:
    """Continue a prompt with `model.generate`.

    With one seed, on a CPU in float32, the same ids come from here, from `stream` and from
    `torch.manual_seed(seed); model.generate(...)`. The caller's random state is left as it was.

    Where the memory is too small for all sequences at once, fewer are written at a time: with one seed, on a CPU in
    float32, the texts are the same.

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`; raised before any work.
        OutOfMemory: a MemoryError; not even one sequence fits.
        DeviceLost: a RuntimeError; the GPU stopped.
        Explained: any other failure of an engine, one sentence each. If it comes in mid-text, its `generation` keeps
            what was written.
    """
    settings = _with_seed(settings or SamplingSettings())
    input_ids = encode_prompt(language_model, prompt, settings)
    language_model.runner.check(settings)
    written = _Written(language_model, prompt, settings, input_ids)
    with written.kept(), closing(language_model.runner.steps(input_ids, settings)) as rows:
        for row in rows:
            written.add(row)
    return written.generation()


def stream(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[StreamEvent, None, Generation]:
    """Continue a prompt token by token, all sequences side by side.

    Yields one event for each new token and sequence. The texts of a sequence's events, joined, are its
    continuation: Japanese comes character by character, and a character made of several tokens when it is whole.
    Settings and prompt are checked by the call itself, before the first event is asked for. Closing the generator ends
    the engine's work at once.

    Args:
        should_stop: asked before each step; True ends the generation and keeps what was written ("user").

    Returns:
        The `Generation`, as the generator's return value (`generation = yield from stream(...)`).

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`.
        FloatingPointError: the model computed NaN.
        OutOfMemory: not even one sequence fits.
        DeviceLost: the GPU stopped.
        Explained: any other failure of an engine. If it comes in mid-text, its `generation` keeps what was written.
    """
    settings = _with_seed(settings or SamplingSettings())
    input_ids = encode_prompt(language_model, prompt, settings)
    language_model.runner.check(settings)
    return stream_ids(language_model, prompt, settings, input_ids, should_stop)


def stream_ids(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[StreamEvent, None, Generation]:
    """As `stream`, from ids (int64, shape (1, tokens)) that `encode_prompt` gave or that were chosen one by one.

    Only the engine checks the settings here; `prompt` and `settings`, whose seed must be a number, are kept in the result.
    """
    language_model.runner.check(settings)
    written = _Written(language_model, prompt, settings, input_ids)
    texts: list[_GrowingText] = []
    rows = language_model.runner.steps(input_ids, settings)
    with written.kept(), closing(rows):
        for row in rows:
            written.add(row)
            for i, step in enumerate(row):
                if len(texts) == i:
                    texts.append(_GrowingText(language_model.tokenizer, written.prompt_ids))
                if step is not None:
                    yield StreamEvent(i, step.token_id, texts[i].add(step.token_id))
            if should_stop():
                break
    return written.generation()


class _Written:
    """What has come from an engine so far: the steps of each sequence."""

    def __init__(
        self,
        language_model: LanguageModel,
        prompt: str,
        settings: SamplingSettings,
        input_ids: torch.Tensor,
    ) -> None:
        self.tokenizer, self.prompt, self.settings = language_model.tokenizer, prompt, settings
        self.runner = language_model.runner
        # Taken from the device now: once a GPU is lost, nothing can be read from it.
        with explained_device_errors(language_model.device):
            self.prompt_ids = input_ids[0].tolist()
        self.steps: list[list[Step]] = []

    def add(self, row: list[Step | None]) -> None:
        """One step of all sequences."""
        self.steps = self.steps or [[] for _ in row]
        for steps, step in zip(self.steps, row, strict=True):
            if step is not None:
                steps.append(step)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Attach what was written to whatever ends a text early."""
        try:
            yield
        except Exception as error:
            if self.steps:
                carrier: Any = error  # no exception declares the attribute
                carrier.generation = self.generation()
            raise

    def generation(self) -> Generation:
        """The sequences as far as they are."""
        sequences = []
        for steps in self.runner.complete(self.prompt_ids, self.steps):
            token_ids = self.prompt_ids + [step.token_id for step in steps]
            if steps and steps[-1].token_id == self.tokenizer.eos_token_id:
                stopped = "eos"
            else:
                stopped = "max_length" if len(token_ids) >= self.settings.max_length else "user"
            text = whole_text(self.tokenizer, token_ids)
            sequences.append(Sequence(text, token_ids, stopped, steps))
        return Generation(self.prompt, self.settings, sequences)


def whole_text(tokenizer: Any, token_ids: list[int]) -> str:
    """The text of tokens; a character at its end that lacks some of its bytes is left out."""
    special = set(tokenizer.all_special_ids)
    # Taken out first: one that stands among the bytes of a character does not end it.
    shown = [token_id for token_id in token_ids if token_id not in special]
    return tokenizer.decode(shown[: len(shown) - tokenizer.unfinished(shown)])


class _GrowingText:
    """The text of a sequence as far as it is whole, for tokens that come one at a time."""

    def __init__(self, tokenizer: Any, prompt_ids: list[int]) -> None:
        self.tokenizer = tokenizer
        self.ids = list(prompt_ids)
        self.shown = len(whole_text(tokenizer, self.ids))

    def add(self, token_id: int) -> str:
        self.ids.append(token_id)
        text = whole_text(self.tokenizer, self.ids)
        new = text[self.shown :]
        self.shown = len(text)
        return new


def _with_seed(settings: SamplingSettings) -> SamplingSettings:
    return (
        settings if settings.seed is not None else replace(settings, seed=secrets.randbelow(2**32))
    )
