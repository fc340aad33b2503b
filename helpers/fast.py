"""CTranslate2 behind the same functions: GPT-2 with weights of one byte (int8), for a CPU.

Writing a token means reading every weight once, so on a CPU memory is what limits the speed, and int8 has a quarter of
float32's bytes to read (benchmarks/README.md says what that gains). The price is that each weight is rounded to one of
255 steps: the numbers are not those of float32, nor is the text of a seed.

What the engine cannot do is refused before it starts: its repetition penalty leaves out the prompt.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from helpers import hub
from helpers.errors import Explained, InputError
from helpers.failures import is_out_of_memory
from helpers.language import say
from helpers.memory import available_memory, trim_heap
from helpers.settings import SamplingSettings, SettingsError

if TYPE_CHECKING:
    import ctranslate2
    import numpy as np
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

# The extra "fast" of pyproject.toml. From 4.8 on the engine lays weights out for Intel's processors when it loads them.
REQUIREMENT = "ctranslate2>=4.8,<5"
LAYOUT = 4  # of what `convert` writes; another number makes every conversion be made anew
SOURCE = "source.json"  # in a conversion: what it was made of
PARTIAL = ".partial"
KEPT_AFTER_USE = 24 * 3600  # seconds
# The end token has a second row in the output layer, moved so far down that it is never drawn. CTranslate2 hands
# logits out only after it has barred the end token from texts shorter than min_length; its twin still tells its logit.
TWIN_BIAS = -1000.0
HOTTEST = 20.0  # temperature: above it the twin is far down no longer
# Below this, two threads spend more time waiting for each other than they save: at the shape of rinna's small model one
# made 1.36 times the steps of two, at that of gpt-1b two made 1.4 times those of one (benchmarks/README.md).
ONE_THREAD_BELOW = 200_000_000  # weights


class EngineUnavailable(Explained, RuntimeError):
    """CTranslate2 is missing, or cannot run this model here; the message names the command or the other engine."""


def install_engine() -> None:
    """Install CTranslate2 into a running notebook if it is missing; everything that is there stays as it is.

    Raises:
        EngineUnavailable: it cannot be installed.
    """
    from helpers.environment import NotInstalled, add

    try:
        add(REQUIREMENT)
    except NotInstalled as error:
        raise EngineUnavailable(
            say(
                "ctranslate2 を入れられませんでした。ネットワークを確かめて、もう一度実行するか、"
                f'pip install "{REQUIREMENT}" を試してください。なくても engine="torch" は使えます。',
                "ctranslate2 could not be installed: check the network and run this again, or try "
                f'pip install "{REQUIREMENT}"; engine="torch" works without it.',
            )
        ) from error


def require_ctranslate2() -> None:
    """Raise `EngineUnavailable` unless a fitting CTranslate2 is installed and this processor can run int8."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    command = f'pip install "{REQUIREMENT}"'
    if find_spec("ctranslate2") is None:
        raise EngineUnavailable(
            say(
                f'engine="ctranslate2" には ctranslate2 が要ります。{command} で入れるか、'
                'engine="torch" を使ってください。',
                f'engine="ctranslate2" needs ctranslate2: install it with {command}, or use engine="torch".',
            )
        )
    try:
        import ctranslate2

        usable = Version(ctranslate2.__version__) in SpecifierSet(REQUIREMENT[len("ctranslate2") :])
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            say(
                f'ctranslate2 を読み込めません。{command} で入れ直すか、engine="torch" を使ってください。',
                f'ctranslate2 cannot be loaded: install it again with {command}, or use engine="torch".',
            )
        ) from error
    if not usable:
        raise EngineUnavailable(
            say(
                f"ctranslate2 {ctranslate2.__version__} では動きません。{command} で入れ直して、カーネルを再起動するか、"
                'engine="torch" を使ってください。',
                f"ctranslate2 {ctranslate2.__version__} does not fit: install it again with {command} and restart the "
                'kernel, or use engine="torch".',
            )
        )
    if "int8" not in ctranslate2.get_supported_compute_types("cpu"):
        raise EngineUnavailable(
            say(
                'この CPU では int8 の計算ができません。engine="torch" を使ってください。',
                'this processor cannot compute in int8: use engine="torch".',
            )
        )


def check_device(device: str | torch.device | None) -> None:
    """Raise `InputError` for anything but the CPU: nobody has measured this engine on a GPU."""
    if device is not None and str(device) != "cpu":
        raise InputError(
            say(
                f'engine="ctranslate2" は CPU 用です（device = "{device}"）。'
                'device="cpu" にするか、engine="torch" を使ってください。',
                f'engine="ctranslate2" is for the CPU here (device = "{device}"): '
                'give device="cpu", or use engine="torch".',
            )
        )


def check_config(name: str, config: dict[str, Any]) -> None:
    """Raise `InputError` if a config.json is not of a GPT-2 that the engine computes as transformers does."""
    kind = config.get("model_type")
    unlike = [
        key
        for key, usual in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
        )
        if config.get(key, usual) != usual
    ]
    activation = config.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        unlike.append(f"activation_function = {activation}")
    if kind != "gpt2" or unlike:
        what = ", ".join(unlike) or f"model_type = {kind}"
        raise InputError(
            say(
                f'{name} は engine="ctranslate2" に変換できません（{what}）。engine="torch" を使ってください。',
                f'{name} cannot be converted for engine="ctranslate2" ({what}): use engine="torch".',
            )
        )


def check_generation_config(name: str, config: dict[str, Any]) -> None:
    """Raise `InputError` if a generation_config.json sets what transformers follows and the engine does not.

    Without such a file transformers takes these settings from config.json.
    """
    unlike = [key for key, off in _OF_TRANSFORMERS.items() if config.get(key) not in (None, off)]
    if unlike:
        what = ", ".join(f"{key} = {config[key]}" for key in unlike)[:200]
        raise InputError(
            say(
                f'{name} の設定にある {what} は、engine="ctranslate2" では使えません。'
                'engine="torch" を使ってください。',
                f'the configuration of {name} has {what}, which engine="ctranslate2" cannot follow: '
                'use engine="torch".',
            )
        )


# What changes which token comes next, is none of our settings, and the value that changes nothing
# (transformers.GenerationConfig).
_OF_TRANSFORMERS = {
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "exponential_decay_length_penalty": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "guidance_scale": 1,
    "max_time": None,
    "min_p": 0,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
    "sequence_bias": None,
    "stop_strings": None,
    "suppress_tokens": None,
    "top_h": None,
    "typical_p": 1,
    "watermarking_config": None,
}
_ACTIVATIONS = {
    "gelu_new": "GELUTanh",
    "gelu_pytorch_tanh": "GELUTanh",
    "gelu_fast": "GELUTanh",
    "gelu": "GELU",
    "relu": "RELU",
}


# --- conversion, once for each model


def cache_folder() -> Path:
    """Where converted models are kept: beside the downloads, so HF_HOME and XDG_CACHE_HOME move both."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "ctranslate2-int8"


def converted_bytes(parameters: int) -> int:
    """About the size of a converted model on disk, in bytes: one for each weight, and a little for scales and names."""
    return int(parameters * 1.02) + 2_000_000


def check_room(parameters: int, download: int = 0) -> None:
    """See before any long work that the cache can be written to and has room, also for a download beside it.

    `download` is in bytes; it counts where downloads lie on the same disk.

    Raises:
        EngineUnavailable: it cannot, or has not.
    """
    folder = cache_folder()
    with _explained_writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    needed, free = converted_bytes(parameters), shutil.disk_usage(folder).free
    ja = en = ""
    if download and is_beside_downloads():
        needed += download
        ja, en = "ダウンロードと、", "the download and "
    if free < needed:
        raise EngineUnavailable(
            say(
                f"{ja}変換したモデルを置く場所が足りません（{folder}、必要 {_mb(needed)}、空き {_mb(free)}）。"
                "空きを作るか、環境変数 HF_HOME で場所を変えるか、"
                'engine="torch" を使ってください。',
                f"there is no room for {en}the converted model ({folder}: {_mb(needed)} needed, {_mb(free)} free): "
                'make room, choose another place with HF_HOME in the environment, or use engine="torch".',
            )
        )


def is_beside_downloads() -> bool:
    """Whether the cache of conversions, which must be there, lies on the disk of the downloads."""
    downloads = hub.cache_folder()
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
            say(
                f"変換したモデルを {folder} に書けません（{type(error).__name__}: {error.strerror}）。"
                '環境変数 HF_HOME で書ける場所を指定するか、engine="torch" を使ってください。',
                f"the converted model cannot be written to {folder} "
                f"({type(error).__name__}: {error.strerror}): name a place with HF_HOME in the environment, "
                'or use engine="torch".',
            )
        ) from error


def _mb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


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


def remove_stale(cache: Path) -> None:
    """Delete conversions of weights that are gone or have changed since: nothing asks for them again.

    A model that is still in use somewhere reads its conversion anew for each text, and keeps it for a day. What a killed
    kernel left goes after a day as well. What cannot be read or deleted stays: nobody waits for the room.
    """
    for folder in cache.iterdir():
        with suppress(OSError, ValueError, KeyError, TypeError):
            if not folder.is_dir() or time.time() - folder.stat().st_mtime < KEPT_AFTER_USE:
                continue
            if folder.suffix != PARTIAL:
                source = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
                if source["layout"] >= LAYOUT and all(map(_is_as_it_was, source["files"])):
                    continue
                # What is half deleted must not look like a conversion.
                os.replace(folder, _partial(folder))
            shutil.rmtree(_partial(folder))


def _is_as_it_was(seen: list[str | int]) -> bool:
    try:
        return _look(Path(seen[0])) == seen
    except FileNotFoundError:
        return False


def _partial(folder: Path) -> Path:
    """The name of a conversion that is being made or deleted."""
    return folder.with_name(folder.name.removesuffix(PARTIAL) + PARTIAL)


def is_converted(name: str) -> bool:
    """Whether some conversion of a model of this name is there, of the present weights or of others."""
    return any(folder.is_dir() for folder in cache_folder().glob(f"{_readable(name)}-{'?' * 16}"))


def _readable(name: str) -> str:
    letters = (c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    return "".join(letters).strip("-.")[-60:]


def convert(
    model: GPT2LMHeadModel, eos_token_id: int, target: Path, source: dict[str, Any]
) -> None:
    """Write a model in CTranslate2's format, its matrices in int8, with a progress bar where that takes long.

    A folder appears whole or not at all: it is written under another name and renamed. `target`'s parent must be
    there. Two kernels do not collide: a lock makes the second one wait, and it says so. What a killed one left is
    removed, and so is what `remove_stale` finds.

    Raises:
        EngineUnavailable: the folder cannot be written.
    """
    from tqdm.auto import tqdm

    with _explained_writing(target.parent), _alone(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return
        remove_stale(target.parent)
        partial = _partial(target)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            title, steps = say("int8 に変換", "converting to int8"), model.config.n_layer + 2
            with tqdm(total=steps, desc=title, delay=1.0) as bar:
                _specification(model, eos_token_id, bar.update).save(str(partial))
                (partial / SOURCE).write_text(json.dumps(source), encoding="utf-8")
                bar.update()
            os.replace(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that one process at a time can hold; whoever has to wait is told why."""
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

    from helpers.int8 import quantize

    config, body = model.config, model.transformer
    activation = Activation[_ACTIVATIONS[config.activation_function]]
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

    def norm(to: Any, module: torch.nn.LayerNorm) -> None:
        to.gamma = module.weight.detach().float().numpy()
        to.beta = module.bias.detach().float().numpy()

    def with_twin(weight: torch.Tensor) -> torch.Tensor:
        return torch.cat([weight, weight[eos_token_id : eos_token_id + 1]])

    spec.config.layer_norm_epsilon = config.layer_norm_epsilon
    decoder = spec.decoder
    decoder.scale_embeddings = False
    for to, layer in zip(decoder.layer, body.h, strict=True):
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


# --- running


class FastModel:
    """A converted GPT-2, in the place of `LanguageModel.model`: `helpers.sampling` knows how to ask it.

    Its random numbers begin anew only with a new `ctranslate2.Generator`, which reads the weights again. That is done
    as soon as a text is finished, while somebody reads it; whoever wants the next one at once waits for it.
    """

    def __init__(
        self, folder: Path, config: GPT2Config, eos_token_id: int, threads: int | None = None
    ) -> None:
        self.folder, self.config, self.eos_token_id = folder, config, eos_token_id
        self.threads = threads or choose_threads(config)
        self._generator: ctranslate2.Generator | None = None
        try:
            _in_engine_thread(self._renew).result()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            # The folder is ours and can be made again.
            shutil.rmtree(folder, ignore_errors=True)
            ja, en = (
                "消しました。もう一度実行すると、変換し直します。",
                "was deleted: run this again",
            )
            if folder.exists():
                ja, en = (
                    "消してから、もう一度実行してください。",
                    "has to be deleted: do so and run this again",
                )
            raise EngineUnavailable(
                say(
                    f"int8 に変換したモデル（{folder}）を読み込めません。{ja}"
                    'engine="torch" は今のまま使えます。',
                    f"the model converted to int8 ({folder}) could not be read and {en} to convert it anew; "
                    'engine="torch" works as it is.',
                )
            ) from error
        _models.add(self)

    def _renew(self) -> None:
        import ctranslate2

        self._generator = None  # first, so that the weights are not in memory twice
        trim_heap()
        with suppress(OSError):  # of a cache that can only be read nothing is deleted either
            os.utime(self.folder)  # see `remove_stale`
        self._generator = ctranslate2.Generator(
            str(self.folder), device="cpu", compute_type="int8_float32", intra_threads=self.threads
        )
        trim_heap()  # the weights as they lay in the file, before the engine arranged them

    def ready(self) -> None:
        """Wait until the next text can begin."""
        _in_engine_thread(lambda: None).result()

    def check(self, settings: SamplingSettings) -> None:
        """Raise `SettingsError` for a setting that means something else to this engine."""
        if settings.repetition_penalty != 1:
            raise SettingsError(
                "repetition_penalty",
                say(
                    f"repetition_penalty = {settings.repetition_penalty:g} は使えません。CTranslate2 の罰は prompt の"
                    'トークンを数えないからです。1 にするか、engine="torch" を使ってください。',
                    f"repetition_penalty = {settings.repetition_penalty:g} cannot be used: CTranslate2's penalty leaves "
                    'out the tokens of the prompt; set it to 1, or use engine="torch".',
                ),
            )
        all_kept = not 0 < settings.top_k < self.config.vocab_size - 1
        if settings.do_sample and settings.temperature > HOTTEST and all_kept:
            raise SettingsError(
                "temperature",
                say(
                    f"temperature = {settings.temperature:g} は、top_k = {settings.top_k} といっしょには使えません。"
                    f'CTranslate2 では {HOTTEST:g} 以下にするか、top_k を使うか、engine="torch" を使ってください。',
                    f"temperature = {settings.temperature:g} cannot be used with top_k = {settings.top_k}: with CTranslate2 "
                    f'give at most {HOTTEST:g}, use top_k, or use engine="torch".',
                ),
            )

    def _check_memory(self, count: int, new_tokens: int) -> None:
        """Raise `SettingsError` if the texts do not fit into the memory.

        Until the last one ends the library keeps the logits of all their tokens, in float32 and twice (measured with 50
        and 100 texts of 198 tokens), beside the keys and values of each layer.
        """
        import torch

        config = self.config
        numbers = 2 * (config.vocab_size + 1) + 2 * config.n_layer * config.n_embd
        needed = 4 * numbers * count * new_tokens
        if needed <= (free := available_memory(torch.device("cpu"))):
            return
        raise SettingsError(
            "num_return_sequences",
            say(
                f"{count} 個の文で {new_tokens} トークンずつ書くには、CTranslate2 ではメモリがあと約 {_mb(needed)} 必要ですが、"
                f"空きは {_mb(free)} です。num_return_sequences か max_length を小さくするか、"
                'engine="torch" を使ってください。',
                f"to write {new_tokens} tokens in each of {count} texts CTranslate2 needs about {_mb(needed)} more memory, and "
                f'{_mb(free)} are free: give a smaller num_return_sequences or max_length, or use engine="torch".',
            ),
        )

    def _awake(self) -> ctranslate2.Generator:
        if self._generator is None:  # making it anew failed; say why to who needs it
            try:
                self._renew()
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise EngineUnavailable(
                    say(
                        f"int8 に変換したモデルが読めなくなりました（{self.folder}）。"
                        "load_model で読み込み直してください。",
                        f"the model converted to int8 cannot be read any more ({self.folder}): load it again with "
                        "load_model.",
                    )
                ) from error
        return self._generator

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits after every token of `input_ids` (1, tokens), float32 of shape (1, tokens, vocab)."""
        import numpy as np
        import torch

        def forward() -> np.ndarray:
            return np.array(self._awake().forward_batch(input_ids.tolist()))

        return torch.from_numpy(_in_engine_thread(forward).result())[..., :-1]

    def token_steps(
        self, settings: SamplingSettings, input_ids: torch.Tensor
    ) -> Iterator[list[tuple[int, float, float] | None]]:
        """For each step, and each sequence: its new token, raw and final probability; None once it has ended.

        The engine writes ahead on a thread of its own; closing the iterator stops it at its next token.

        Raises:
            SettingsError: see `check`; or the memory is too small for so many tokens.
            EngineUnavailable: the converted model is not there any more.
        """
        self.check(settings)
        count = settings.num_return_sequences if settings.do_sample else 1
        # One certain text needs to be written once only; CTranslate2 would refuse to do it several times.
        certain = not settings.do_sample or settings.top_k == 1
        rows = _Rows(1 if certain else count, None if certain else settings, self.eos_token_id)
        prompt = input_ids.shape[1]
        _written.add(rows)
        options = {
            "max_length": settings.max_length - prompt,
            "min_length": max(0, settings.min_length - prompt),
            "num_hypotheses": rows.count,
            "sampling_topk": 1 if certain else min(settings.top_k, self.config.vocab_size),
            "sampling_topp": 1.0 if certain else settings.top_p,
            "sampling_temperature": 1.0 if certain else settings.temperature,
        }
        _in_engine_thread(self._write, settings.seed, input_ids, rows, options)
        try:
            while (row := rows.finished.get()) is not None:
                if isinstance(row, Exception):
                    raise row
                yield row * count if certain else row
        finally:
            rows.stop = True

    def _write(
        self, seed: int, input_ids: torch.Tensor, rows: _Rows, options: dict[str, Any]
    ) -> None:
        import ctranslate2

        if _closing.is_set():
            return
        try:
            # The largest number stands for "no seed".
            ctranslate2.set_random_seed(seed % (2**32 - 1))
            # Here, as by now the weights and the logits of the text before are where they belong.
            self._check_memory(rows.count, options["max_length"])
            self._generate(input_ids, rows, **options)
        except Exception as error:  # it is raised where somebody waits for the tokens
            rows.finished.put(error)
        rows.finished.put(None)
        if options["sampling_topk"] != 1 and not _closing.is_set():
            self._renew()

    def _generate(self, input_ids: torch.Tensor, rows: _Rows, **options: Any) -> None:
        self._awake().generate_batch(
            [[str(i) for i in input_ids[0].tolist()]],
            end_token=[self.eos_token_id],
            # The prompt is read at once, for all sequences together.
            include_prompt_in_result=False,
            return_logits_vocab=True,
            callback=rows,
            **options,
        )

    @cached_property
    def settings_model(self) -> GPT2LMHeadModel:
        """A GPT-2 without a mind, for transformers to make its logits processors from: it is never run."""
        from transformers import GPT2Config, GPT2LMHeadModel

        sizes = {"vocab_size": self.config.vocab_size, "n_positions": self.config.n_positions}
        ends = {"bos_token_id": None, "eos_token_id": None}
        return GPT2LMHeadModel(GPT2Config(n_embd=1, n_layer=1, n_head=1, **sizes, **ends)).eval()


# All work of the library is done in one thread. It seeds for the whole process, so texts are written one after another;
# and memory that one thread gave back, another thread would not always be given again.
_jobs: queue.SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None] = queue.SimpleQueue()
_threads: list[threading.Thread] = []
_starting = threading.Lock()
_models: WeakSet[FastModel] = WeakSet()
_written: WeakSet[_Rows] = WeakSet()
_closing = threading.Event()


def _in_engine_thread(function: Callable[..., Any], *arguments: Any) -> Future:
    with _starting:
        if not _threads:
            _threads.append(threading.Thread(target=_work, name="ctranslate2", daemon=True))
            _threads[0].start()
    future: Future = Future()
    _jobs.put((future, function, arguments))
    return future


def _work() -> None:
    while (job := _jobs.get()) is not None:
        future, function, arguments = job
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # it is raised where somebody waits for the result
            future.set_exception(error)
        del job, future, function, arguments


@atexit.register
def _close() -> None:
    """Python ends: the library's threads must end before its memory goes."""
    _closing.set()
    for rows in list(_written):
        rows.stop = True
    _jobs.put(None)
    for thread in _threads:
        thread.join()
    for model in list(_models):
        model._generator = None


class _Rows:
    """CTranslate2's callback: gathers the tokens of a step into one row, and puts it into `finished`.

    Called on the engine's thread for one token after another. An exception there would end the process.
    """

    def __init__(self, count: int, settings: SamplingSettings | None, eos_token_id: int) -> None:
        self.count, self.settings, self.eos_token_id = count, settings, eos_token_id
        self.finished: queue.SimpleQueue[list | Exception | None] = queue.SimpleQueue()
        self.stop = False
        self.logits: np.ndarray | None = None
        self._open = count
        self._row: list[tuple[int, float, float] | None] = []
        self._seen = self._ended = 0

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        try:
            self._add(result)
        except Exception as error:  # see above
            self.finished.put(error)
            self.stop = True
        return self.stop

    def _add(self, result: ctranslate2.GenerationStepResult) -> None:
        import numpy as np

        if self._seen == 0:
            # The first of a step brings the logits of all sequences that go on.
            self.logits = np.array(result.logits)
            self._row = [None] * self.count
        raw, final = _probabilities(
            self.logits[self._seen], result.token_id, self.settings, self.eos_token_id
        )
        self._row[result.hypothesis_id] = (result.token_id, raw, final)
        self._seen += 1
        self._ended += result.is_last
        if self._seen == self._open:
            self.finished.put(self._row)
            self._open -= self._ended
            self._seen = self._ended = 0


def _probabilities(
    logits: np.ndarray, token: int, settings: SamplingSettings | None, eos_token_id: int
) -> tuple[float, float]:
    """The model's own probability of a token, and the one it was drawn with (1 without settings: it was certain)."""
    import numpy as np

    # What is drawn from; the end token is barred from short texts.
    open_to = logits[:-1]
    own = open_to.copy()
    own[eos_token_id] = logits[-1] - np.float32(TWIN_BIAS)
    raw = float(np.exp(own[token] - _log_sum(own)))
    if settings is None:
        return raw, 1.0
    with np.errstate(over="ignore"):  # a barred token's logit is the lowest number there is
        scores = open_to / np.float32(settings.temperature)
    kept = scores
    if 0 < settings.top_k < len(kept):
        kept = np.partition(kept, -settings.top_k)[-settings.top_k :]
    if settings.top_p < 1:
        kept = np.sort(kept)[::-1]
        share = np.exp(kept - _log_sum(kept))
        kept = kept[np.cumsum(share) - share < settings.top_p]
    return raw, float(min(1.0, np.exp(scores[token] - _log_sum(kept))))


def _log_sum(scores: np.ndarray) -> np.float32:
    import numpy as np

    highest = scores.max()
    return highest + np.log(np.exp(scores - highest).sum())


def choose_threads(config: GPT2Config) -> int:
    """Threads by measurement: one for small models, else one for each core that torch would use."""
    import torch

    from helpers.catalogue import count_parameters

    small = count_parameters(config.to_dict()) < ONE_THREAD_BELOW
    return 1 if small else torch.get_num_threads()
