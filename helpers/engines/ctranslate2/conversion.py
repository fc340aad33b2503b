"""GPT-2 in CTranslate2's format with int8 weights: converted once for each model, cached beside the downloads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.engines.ctranslate2.checks import ACTIVATIONS, EngineUnavailable
from helpers.errors import Explained
from helpers.hub import cache_folder as downloads_folder
from helpers.language import say
from helpers.memory import free_disk, needed_and_free

if TYPE_CHECKING:
    import torch
    from transformers import GPT2LMHeadModel

LAYOUT = 4  # of what `convert` writes: raise it to invalidate every cached conversion
# The end token has a second row in the output layer, shifted so far down that it is never drawn. CTranslate2 returns
# logits only after banning the end token from texts shorter than min_length; the twin still has its logit.
TWIN_BIAS = -1000.0


def cache_folder() -> Path:
    """Where converted models are kept: beside the downloads, so HF_HOME and XDG_CACHE_HOME move both."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "ctranslate2-int8"


def converted_bytes(parameters: int) -> int:
    """About the size of a converted model on disk, in bytes: one for each weight, and a little for scales and names."""
    return int(parameters * 1.02) + 2_000_000


def check_room(parameters: int, download: int = 0) -> None:
    """Check before any long work that the cache is writable and has room, also for a download beside it.

    `download` is in bytes; it counts if downloads are on the same disk.

    Raises:
        EngineUnavailable: it is not, or has not.
    """
    folder = cache_folder()
    with _explained_writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    needed, free = converted_bytes(parameters), free_disk(folder)
    ja = en = ""
    if download and shares_disk_with_downloads():
        needed += download
        ja, en = "ダウンロードと、", "the download and "
    if free < needed:
        raise EngineUnavailable(
            f"{ja}変換したモデルを置く場所が足りません（{folder}、{needed_and_free(needed, free)}）。"
            "空きを作るか、環境変数 HF_HOME で場所を変えるか、"
            'engine="torch" を使ってください。',
            f"there is not enough disk space for {en}the converted model ({folder}: {needed_and_free(needed, free)}): "
            'free some space, set the environment variable HF_HOME to another place, or use engine="torch".',
        )


def shares_disk_with_downloads() -> bool:
    """Whether the cache of conversions, which must exist, is on the same disk as the downloads."""
    downloads = downloads_folder()
    return not downloads.exists() or downloads.stat().st_dev == cache_folder().stat().st_dev


@contextmanager
def _explained_writing(folder: Path) -> Iterator[None]:
    """Turn what a cache that cannot be written raises into one sentence, the cause kept."""
    try:
        yield
    except OSError as error:
        if isinstance(error, Explained):
            raise
        raise EngineUnavailable(
            f"変換したモデルを {folder} に書けません（{type(error).__name__}: {error.strerror}）。"
            '環境変数 HF_HOME で書ける場所を指定するか、engine="torch" を使ってください。',
            f"the converted model cannot be written to {folder} "
            f"({type(error).__name__}: {error.strerror}): set the environment variable HF_HOME to another place, "
            'or use engine="torch".',
        ) from error


def source_of(folder: Path, weights: Path, eos_token_id: int) -> dict[str, Any]:
    """What a conversion is made of. Another file of weights, or a changed one, is another source."""
    parts = [weights, *sorted(weights.parent.glob(f"{weights.name.split('.')[0]}-*"))]
    config = (folder / "config.json").read_text(encoding="utf-8")
    # In the hub's cache the resolved name is the file's hash.
    files = [_look(part.resolve()) for part in parts]
    return {"layout": LAYOUT, "config": config, "eos_token_id": eos_token_id, "files": files}


def _look(file: Path) -> list[str | int]:
    stat = file.stat()
    return [str(file), stat.st_size, stat.st_mtime_ns]


def converted_folder(name: str, source: dict[str, Any]) -> Path:
    """Where the conversion of a model belongs."""
    key = hashlib.sha256(json.dumps(source).encode()).hexdigest()[:16]
    return cache_folder() / f"{_readable(name)}-{key}"


def is_converted(name: str) -> bool:
    """Whether there is a conversion of a model with this name, of its present weights or of others."""
    return any(folder.is_dir() for folder in cache_folder().glob(f"{_readable(name)}-{'?' * 16}"))


def _readable(name: str) -> str:
    letters = (c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    return "".join(letters).strip("-.")[-60:]


def convert(model: GPT2LMHeadModel, eos_token_id: int, target: Path) -> None:
    """Write a model in CTranslate2's format, its matrices in int8, with a progress bar where that takes long.

    A folder appears whole or not at all: it is written under another name and renamed. `target`'s parent must
    exist. Two kernels do not collide: a lock makes the second one wait, and it says so. What a killed one left is
    removed. Conversions of weights that have since changed stay: the whole cache can be deleted at any time.

    Raises:
        EngineUnavailable: the folder cannot be written.
    """
    from tqdm.auto import tqdm

    with _explained_writing(target.parent), _alone(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            title, steps = say("int8 に変換", "converting to int8"), model.config.n_layer + 2
            with tqdm(total=steps, desc=title, delay=1.0) as bar:
                _specification(model, eos_token_id, bar.update).save(str(partial))
                bar.update()
            os.replace(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that only one process can hold; a reader who has to wait is told why."""
    from huggingface_hub.utils import WeakFileLock

    with ExitStack() as held:
        try:
            held.enter_context(WeakFileLock(lock, timeout=1.0))
        except TimeoutError:
            print(
                say(
                    "ほかのノートブックが、このモデルを int8 に変換しています。終わるまで待ちます。",
                    "another notebook is converting this model to int8: waiting until it is done.",
                ),
                file=sys.stderr,  # as the progress bar
            )
            held.enter_context(WeakFileLock(lock))
        yield


def _specification(model: GPT2LMHeadModel, eos_token_id: int, advance: Callable[[], object]) -> Any:
    """GPT-2 as CTranslate2's `TransformerDecoderModelSpec`, its matrices in int8 with one scale for each output.

    One matrix is quantised after another, so that little is in memory twice. `advance` is called after each layer and
    after the embeddings.
    """
    import torch
    from ctranslate2.specs.common_spec import Activation
    from ctranslate2.specs.transformer_spec import TransformerDecoderModelSpec

    from helpers.engines.torch.int8 import quantize

    config, body = model.config, model.transformer
    activation = Activation[ACTIVATIONS[config.activation_function]]
    spec = TransformerDecoderModelSpec.from_config(
        config.n_layer, config.n_head, pre_norm=True, activation=activation
    )

    def matrix(to: Any, weight: torch.Tensor) -> None:
        """(outputs, inputs) as int8."""
        integers, scale = quantize(weight)
        to.weight = integers.numpy()
        to.weight_scale = (1 / scale).numpy()  # it multiplies where ours divides

    def linear(to: Any, module: Any) -> None:
        # GPT-2's Conv1D holds its matrix as (inputs, outputs).
        matrix(to, module.weight.t())
        to.bias = module.bias.detach().float().numpy()

    def norm(to: Any, module: Any) -> None:
        to.gamma = module.weight.detach().float().numpy()
        to.beta = module.bias.detach().float().numpy()

    def with_twin(weight: torch.Tensor) -> torch.Tensor:
        return torch.cat([weight, weight[eos_token_id : eos_token_id + 1]])

    spec.config.layer_norm_epsilon = config.layer_norm_epsilon
    decoder = spec.decoder
    decoder.scale_embeddings = False
    layers: Any = body.h
    for to, layer in zip(decoder.layer, layers, strict=True):
        norm(to.self_attention.layer_norm, layer.ln_1)
        linear(to.self_attention.linear[0], layer.attn.c_attn)
        linear(to.self_attention.linear[1], layer.attn.c_proj)
        norm(to.ffn.layer_norm, layer.ln_2)
        linear(to.ffn.linear_0, layer.mlp.c_fc)
        linear(to.ffn.linear_1, layer.mlp.c_proj)
        advance()
    matrix(decoder.embeddings, with_twin(body.wte.weight))
    advance()
    decoder.position_encodings.encodings = body.wpe.weight.detach().float().numpy()
    norm(decoder.layer_norm, body.ln_f)
    tied = model.lm_head.weight.data_ptr() == body.wte.weight.data_ptr()
    if tied:
        decoder.projection.weight = decoder.embeddings.weight
    else:
        matrix(decoder.projection, with_twin(model.lm_head.weight))
    bias = torch.zeros(config.vocab_size + 1)
    bias[-1] = TWIN_BIAS
    decoder.projection.bias = bias.numpy()
    # Text stays with our tokenizer: the engine's "tokens" are the ids, written as numbers.
    spec.register_vocabulary([str(i) for i in range(config.vocab_size + 1)])
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = str(eos_token_id)
    spec.validate()
    if tied:
        # Written once; the scales go with it.
        decoder.projection.weight = "decoder/embeddings/weight"
    return spec
