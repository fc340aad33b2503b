"""What is raised where a model's files cannot be used or fetched."""

from __future__ import annotations

from helpers import BUNDLED_MODEL
from helpers.errors import Explained

# What always helps, in both languages: the end of many sentences.
BUNDLED_JA = f'"{BUNDLED_MODEL}" はダウンロードなしで使えます。'
BUNDLED_EN = f'"{BUNDLED_MODEL}" needs no download.'


class ModelUnavailable(Explained, OSError):
    """A model's files are missing and could not be fetched; the message says what to do, `__cause__` keeps the original error."""


class Interrupted(Explained, KeyboardInterrupt):
    """The reader interrupted a download: still a KeyboardInterrupt, shown in one sentence."""


class TransferFailed(OSError):
    """The hub's client gave up in the middle of a file, without saying why in its type."""


class NotAHub(ValueError):
    """Something other than a hub answered."""
