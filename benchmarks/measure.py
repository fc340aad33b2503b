"""What all benchmarks share: the machine in words, fresh processes in turn, memory, bandwidth, models to measure.

A comparison starts a fresh Python process for each measurement and takes the ways in turn (A, B, A, B, ...), so that
whatever else the machine does falls on all of them alike.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import BUNDLED_PATH

ROOT = Path(__file__).resolve().parent.parent
# Random weights lie outside the checkout and are used again; deleting the folder is always right.
MODELS = Path(tempfile.gettempdir()) / "yukiguni-benchmarks"
# The shapes of rinna's models (their config.json) and the dtype of their files.
SHAPES: dict[str, dict[str, Any]] = {
    "gpt-1b": {
        "n_layer": 24,
        "n_embd": 2048,
        "n_head": 16,
        "n_inner": 8192,
        "vocab_size": 44_928,
        "dtype": "float16",
    },
    "medium": {
        "n_layer": 24,
        "n_embd": 1024,
        "n_head": 16,
        "vocab_size": 32_000,
        "dtype": "float32",
    },
    "small": {
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "vocab_size": 32_000,
        "dtype": "float32",
    },
    "xsmall": {
        "n_layer": 6,
        "n_embd": 512,
        "n_head": 8,
        "n_inner": 2304,
        "vocab_size": 32_000,
        "dtype": "float32",
    },
}
SHAPE_NAMES = (*SHAPES, "aozora-mini")


def model_folder(shape: str) -> Path:
    """A folder with a model of this shape: the bundled one, or random weights and the bundled tokenizer."""
    if shape == "aozora-mini":
        return BUNDLED_PATH
    folder = MODELS / shape
    if not (folder / "model.safetensors").is_file():
        partial = MODELS / f"{shape}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        _write_random_model(SHAPES[shape], partial)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    return folder


def _write_random_model(shape: dict[str, Any], folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import GPT2Config, GPT2LMHeadModel

    settings = {"n_positions": 1024, "bos_token_id": 1, "eos_token_id": 2, "n_inner": None}
    config = GPT2Config(**settings | {k: v for k, v in shape.items() if k != "dtype"})
    dtype = getattr(torch, shape["dtype"])
    with torch.device("meta"):
        model = GPT2LMHeadModel(config)
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            weights[name] = torch.empty(parameter.shape, dtype=dtype)
            weights[name].normal_(0, config.initializer_range, generator=random)
        else:
            value = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            weights[name] = torch.full(parameter.shape, value, dtype=dtype)
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.architectures, config.dtype = ["GPT2LMHeadModel"], dtype
    config.save_pretrained(folder)
    for name in ("spiece.model", "tokenizer_config.json", "special_tokens_map.json"):
        if (BUNDLED_PATH / name).is_file():
            shutil.copy(BUNDLED_PATH / name, folder / name)


def prompt_of(tokenizer: Any, tokens: int) -> str:
    """A text of exactly this many tokens."""
    text = "国境の長いトンネルを抜けると雪国であった。"
    while len(tokenizer.encode(text, add_special_tokens=False)) < tokens:
        text += "山"
    while len(tokenizer.encode(text, add_special_tokens=False)) > tokens:
        text = text[:-1]
    assert len(tokenizer.encode(text, add_special_tokens=False)) == tokens
    return text


def fresh(module: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """What `python -m module arguments` prints as its last line, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        sys.exit(f"python -m {module} {' '.join(arguments)}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turn(ways: dict[str, Callable[[], Any]], runs: int, title: str = "") -> dict[str, list[Any]]:
    """What each way gave, `runs` times each, in turn. Says on stderr how far it is."""
    results: dict[str, list[Any]] = {name: [] for name in ways}
    for run in range(runs):
        for name, way in ways.items():
            print(f"{title} {run + 1}/{runs} {name}", file=sys.stderr, flush=True)
            results[name].append(way())
    return results


def spread(values: list[float], digits: int = 2) -> dict[str, float]:
    """The least, the median and the greatest of some figures."""
    return {
        "min": round(min(values), digits),
        "median": round(statistics.median(values), digits),
        "max": round(max(values), digits),
    }


def in_words(values: list[float], unit: str = "", digits: int = 2) -> str:
    """A spread in words, the median first."""
    low, middle, high = spread(values, digits).values()
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def machine() -> str:
    """The machine in a line: processor, cores, the units that matter here, memory, versions."""
    import psutil

    name, units = platform.processor() or platform.machine(), []
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        name = lines.get("model name", name)
        flags = lines.get("flags", "").split()
        known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
        units = [unit for unit in known if unit in flags]
    except OSError:
        pass
    packages = ("torch", "transformers", "ctranslate2")
    versions = [f"{p} {_version(p)}" for p in packages]
    memory = psutil.virtual_memory().total / 1e9
    parts = [name, f"{os.cpu_count()} cores", " ".join(units), f"{memory:.0f} GB"]
    return ", ".join([*filter(None, parts), f"Python {platform.python_version()}", *versions])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def read_bandwidth(size: int = 1 << 30) -> float:
    """Bytes a second, in GB/s, at which all cores together read memory: the best of several sums over an array.

    A product of a matrix and a vector reads as much, but torch's is slower than memory on some processors.
    """
    import torch

    array = torch.ones(size // 4)
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        array.sum()
        best = max(best, size / (time.perf_counter() - start) / 1e9)
    return best


def memory_of(key: str = "VmHWM") -> float:
    """A figure of /proc/self/status in GB: VmHWM (peak resident), VmRSS, RssAnon. Elsewhere the peak."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8").split()
        return int(status[status.index(f"{key}:") + 1]) * 1024 / 1e9
    except (OSError, ValueError):
        if sys.platform == "win32":
            import psutil

            return psutil.Process().memory_info().peak_wset / 1e9
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def weight_bytes(model: Any) -> int:
    """What is read for each token: every weight but the table of positions, and that of embeddings in int8."""
    from helpers.engines.torch.int8 import Int8Layer

    layers = [module for module in model.modules() if isinstance(module, Int8Layer)]
    body = model.transformer
    rows_only = [body.wpe.weight] + ([body.wte.weight] if layers else [])
    read = sum(p.nbytes for p in model.parameters()) - sum(p.nbytes for p in rows_only)
    return read + sum(layer.packed.nbytes + layer.scale.nbytes for layer in layers)


@contextmanager
def peak_of_anonymous_memory() -> Iterator[list[float]]:
    """A list that holds, after the block, the most anonymous memory (GB) that was added in it. Linux only."""
    before, added, done = memory_of("RssAnon"), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            added[0] = max(added[0], memory_of("RssAnon") - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield added
    finally:
        done.set()
        watcher.join()
        added[0] = max(added[0], memory_of("RssAnon") - before)
