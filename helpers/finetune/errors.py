"""What is raised where a text, a setting or a machine cannot be used for training."""

from __future__ import annotations

from helpers.errors import InputError


class FinetuneError(InputError):
    """A text, a setting or a machine that cannot be used for training. Nothing was changed."""
