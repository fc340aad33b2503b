"""The kinds of x86-64 processor that this machine can play, by telling the libraries to leave newer instructions alone.

Machines differ: free clouds have AVX2 only, others AVX512, with VNNI, bfloat16 or AMX. `make test` runs what depends on
it (the mark `processor`) as each of them that is no newer than the machine's own.
"""

from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of processor: its name, the flag of /proc/cpuinfo that tells it, and what keeps libraries to it."""

    name: str
    flag: str
    environment: dict[str, str]


def _kind(name: str, flag: str, onednn: str, aten: str, others: str) -> Kind:
    # In this order: torch's oneDNN (and CTranslate2's), torch's own kernels, CTranslate2's own, Intel's MKL.
    return Kind(
        name,
        flag,
        {
            "ONEDNN_MAX_CPU_ISA": onednn,
            "ATEN_CPU_CAPABILITY": aten,
            "CT2_FORCE_CPU_ISA": others,
            "MKL_ENABLE_INSTRUCTIONS": others,
        },
    )


# From the oldest on. Each library's documentation names the values.
KINDS = [
    _kind("AVX2", "avx2", "AVX2", "avx2", "AVX2"),
    _kind("AVX512", "avx512bw", "AVX512_CORE", "avx512", "AVX512"),
    _kind("AVX512 with VNNI", "avx512_vnni", "AVX512_CORE_VNNI", "avx512", "AVX512"),
    _kind("AVX512 with bfloat16", "avx512_bf16", "AVX512_CORE_BF16", "avx512", "AVX512"),
    _kind("AMX", "amx_int8", "AVX512_CORE_AMX", "avx512", "AVX512"),
]


def flags() -> set[str]:
    """What this processor can do, as Linux tells it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next(
        (set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set()
    )


def playable() -> list[Kind]:
    """The kinds older than this machine's own, which is proved by all other tests; AVX2 in any case."""
    mine = [kind for kind in KINDS if kind.flag in flags()]
    return mine[:1] + mine[1:-1]


def not_playable() -> list[str]:
    """The names of the kinds that this machine is too old for."""
    return [kind.name for kind in KINDS if kind.flag not in flags()]
