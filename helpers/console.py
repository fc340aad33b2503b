"""What the commands of this project share: options for the settings, and how a command exits."""

import io
import math
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from helpers.language import say
from helpers.settings import SamplingSettings

INTERRUPTED = 130  # as shells report it
NOBODY_READS = 141


def run(main: Callable[[], int | None]) -> int:
    """Run a command; returns the status to exit with, 0 for a command that returns none.

    It ends quietly when nobody reads on (`| head`), and on Ctrl-C.
    """
    _write_utf8()
    try:
        status = main() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Python writes what is left once more when it ends: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _write_utf8() -> None:
    """Let a command write any character: a Windows console in cp932 has no 𠮷 and would raise."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(encoding="utf-8")


def add_settings(parser: ArgumentParser) -> None:
    """Add the options that `given_settings` reads."""
    for field, kind, name, ja, en in (
        (
            "top_k",
            *(int, "N"),
            "確率の上位何個から引くか。0 は制限なし",
            "sample from the N most probable tokens; 0 is off",
        ),
        (
            "top_p",
            *(float, "P"),
            "確率の合計がここに届くまでから引く。0 より大きく 1 以下、1 は制限なし",
            "sample from the fewest tokens whose probabilities add up to P; 1 is off",
        ),
        (
            "temperature",
            *(float, "T"),
            "0 より大きい数。小さいほど無難",
            "greater than 0; lower is safer",
        ),
        (
            "min_length",
            *(int, "N"),
            "最短の長さ。単位はトークンで、PROMPT も数える。max-length が短ければそこまで",
            "at least N tokens, PROMPT included, or max-length if that is less",
        ),
        (
            "max_length",
            *(int, "N"),
            "最長の長さ。単位はトークンで、PROMPT も数える",
            "at most N tokens, PROMPT included",
        ),
        ("num_return_sequences", int, "N", "いくつ書くか", "how many texts to write"),
    ):
        default = getattr(SamplingSettings, field)
        text = say(f"{ja}（{default}）", f"{en} ({default})")
        parser.add_argument(f"--{field.replace('_', '-')}", type=kind, metavar=name, help=text)


def given_settings(**given: Any) -> SamplingSettings:
    """Settings of which some were given, and the others (absent or None) are the defaults.

    Raises:
        SettingsError: see `SamplingSettings`.
    """
    given = {name: value for name, value in given.items() if value is not None}
    # A reader who asks for a short text and nothing else does not mean to contradict the default min_length.
    shortest = min(SamplingSettings.min_length, given.get("max_length", math.inf))
    return SamplingSettings(**{"min_length": max(shortest, 0), **given})
