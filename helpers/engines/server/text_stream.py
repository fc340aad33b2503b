"""One text as the class's server writes it: a stream of tokens that is resumed where it breaks."""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from helpers.engines.server.connection import ServerUnavailable, events_of, other_version, send
from helpers.language import say
from helpers.results import Step

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from helpers.engines.server.served import Served
    from helpers.settings import SamplingSettings

# The seconds before each new try at a broken stream: for a shaky network, not for a server that is gone.
PAUSES = (0.2, 1.0)


class TextStream:
    """One text that the server is writing."""

    def __init__(
        self, served: Served, prompt: list[int], settings: SamplingSettings, place: int
    ) -> None:
        self.served, self.prompt, self.settings, self.place = served, prompt, settings, place
        self.written: list[int] = []
        self.waiting: deque[tuple[int, float]] = deque()
        self.ended = False
        self.connection: HTTPConnection | None = None
        self.events: Generator[dict[str, Any], None, None] = (
            event for event in list[dict[str, Any]]()
        )
        self.failures = 0

    def open(self) -> None:
        """Ask the server to write, from where the text is."""
        ids = self.prompt + self.written
        # Texts and neighbouring seeds have nothing in common; neither has what follows a broken connection.
        seed = (self.settings.seed or 0) * 10_000 + self.place * 100 + self.failures
        fields = self.served.fields(len(ids), self.settings, seed)
        address = self.served.address
        self.connection = send(address, *self.served.request(ids, stream=True, **fields))
        self.events = events_of(address, self.connection)

    def next(self) -> Step:
        """The next token, waited for."""
        while not self.waiting:
            try:
                self._take(next(self.events, None))
            except ServerUnavailable as error:
                # Once it has begun, it is worth another try; a refusal is final, and so is a minute of silence.
                silent = isinstance(error.__cause__, TimeoutError)
                if not self.written or silent or self.failures >= len(PAUSES):
                    raise
                self._again()
        token, final = self.waiting.popleft()
        self.written.append(token)
        ids = len(self.prompt) + len(self.written)
        self.ended = token == self.served.eos_token_id or ids >= self.settings.max_length
        if self.ended:
            self.close()
        return Step(token, math.nan, final)

    def _again(self) -> None:
        self.close()
        while True:
            time.sleep(PAUSES[self.failures])
            self.failures += 1
            try:
                self.open()
            except ServerUnavailable:
                if self.failures >= len(PAUSES):
                    raise
                continue
            if self.settings.do_sample:
                warnings.warn(
                    say(
                        f"{self.served.address.url} との接続が切れたので、つなぎ直しました。ここから先は別の乱数で書くので、"
                        "同じシードでも、もう一度同じ文章にはなりません。",
                        f"the connection to {self.served.address.url} was lost and made again: from here on other random "
                        "numbers are used, and the same seed will not give this text again.",
                    ),
                    stacklevel=2,
                )
            return

    def _take(self, event: dict[str, Any] | None) -> None:
        if event is None:
            raise other_version(self.served.address)
        try:
            for choice in event["choices"]:
                logprobs = choice["logprobs"]["token_logprobs"] if choice["token_ids"] else []
                for token, logprob in zip(choice["token_ids"], logprobs, strict=True):
                    final = math.exp(logprob) if self.settings.do_sample else 1.0
                    self.waiting.append((token, final))
        except (KeyError, TypeError, ValueError) as error:
            raise other_version(self.served.address) from error

    def close(self) -> None:
        """End it: the server aborts what is not finished."""
        # A response that the server ends by closing has taken the socket over from its connection.
        self.events.close()
        if self.connection is not None:
            self.connection.close()
