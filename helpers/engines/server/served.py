"""A model on the class's server: what is known of it, and how requests for it are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.engines.server.connection import Address
    from helpers.settings import SamplingSettings


class Served:
    """Where a model is served, under which name, and its numbers."""

    def __init__(
        self, address: Address, model: str, vocab_size: int, n_positions: int, eos_token_id: int
    ) -> None:
        self.address, self.model = address, model
        self.vocab_size, self.n_positions = vocab_size, n_positions
        self.eos_token_id = eos_token_id

    def fields(self, tokens: int, settings: SamplingSettings, seed: int) -> dict[str, Any]:
        """The settings in the server's terms, for a text that has `tokens` tokens already. Its lengths count new tokens only."""
        fields = {
            "max_tokens": settings.max_length - tokens,
            "min_tokens": max(0, settings.min_length - tokens),
            "repetition_penalty": settings.repetition_penalty,
            "stop_token_ids": [self.eos_token_id],
            "logprobs": 0,
            "temperature": 0.0,
        }
        if settings.do_sample:
            fields |= {
                "temperature": settings.temperature,
                "top_k": min(settings.top_k, self.vocab_size),
                "top_p": settings.top_p,
                "seed": seed % 2**62,
            }
        return fields

    def request(self, prompt: list[int], **more: Any) -> tuple[str, dict[str, Any]]:
        """Path and body of a request, for `connection.send`."""
        common = {"return_token_ids": True, "return_tokens_as_token_ids": True, "seed": 0}
        return "/v1/completions", {"model": self.model, "prompt": prompt, **common, **more}
