"""`generate`, `stream` and the next-token distribution, with the settings of `helpers.settings`.

All three go through `model.generate` of transformers, so what a reader sees is what the library does.
"""

from helpers.prompts import encode_prompt
from helpers.results import Generation, Sequence, Step, StreamEvent
from helpers.sampling.distribution import (
    Candidate,
    Distribution,
    distribution_from_logits,
    next_token_distribution,
    next_token_logits,
)
from helpers.sampling.generation import generate, stream, stream_ids
from helpers.settings import SamplingSettings, SettingsError, generate_arguments

__all__ = [
    "Candidate",
    "Distribution",
    "Generation",
    "SamplingSettings",
    "Sequence",
    "SettingsError",
    "Step",
    "StreamEvent",
    "distribution_from_logits",
    "encode_prompt",
    "generate",
    "generate_arguments",
    "next_token_distribution",
    "next_token_logits",
    "stream",
    "stream_ids",
]
