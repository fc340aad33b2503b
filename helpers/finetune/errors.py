"""What is raised where a text, a setting or a machine cannot be used for training."""

from __future__ import annotations

from helpers.errors import InputError
from helpers.language import say


class FinetuneError(InputError):
    """A text, a setting or a machine that cannot be used for training. Nothing was changed."""


def unusable(name: str, value: object, ja: str, en: str) -> FinetuneError:
    """The error for a setting out of its range; `ja` and `en` say what is allowed."""
    return FinetuneError(
        say(
            f"{name} = {value!r} は使えません。{ja}を指定してください。",
            f"{name} = {value!r} cannot be used: give {en}.",
        )
    )
