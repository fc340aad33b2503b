"""What a class may ask of its server: sizes, and the check that every request for a text has to pass.

vLLM trusts its clients: in version 0.32 a single token id beyond the vocabulary ends its engine, for everybody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What one request, one pupil and the whole class may ask. Everything else would let one pupil stop the class."""

    sequences: int = 10  # texts in a request
    tokens: int = 4096  # new tokens in a request, all its texts together
    pupil: int = 12  # requests at once from one address: a notebook makes one for each of its texts
    everyone: int = 512  # requests at once
    body: int = 65_536  # bytes of a request
    seconds: float = 10.0  # until a request has arrived


@dataclass(frozen=True)
class Offer:
    """What is served: the model's name, its folder and numbers, and the folder of the site ("" for none)."""

    model: str
    folder: str
    vocab_size: int
    n_positions: int
    eos_token_id: int
    site: str = ""
    limits: Limits = Limits()

    def to_environment(self) -> dict[str, str]:
        """For the process that vLLM starts: it makes the middleware by itself, and hands it nothing."""
        return {"CLASS_SERVER": json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Offer:
        """The offer that `to_environment` wrote."""
        fields = json.loads(environment["CLASS_SERVER"])
        return cls(**fields | {"limits": Limits(**fields["limits"])})

    def for_the_page(self) -> dict[str, Any]:
        """What the lab's page is told (`/class.json`): no key, and no folder of the teacher's machine."""
        fields = asdict(self)
        del fields["folder"], fields["site"]
        return fields | {"completions": "/v1/completions", "files": "/model/"}


class Refused(ValueError):
    """A request is not passed on. `field` names what is wrong, `limit` is the most that is allowed, if that is it."""

    def __init__(self, message: str, field: str = "", limit: float | None = None) -> None:
        super().__init__(message)
        self.field, self.limit = field, limit


def checked(body: bytes, offer: Offer) -> dict[str, Any]:
    """The fields of a request for a text, each of a type and size that cannot harm.

    Raises:
        Refused: a ValueError; a field is unknown, missing, of another type or too large.
    """
    try:
        fields = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused("the body is not JSON") from error
    if not isinstance(fields, dict):
        raise Refused("the body is not a JSON object")
    limits, vocabulary = offer.limits, offer.vocab_size
    whole = {
        "n": (1, limits.sequences),
        "max_tokens": (1, offer.n_positions),
        "min_tokens": (0, offer.n_positions),
        "top_k": (0, vocabulary),
        "seed": (0, 2**63 - 1 - limits.sequences),
        "logprobs": (-1, 2),
        "prompt_logprobs": (0, 0),
    }
    real = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "repetition_penalty": (0.01, 100.0)}
    ids = {"prompt": offer.n_positions, "stop_token_ids": 4, "allowed_token_ids": 4}
    for name, value in fields.items():
        if name in whole:
            _check_number(name, value, int, *whole[name])
        elif name in real:
            _check_number(name, value, (int, float), *real[name])
        elif name in ids:
            if not isinstance(value, list) or not value:
                raise Refused(f"{name} is not a list of token ids", name)
            if len(value) > ids[name]:
                raise Refused(f"{name} has more than {ids[name]} ids", name, ids[name])
            for token in value:
                _check_number(name, token, int, 0, vocabulary - 1)
        elif name in ("stream", "return_token_ids", "return_tokens_as_token_ids"):
            if not isinstance(value, bool):
                raise Refused(f"{name} is neither true nor false", name)
        elif name == "model":
            if value != offer.model:
                raise Refused(f"the model served here is {offer.model}", name)
        else:
            shown = ascii(name[:40])[1:-1]  # half of a character pair could not be answered with
            raise Refused(f"{shown} is not a field of this server", shown)
    for name in ("model", "prompt", "max_tokens"):
        if name not in fields:
            raise Refused(f"{name} is missing", name)
    new, texts = fields["max_tokens"], fields.get("n", 1)
    room = offer.n_positions - len(fields["prompt"])
    if new > room:
        raise Refused(f"after this prompt there is room for {room} tokens", "max_tokens", room)
    if new * texts > limits.tokens:
        raise Refused(
            f"more than {limits.tokens} new tokens in one request", "tokens", limits.tokens
        )
    if fields.get("min_tokens", 0) > new:
        raise Refused("min_tokens is greater than max_tokens", "min_tokens", new)
    if fields.get("logprobs", 0) == -1 and new * texts > 1:
        raise Refused("the whole vocabulary is given for one token only", "logprobs", 1)
    return fields


def _no_number(name: str) -> None:
    raise ValueError(name)


def _check_number(name: str, value: Any, kind: Any, low: float, high: float) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused(f"{name} is not a number of the right kind", name)
    if not low <= value <= high:
        raise Refused(f"{name} is not between {low} and {high}", name, high)
