"""The class's server as a `Runner`: ids go out, ids come back, one stream for each text.

The server samples with the settings of the request and returns the probability that each token was drawn with. The
model's own probabilities are requested once, when a text is finished. For the picture of the next token the server
returns the model's distribution once; all settings are then applied here.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from helpers.engines.protocol import Runner
from helpers.engines.server.connection import (
    Address,
    answer_of,
    other_version,
    send,
    wrong_model,
)
from helpers.engines.server.served import Served
from helpers.engines.server.text_stream import TextStream
from helpers.errors import Explained
from helpers.results import Step
from helpers.settings import SamplingSettings, SettingsError

if TYPE_CHECKING:
    import torch

SEQUENCES = 10  # texts at once; the gate in front of the server lets no more in from one address
# What vLLM accepts; a lower temperature it would silently raise to the lower bound.
TEMPERATURES = (0.01, 2.0)


class ServerRunner(Served, Runner):
    """A model on the class's server: `LanguageModel.model` and its `Runner` in one."""

    def __repr__(self) -> str:
        return f"ServerRunner({self.address.url!r}, {self.model!r})"

    def check(self, settings: SamplingSettings) -> None:
        """Raise `SettingsError` for what the server would do differently, or not at all."""
        low, high = TEMPERATURES
        if settings.do_sample and not low <= settings.temperature <= high:
            raise SettingsError(
                "temperature",
                f"temperature = {settings.temperature:g} は、サーバーでは使えません。{low:g} 以上 {high:g} 以下にしてください"
                "（いつも 1 位を選ばせるには do_sample=False）。",
                f"temperature = {settings.temperature:g} cannot be used with a server: use a number from {low:g} to "
                f"{high:g} (to always take the most probable token, set do_sample=False).",
            )
        if settings.do_sample and settings.num_return_sequences > SEQUENCES:
            raise SettingsError(
                "num_return_sequences",
                f"num_return_sequences = {settings.num_return_sequences} は多すぎます。クラスのサーバーでは"
                f"一度に {SEQUENCES} 本までです。",
                f"num_return_sequences = {settings.num_return_sequences} is too many: the class's server writes up to "
                f"{SEQUENCES} texts at once for one reader.",
            )

    def steps(
        self, input_ids: torch.Tensor, settings: SamplingSettings
    ) -> Generator[list[Step | None], None, None]:
        """See `Runner.steps`. `raw` of each step is NaN until `complete` has asked for it.

        A broken stream is resumed where it was, with different random numbers.
        """
        self.check(settings)
        prompt = input_ids[0].tolist()
        count = settings.num_return_sequences if settings.do_sample else 1
        texts = [TextStream(self, prompt, settings, i) for i in range(count)]
        with ExitStack() as stack:
            for text in texts:
                stack.callback(text.close)
            for text in texts:
                text.open()
            while any(not text.ended for text in texts):
                yield [None if text.ended else text.next() for text in texts]

    def complete(self, prompt_ids: list[int], steps: list[list[Step]]) -> list[list[Step]]:
        """Steps with the model's own probability of each token, which one reading of a finished text gives.

        If the server no longer answers, or not as it should, they stay as they are: what was written is kept in any case.
        """
        try:
            texts = [prompt_ids + [step.token_id for step in row] for row in steps]
            # All are on their way before the first answer is waited for.
            waiting = [send(self.address, *self._reading(text)) for text in texts]
            told = [answer_of(self.address, connection) for connection in waiting]
            return [
                self._with_raw(prompt_ids, row, self._choice(answer))
                for row, answer in zip(steps, told, strict=True)
            ]
        except Explained:
            return steps

    def _reading(self, text: list[int]) -> tuple[str, dict[str, Any]]:
        """A request that reads a text; if that fills the last position, one that returns all candidates for it."""
        full = len(text) >= self.n_positions
        read = text[: self.n_positions - 1] if full else text
        more = {"logprobs": -1} if full else {}
        return self.request(read, max_tokens=1, prompt_logprobs=0, temperature=1.0, **more)

    def _with_raw(self, prompt: list[int], row: list[Step], choice: dict[str, Any]) -> list[Step]:
        try:
            told = choice["prompt_logprobs"][len(prompt) :]
            logprobs = [
                place[str(step.token_id)]["logprob"] for step, place in zip(row, told, strict=False)
            ]
            if len(logprobs) < len(row):
                logprobs.append(_top(choice)[row[-1].token_id])
            return [
                step._replace(raw=math.exp(value))
                for step, value in zip(row, logprobs, strict=True)
            ]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise other_version(self.address) from error

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See `Runner.logits`.

        The server returns log-probabilities: the logits up to one number, the same for all. A penalty for repetition needs
        that number. It shows in what a penalty on the last token of the prompt does, against one that is not in it.
        """
        import torch

        prompt = input_ids[0].tolist()
        last = prompt[-1]
        other = next(i for i in range(self.vocab_size) if i not in prompt)
        first = {"max_tokens": 1, "temperature": 1.0}
        whole = send(self.address, *self.request(prompt, logprobs=-1, **first))
        two = first | {"logprobs": 2, "allowed_token_ids": [last, other]}
        penalised = [
            send(self.address, *self.request(prompt, repetition_penalty=penalty, **two))
            for penalty in (2.0, 0.5)
        ]
        values = _top(self._choice(answer_of(self.address, whole)))
        pairs = [_top(self._choice(answer_of(self.address, each))) for each in penalised]
        try:
            logprobs = torch.tensor([values[i] for i in range(self.vocab_size)])
            # A penalty of 2 takes a whole logit from a negative one and half of it from a positive one; of 1/2, the other
            # way round: the larger change is the logit.
            before = values[last] - values[other]
            logit = max((pair[last] - pair[other] - before for pair in pairs), key=abs)
        except KeyError as error:
            raise other_version(self.address) from error
        return (logprobs + (logit - values[last]))[None]

    def _choice(self, answer: Any) -> dict[str, Any]:
        try:
            return answer["choices"][0]
        except (KeyError, IndexError, TypeError) as error:
            raise other_version(self.address) from error


def _top(choice: dict[str, Any]) -> dict[int, float]:
    """Log-probabilities for the first new token, by token id."""
    told = choice["logprobs"]["top_logprobs"][0]
    return {int(name.removeprefix("token_id:")): value for name, value in told.items()}


def connect(address: Address, name: str, vocab_size: int, eos_token_id: int) -> ServerRunner:
    """The runner for a server, after one request that only a server with the right settings answers correctly.

    Raises:
        InputError: a ValueError; another model is served there.
        ServerUnavailable: nobody answers, the key is wrong, or it is another version.
    """
    served, n_positions = served_model(address)
    if served != name:
        raise wrong_model(address, served)
    runner = ServerRunner(address, served, vocab_size, n_positions, eos_token_id)
    probe = runner.request([eos_token_id], max_tokens=1, temperature=1.0, top_k=1, logprobs=-1)
    choice = runner._choice(answer_of(address, send(address, *probe)))
    try:
        values = _top(choice)
        # With one candidate its probability is 1; a server that returns the model's own here would say less.
        as_drawn = abs(values[choice["token_ids"][0]]) < 1e-6
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise other_version(address) from error
    if not as_drawn or len(values) != vocab_size:
        raise other_version(address)
    return runner


def served_model(address: Address) -> tuple[str, int]:
    """The name of the model that a server has, and the longest text in tokens.

    Raises:
        ServerUnavailable: see `connect`.
    """
    answer = answer_of(address, send(address, "/v1/models"))
    try:
        model = answer["data"][0]
        return str(model["id"]), int(model["max_model_len"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise other_version(address) from error
