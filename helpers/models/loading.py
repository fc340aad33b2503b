"""Loading a model with its tokenizer; whatever is refused is refused before any work."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.catalogue import CATALOGUE
from helpers.device_errors import explained_device_errors
from helpers.engines import DEFAULT_ENGINE, ENGINES, loader_of
from helpers.engines.protocol import Request
from helpers.errors import InputError
from helpers.hub import clean_name, is_cached, local_folder, weights_file
from helpers.language import say
from helpers.models.choice import choose
from helpers.models.files import explained_files, no_progress_bar, read_config
from helpers.models.language_model import LanguageModel
from helpers.models.memory_check import check_memory
from helpers.models.vocabulary import check_vocabulary

if TYPE_CHECKING:
    import torch


def load_model(
    name: str | Path = "auto",
    device: str | torch.device | None = None,
    engine: str = DEFAULT_ENGINE,
    dtype: torch.dtype | None = None,
    url: str | None = None,
) -> LanguageModel:
    """Load a model and its tokenizer, in the dtype that suits the device (see `helpers.device.choose_device`).

    Args:
        name: "auto" (see `choose_model`; prints its choice in one line), "aozora-mini" (bundled), one of rinna's
            models, or any directory or hub id in the same layout (GPT-2 and a `spiece.model`).
        device: as in `helpers.device.choose_device`.
        engine: "torch", or "ctranslate2" (extra `ctranslate2`): weights in int8 for a CPU. It takes less memory, and is faster
            than float32 (not than bfloat16 on a CPU with units for it: benchmarks/README.md); its numbers are not those
            of float32. First use converts the model into the user's cache.
        dtype: of the weights, in place of the one that suits the device: torch.float32, bfloat16, float16, or int8, which
            is for writing text on a CPU with VNNI (see `helpers.engines.torch.int8`). CTranslate2 has int8 only.
        url: of the class's server, as the teacher's screen shows it ("http://192.168.1.5:8000/#key=..."), for the engine
            "server": the weights stay there (docs/class-server.md). HELPERS_SERVER in the environment names it too, and
            then "auto" is its model.

    If no engine is named, one of the others may claim "auto" or a url (`Loader.claims`).

    On a CPU the matrices of a GPT-2 are packed (see `helpers.engines.torch.packing`): results are the same up to rounding, and
    faster. A model that is moved (also with `.to("cpu")`), edited or trained becomes an ordinary, slower one.

    Raises:
        ValueError: the name, the device, the engine or its dtype is none of those allowed, or the engine cannot run this
            model.
        ModelUnavailable: the files are not there or cannot be downloaded or read.
        NotEnoughMemory: a MemoryError, raised before anything is downloaded.
        OutOfMemory: a MemoryError; there was less memory than estimated.
        DeviceLost: a RuntimeError; the GPU does not answer.
        EngineUnavailable: CTranslate2 is missing, or its cache cannot be written.
    """
    request = Request(clean_name(name), device, dtype, url)
    if engine == DEFAULT_ENGINE:
        engine = next((e for e in ENGINES if loader_of(e).claims(request)), engine)
    loader = loader_of(engine)
    if url is not None and not loader.remote:
        raise InputError(
            f'url は、engine = "{engine}" では使えません。url を書かないでください。',
            f'url cannot be used with engine = "{engine}": leave it out.',
        )
    import torch

    from helpers.tokenizer import load_tokenizer

    loader.check_request(request)
    # A GPU that was lost before says so at the first question.
    with explained_device_errors(torch.device("cuda")):
        request, parameters, choice = choose(request, loader)
        check_memory(request.name, parameters, choice, engine)
    known = CATALOGUE.get(request.name)
    download = known.download_bytes if known and not is_cached(request.name) else 0
    extra_bytes = loader.check_disk_space(request, parameters, download)
    here = not loader.remote
    folder = loader.folder(request) or local_folder(
        request.name, weights=here, extra_bytes=extra_bytes
    )
    with explained_files(request.name, folder), no_progress_bar():
        if here:
            _look_at_weights(request.name, folder)
        tokenizer = load_tokenizer(folder)
        check_vocabulary(request.name, tokenizer, read_config(request.name, folder))
        with explained_device_errors(choice.device):
            model = loader.load(request, folder, tokenizer, choice)
    return LanguageModel(
        request.name, tokenizer, model, choice.device, choice.dtype, choice.reason, engine
    )


def _look_at_weights(name: str, folder: Path) -> None:
    """That they are there, and a warning if they could hold code."""
    weights = weights_file(folder)
    if weights is None:
        raise FileNotFoundError(errno.ENOENT, "no weights", str(folder))
    if ".bin" in weights.name:
        warnings.warn(
            say(
                f"{name} の重みは pytorch_model.bin だけです。この形式はプログラムを含むことができるので、"
                "数値だけを読み込みます（含まれていれば読み込みをやめます）。信頼できる作者のモデルだけを使ってください。",
                f"the only weights of {name} are in pytorch_model.bin: that format can contain code, so only numbers are "
                "read, and nothing if there is code; use only models by authors you trust.",
            ),
            stacklevel=3,
        )
