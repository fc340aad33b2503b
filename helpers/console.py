"""How a command of this project ends: with its status, quietly when nobody reads on (`| head`), also on Ctrl-C."""

import os
import sys
from collections.abc import Callable

from helpers.language import write_utf8

INTERRUPTED = 130  # as shells report it
NOBODY_READS = 141


def run(main: Callable[[], int | None]) -> int:
    """Run a command; returns the status to exit with, 0 for a command that returns none."""
    write_utf8()
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
