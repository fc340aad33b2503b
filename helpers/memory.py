"""How much memory and disk is free, how sizes are written, and returning memory that is no longer needed."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.language import say

if TYPE_CHECKING:
    import torch


def size(count: int) -> str:
    """A number of bytes as people write it: "2.6 GB", "27.6 MB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def needed_and_free(needed: int, free: int) -> str:
    """Two numbers of bytes in words, for parentheses: "8.3 GB needed, 4.0 GB free"."""
    return say(
        f"必要 {size(needed)}、空き {size(free)}", f"{size(needed)} needed, {size(free)} free"
    )


def nearest_folder(path: Path) -> Path:
    """The folder at `path`, or where there is none yet, the nearest one above it."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def free_disk(path: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(nearest_folder(path)).free


def available_memory(device: torch.device) -> int:
    """Bytes that this process can still allocate on a device; MPS shares the memory of the machine.

    On Linux, the least of what is free on the machine, in the container (cgroup) and within the limits of the process.
    """
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    import psutil

    free = [psutil.virtual_memory().available]
    if sys.platform == "linux":
        free += _left_by_cgroups() + _left_by_limits()
    return max(0, min(free))


def trim_heap() -> None:
    """Have glibc return freed memory to the system: after a large model it would keep a gigabyte or more."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)


def drop_file_pages(tensor: torch.Tensor) -> None:
    """Have Linux drop the pages of a tensor that is mapped from a file; they are read again when needed.

    The system does so itself when memory is short. Until then they look like memory that this process uses.
    """
    if sys.platform == "linux":
        before = tensor.data_ptr() % os.sysconf("SC_PAGE_SIZE")
        start = ctypes.c_void_p(tensor.data_ptr() - before)
        length = ctypes.c_size_t(before + tensor.nbytes)
        ctypes.CDLL(None).madvise(start, length, 21)  # MADV_PAGEOUT, of <linux/mman.h>


def _left_by_cgroups() -> list[int]:
    """What each cgroup (version 2) of this process leaves it; cached file pages count as free, since they can be dropped."""
    left: list[int] = []
    try:
        path = Path("/proc/self/cgroup").read_text(encoding="utf-8").split("::", 1)[1].strip()
    except (OSError, IndexError):
        return left
    folder = Path("/sys/fs/cgroup") / path.lstrip("/")
    for group in (folder, *folder.parents):
        try:
            limit = (group / "memory.max").read_text(encoding="utf-8").strip()
            used = int((group / "memory.current").read_text(encoding="utf-8"))
            stat = (group / "memory.stat").read_text(encoding="utf-8").split()
        except OSError:
            continue
        if limit != "max":
            cached = [int(stat[stat.index(f"{kind}_file") + 1]) for kind in ("active", "inactive")]
            left.append(int(limit) - used + sum(cached))
    return left


def _left_by_limits() -> list[int]:
    """What `ulimit -v` and `ulimit -d` leave this process."""
    import psutil

    process = psutil.Process()
    used = process.memory_info()
    limits = [
        (process.rlimit(kind)[0], taken)
        for kind, taken in ((psutil.RLIMIT_AS, used.vms), (psutil.RLIMIT_DATA, used.data))
    ]
    return [limit - taken for limit, taken in limits if limit != psutil.RLIM_INFINITY]
