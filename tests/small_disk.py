"""A file system of a few hundred kilobytes, for what happens when the disk is full. Linux only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'


def on_small_disk(folder: Path, size: str) -> list[str]:
    """What to put before a command so that `folder`, for it alone, is an empty disk of a size such as "300k".

    A mount in a name space of its own: it needs no rights and goes when the command ends. Where a system forbids
    that, `sudo` may help; else the test is skipped.
    """
    for unshare in (["unshare", "-rm"], ["sudo", "-n", "--preserve-env", "unshare", "-m"]):
        prefix = [*unshare, "sh", "-c", _MOUNT, size, str(folder)]
        if (
            shutil.which(unshare[0])
            and not subprocess.run([*prefix, "true"], capture_output=True).returncode
        ):
            return prefix
    pytest.skip(f"no small disk on {sys.platform}: neither unshare nor sudo may mount one")
