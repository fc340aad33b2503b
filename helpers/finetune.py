"""Fine-tuning on a text of your own: reading it, windows of tokens, the training loop, bits per character.

The loop is the plain one of lesson 05 and does what `transformers.Trainer` does by default: AdamW without weight decay,
a warm-up and then a straight line to zero, gradients clipped at 1. What it adds: it watches held-out text and keeps the
best weights, it can be stopped, and it goes on where it was stopped.
"""

from __future__ import annotations

import math
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.errors import InputError
from helpers.language import say
from helpers.notation import plain, split_file

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from helpers.models import LanguageModel
    from helpers.tokenizer import SentencePieceTokenizer

SHORTEST = (
    1000  # characters: with less there is neither something to learn nor something to measure
)
EVALUATION_WINDOW = 256  # tokens, as in training/evaluate.py
IGNORED = -100  # a label that counts for nothing: PyTorch's own number for it
CHECKPOINT = "checkpoint.pt"

_AOZORA = re.compile(r"［＃[^［］]*］|^【テキスト中に現れる記号について】|^底本[：:]", re.MULTILINE)
_FRAME = re.compile(r"^【テキスト中に現れる記号について】|^底本[：:]", re.MULTILINE)
# What is no text, or text in another encoding, has these in it when it is read as UTF-8 or Shift_JIS.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MOJIBAKE = re.compile(r"[\x00-\x08\x0e-\x1f\uff61-\uff9f\ue000-\uf8ff]")


class FinetuneError(InputError):
    """A text, a setting or a machine that cannot be trained with. Nothing was changed."""


class LossNotFinite(FinetuneError):
    """The loss became NaN or infinite. The model has the best weights of before; `run` holds the curve."""

    def __init__(self, message: str, run: TrainingRun) -> None:
        super().__init__(message)
        self.run = run


# --- the text


class Document(NamedTuple):
    """A text ready to learn from: one paragraph a line. `cleaned` says whether 青空文庫's notation was removed."""

    text: str
    encoding: str
    cleaned: bool


def read_document(source: str | Path | bytes) -> Document:
    """Read a text file in UTF-8 or Shift_JIS; ruby, notes, header and footer of 青空文庫 are taken out.

    Args:
        source: the path of a file, or a file's bytes.

    Raises:
        FinetuneError: there is no such file, or it is empty, or neither UTF-8 nor Shift_JIS.
    """
    if isinstance(source, bytes):
        data, name = source, say("このファイル", "the file")
    else:
        name = str(source)
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise FinetuneError(
                say(
                    f"{name}を読めません（{type(error).__name__}）。"
                    "ファイルの名前と場所を確かめるか、Colab なら左のフォルダーの印からアップロードしてください。",
                    f"{name} cannot be read ({type(error).__name__}): check its name and place; on Colab, upload it "
                    "with the folder symbol on the left.",
                )
            ) from error
    text, encoding = _decode(data, name)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = bool(_AOZORA.search(text))
    if cleaned:
        # Only whole files have a header; a body that somebody pasted has not.
        text = plain(split_file(text)[1] if _FRAME.search(text) else text)
    text = "\n".join(filter(None, (line.strip() for line in text.split("\n"))))
    if not text:
        raise FinetuneError(
            say(
                f"{name}は空です。文章の入ったテキストファイルを指定してください。",
                f"{name} is empty: give a text file with something in it.",
            )
        )
    return Document(text, encoding, cleaned)


def _decode(data: bytes, name: str) -> tuple[str, str]:
    for encoding, shown, strange in (
        ("utf-8-sig", "UTF-8", _CONTROL),
        ("cp932", "Shift_JIS", _MOJIBAKE),
    ):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(strange.findall(text)) <= len(text) / 4:
            return text, shown
    raise FinetuneError(
        say(
            f"{name}は UTF-8 でも Shift_JIS でもないようです。"
            "テキストエディターで開き、文字コードを UTF-8 にして保存しなおしてください。",
            f"{name} seems to be neither UTF-8 nor Shift_JIS: open it in a text editor and save it as UTF-8.",
        )
    )


def uploaded(value: Any) -> bytes | None:
    """The bytes of the last file in the value of an `ipywidgets.FileUpload`, or None if there is none.

    ipywidgets 8 has a tuple of files there, 7 (Colab) a dict of them by name.
    """
    files = list(value.values() if isinstance(value, Mapping) else value)
    return bytes(files[-1]["content"]) if files else None


def split_text(text: str, held_out: float = 0.15) -> tuple[str, str]:
    """Cut a text in two, at the end of a paragraph or sentence: (to learn from, held out).

    Args:
        held_out: the share (0 to 1) of characters at the text's end that is only for measuring.

    Raises:
        FinetuneError: the text has fewer than 1,000 characters, or the share leaves nothing on one side.
    """
    if not 0 < held_out < 1:
        raise _bad("held_out", held_out, "0 より大きく 1 より小さい割合", "a share between 0 and 1")
    if len(text) < SHORTEST:
        raise FinetuneError(
            say(
                f"文章が短すぎます（{len(text):,} 文字）。{SHORTEST:,} 文字以上の文章を指定してください。",
                f"the text is too short ({len(text):,} characters): give one of at least {SHORTEST:,} characters.",
            )
        )
    goal = len(text) * (1 - held_out)
    for border in (r"\n", r"(?<=[。！？」])", ""):
        places = [found.end() for found in re.finditer(border, text)]
        cut = min(places, key=lambda place: abs(place - goal), default=0)
        # A border too far away would leave too little on one side.
        if abs(cut - goal) <= len(text) * min(held_out, 1 - held_out) / 2:
            break
    return text[:cut].strip(), text[cut:].strip()


# --- tokens


@dataclass(frozen=True)
class Windows:
    """A text as rows of one length: a dataset for `transformers.Trainer`, and two tensors.

    `input_ids` and `labels` are int64 of shape (rows, length). Rows overlap by one token, so every token but the
    leading `<s>` is predicted once; the last row reaches back to be full, and what it repeats has the label -100.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.input_ids[row], "labels": self.labels[row]}


def make_windows(tokenizer: SentencePieceTokenizer, text: str, length: int = 128) -> Windows:
    """The windows of a text, `<s>` in front.

    Raises:
        FinetuneError: the text has fewer tokens than one window, or a window fewer than 2.
    """
    import torch

    if length < 2:
        raise _bad("length", length, "2 以上の整数", "an integer of 2 or more")
    ids = [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
    if len(ids) < length:
        raise FinetuneError(
            say(
                f"文章が短すぎます。{len(ids)} トークンしかなく、一つの窓（{length} トークン）にも足りません。",
                f"the text is too short: its {len(ids)} tokens do not fill one window of {length}.",
            )
        )
    starts = [*range(0, len(ids) - length, length - 1), len(ids) - length]
    input_ids = torch.tensor([ids[start : start + length] for start in starts])
    labels = input_ids.clone()
    if len(starts) > 1:
        # Position 0 of a row is nobody's target; the row before ended with that token.
        labels[-1, : starts[-2] + length - starts[-1]] = IGNORED
    return Windows(input_ids, labels)


def bits_per_character(
    model: PreTrainedModel,
    tokenizer: SentencePieceTokenizer,
    text: str,
    window: int = EVALUATION_WINDOW,
) -> float:
    """How many bits the model spends on a character of the text: nats / ln 2 / characters. Less is better.

    As in training/evaluate.py: a leading `<s>`, a window of 256 tokens that moves by half of itself, each token predicted
    once; characters are those of the normalised text, and an unknown one costs what `<unk>` costs.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from helpers.tokenizer import normalize

    window = min(window, model.config.max_position_embeddings)
    ids = [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
    nats, done = 0.0, 1
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for start in range(0, max(1, len(ids) - window // 2), window // 2):
                row = torch.tensor([ids[start : start + window]], device=model.device)
                logits = model(input_ids=row, use_cache=False).logits[0, :-1].float()
                losses = cross_entropy(logits, row[0, 1:], reduction="none")
                nats += losses[done - start - 1 :].sum().item()
                done = start + row.shape[1]
    finally:
        model.train(training)
    return nats / math.log(2) / len(normalize(tokenizer, text))


# --- the model and the memory it takes


def load_for_training(
    name: str = "aozora-mini",
    device: str | torch.device | None = None,
    half: bool = False,
    gradient_checkpointing: bool = False,
) -> LanguageModel:
    """Load a model whose weights can be trained: in float32, unlike `load_model` on a GPU.

    From then on peft can add an adapter to it also where it dislikes a package beside it: see `accept_old_torchao`.

    Args:
        name, device: as in `helpers.models.load_model`.
        half: leave the weights in the half precision of the device (a T4: float16). Right where they stay as they are
            and only an adapter is trained, as in LoRA.
        gradient_checkpointing: keep only what goes into each layer and compute the rest anew: less memory, more time.

    Raises:
        ValueError, ModelUnavailable, NotEnoughMemory: as `load_model` does.
    """
    import torch

    from helpers.models import load_model
    from helpers.packing import unpack

    # Not halved first and widened again: a file in float32 would lose its digits.
    language_model = load_model(name, device, dtype=None if half else torch.float32)
    model = language_model.model
    unpack(model)
    # Half precision is for adapters; otherwise peft is not loaded only for this.
    if half or "peft" in sys.modules:
        accept_old_torchao()
    # GPT-2's class does not name its loss, and transformers would warn when it takes the right one.
    model.loss_type = "ForCausalLM"
    if gradient_checkpointing:
        # transformers renamed it after 5.15, Colab's version.
        name_now = "activation_checkpointing_enable"
        (getattr(model, name_now, None) or model.gradient_checkpointing_enable)()
    return replace(language_model, model=model, dtype=model.dtype)


def accept_old_torchao() -> None:
    """Have peft treat a torchao that it finds too old as absent, instead of refusing every adapter because of it.

    Colab has torchao 0.10 and a peft that raises ImportError for it, at each layer, quantized or not. None of our models is
    quantized with torchao. The package itself stays installed and can be imported; one that peft accepts is left alone.
    """
    if find_spec("peft") is None:
        return
    from peft import import_utils

    asked = getattr(import_utils, "is_torchao_available", None)
    if asked is None:
        return
    try:
        asked()
    except ImportError:
        # Other modules of peft hold the same function under the same name.
        for name, module in list(sys.modules.items()):
            ours = name.partition(".")[0] == "peft"
            if ours and getattr(module, "is_torchao_available", None) is asked:
                module.is_torchao_available = lambda: False


def training_memory(
    shape: Any,
    parameters: int,
    trained: int | None = None,
    settings: TrainingSettings | None = None,
    weight_bytes: int = 4,
    value_bytes: int = 4,
    gradient_checkpointing: bool = False,
) -> dict[str, int]:
    """Estimate what training takes, in bytes, by part: "weights", "training", "activations", "logits".

    Args:
        shape: whatever has `n_layer`, `n_embd` and `vocab_size`: a GPT-2 config or an entry of the catalogue.
        parameters: how many weights the model has; `trained` how many of them learn (all, without it).
        weight_bytes: of each weight, 2 in half precision.
        value_bytes: of each value between the layers, 2 with float16 or bfloat16 autocast.
        gradient_checkpointing: only the layers' inputs are kept, and one layer is computed anew.

    Each trained weight takes 16 bytes more, in float32: its gradient, the two running means of AdamW, and the copy of
    the best. A layer keeps about 17 values for each token and unit of width (Korthikanti et al. 2022, arXiv:2205.05198,
    with the attention computed in one kernel). Logits are kept in float32, with their gradient and their softmax.
    """
    settings = settings or TrainingSettings()
    tokens = settings.batch_size * settings.length
    layers = shape.n_layer + 17 if gradient_checkpointing else 17 * shape.n_layer
    return {
        "weights": parameters * weight_bytes,
        "training": 16 * (parameters if trained is None else trained),
        "activations": tokens * shape.n_embd * layers * value_bytes,
        "logits": 3 * 4 * tokens * shape.vocab_size,
    }


def _check_memory(model: PreTrainedModel, settings: TrainingSettings) -> None:
    from helpers.device import available_memory

    weights = [p for p in model.parameters() if p.requires_grad]
    parts = training_memory(
        model.config,
        0,  # the weights are there already
        sum(p.numel() for p in weights),
        settings,
        gradient_checkpointing=any(
            getattr(module, "gradient_checkpointing", False) for module in model.modules()
        ),
    )
    needed, free = sum(parts.values()), available_memory(model.device)
    if needed > free:
        raise FinetuneError(
            say(
                f"学習にはあと約 {needed / 1e9:.1f} GB のメモリが必要ですが、空きは {free / 1e9:.1f} GB です。"
                "batch_size か length を小さくするか、LoRA か小さいモデルを使ってください。",
                f"training needs about {needed / 1e9:.1f} GB more memory and {free / 1e9:.1f} GB are free: "
                "make batch_size or length smaller, or use LoRA or a smaller model.",
            )
        )


# --- the loop


@dataclass(frozen=True)
class TrainingSettings:
    """How to train. `length` is in tokens; the learning rate is its peak; `seed` decides the order of the windows.

    With `keep_best=False` the model ends with the last weights, not with the best on held-out text: to see over-fitting.

    Raises:
        FinetuneError: a setting is out of its range.
    """

    steps: int = 40
    batch_size: int = 8
    length: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 10
    evaluate_every: int = 10
    seed: int = 42
    keep_best: bool = True

    def __post_init__(self) -> None:
        lowest = {
            "steps": 1,
            "batch_size": 1,
            "length": 2,
            "warmup_steps": 0,
            "evaluate_every": 1,
            "seed": 0,
        }
        for name, low in lowest.items():
            value = getattr(self, name)
            if type(value) is not int or value < low:
                raise _bad(name, value, f"{low} 以上の整数", f"an integer of {low} or more")
        if not 0 < self.learning_rate < math.inf:
            raise _bad(
                "learning_rate", self.learning_rate, "0 より大きい数", "a number greater than 0"
            )


@dataclass
class TrainingRun:
    """The course of a training.

    Attributes:
        settings: what it was started with.
        losses: the training loss of each step, in bits per character.
        held_out: steps at which held-out text was measured, and its bits per character; the first is step 0.
        seconds: time that was spent, evaluations included.
        stopped: "finished", "user" (interrupted), "nan", or "" while it runs.
    """

    settings: TrainingSettings
    losses: list[float] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = ""

    @property
    def best(self) -> tuple[int, float]:
        """The step with the fewest bits per character on held-out text, and these bits."""
        return min(self.held_out, key=lambda point: point[1])

    @property
    def improvement(self) -> float:
        """By what share (0 to 1) the held-out bits per character fell, best against start."""
        return 1 - self.best[1] / self.held_out[0][1]


def batches(count: int, batch_size: int, seed: int, start: int = 0) -> Iterator[torch.Tensor]:
    """Endless row numbers, int64 of shape (at most batch_size,), from step `start`: each epoch in an order of its own.

    The order is that of `transformers.Trainer` with `data_seed=seed`.
    """
    import torch

    per_epoch = -(-count // batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed + epoch))
        yield from order.split(batch_size)[first:]
        epoch, first = epoch + 1, 0


def fine_tune(
    language_model: LanguageModel,
    train_text: str,
    held_out_text: str,
    settings: TrainingSettings | None = None,
    show: Callable[[TrainingRun], None] = lambda run: None,
    folder: str | Path | None = None,
    dtype: torch.dtype | None = None,
) -> TrainingRun:
    """Train a model on a text, in place; at the end it has the weights that were best on the held-out text.

    The notebook's stop button (KeyboardInterrupt) ends it early and keeps the best weights too. The caller's random
    state is left as it was.

    Args:
        language_model: from `load_for_training`; `model` may also be one that peft has made of it.
        show: called with the run after each step.
        folder: keep a checkpoint here at each evaluation, and go on from one that is there: to the same numbers as
            without the interruption (on a CPU).
        dtype: of the arithmetic; without it that of half-precision weights, else what suits the device (float32 on a
            CPU, float16 on a T4).

    Raises:
        FinetuneError: a text is too short, the window longer than the model can take, the weights in half precision, the
            memory too little, or the checkpoint in `folder` of another run: all before any work.
        LossNotFinite: the loss became NaN or infinite; the model has its best weights again.
    """
    import torch

    from helpers.device import choose_device
    from helpers.packing import unpack

    settings = settings or TrainingSettings()
    if language_model.dtype == torch.int8:
        raise FinetuneError(
            say(
                "int8 の重みは学習できません。load_for_training で読み込んだモデルを使ってください。",
                "weights in int8 cannot be trained: use a model from load_for_training.",
            )
        )
    model, tokenizer = language_model.model, language_model.tokenizer
    unpack(model)  # if it came from `load_model`
    if settings.length > model.config.max_position_embeddings:
        limit = model.config.max_position_embeddings
        raise _bad(
            "length", settings.length, f"{limit} 以下の整数", f"an integer of at most {limit}"
        )
    data = make_windows(tokenizer, train_text, settings.length)
    if not held_out_text.strip():
        raise FinetuneError(
            say(
                "測るための文章（held_out_text）が空です。split_text で文章を分けてください。",
                "the held-out text is empty: cut a text in two with split_text.",
            )
        )
    if any(p.dtype != torch.float32 for p in model.parameters() if p.requires_grad):
        raise FinetuneError(
            say(
                "半精度（float16 など）の重みは、そのままでは学習できません。half=False で読み込むか、LoRA を使ってください。",
                "weights in half precision cannot be trained as they are: load them with half=False, or use LoRA.",
            )
        )
    _check_memory(model, settings)
    # Nats per token to bits per character, so that both curves share an axis.
    scale = bits_scale(tokenizer, train_text)
    if dtype is None:
        half = language_model.dtype != torch.float32
        dtype = language_model.dtype if half else choose_device(model.device).dtype
    loop = _Loop(model, settings, dtype)
    run, path, key = TrainingRun(settings), None, ""
    if folder is not None:
        path = Path(folder) / CHECKPOINT
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = f"{train_text}\0{held_out_text}".encode()
        key = f"{language_model.name}, {loop.count} weights, {settings}, {zlib.crc32(texts):08x}"
        if path.exists():
            run = loop.restore(_read_checkpoint(path, key, model.device), settings)

    began = time.monotonic() - run.seconds
    model.train()
    try:
        with loop.own_random_state():
            if not run.held_out:
                run.held_out.append((0, bits_per_character(model, tokenizer, held_out_text)))
            for rows in batches(len(data), settings.batch_size, settings.seed, len(run.losses)):
                step = len(run.losses) + 1
                if step > settings.steps:
                    run.stopped = "finished"
                    break
                values = [loop.step(step, data.input_ids[rows], data.labels[rows])]
                run.losses.append(values[0] * scale)
                if measured := step % settings.evaluate_every == 0 or step == settings.steps:
                    values.append(bits_per_character(model, tokenizer, held_out_text))
                if not all(map(math.isfinite, values)):
                    run.stopped = "nan"
                    break
                run.seconds = time.monotonic() - began
                if measured:
                    if values[1] < run.best[1]:
                        loop.keep_best()
                    run.held_out.append((step, values[1]))
                    if path:
                        loop.save(path, key, run)
                show(run)
    except KeyboardInterrupt:
        run.stopped = "user"
    finally:
        if settings.keep_best or run.stopped == "nan":
            loop.load_best()
        model.zero_grad()
        model.eval()
    show(run)
    if run.stopped == "nan":
        raise LossNotFinite(
            say(
                f"ステップ {len(run.losses)} で損失が数でなくなりました（NaN）。学習を止め、一番よかった重み"
                f"（ステップ {run.best[0]}）に戻しました。learning_rate を小さくして、もう一度ためしてください。",
                f"at step {len(run.losses)} the loss was no number any more (NaN): training has stopped and the best "
                f"weights (step {run.best[0]}) are back; try again with a smaller learning_rate.",
            ),
            run,
        )
    return run


class _Loop:
    """What changes during a training: weights, optimizer, loss scale, random state, and the best weights so far."""

    def __init__(self, model: PreTrainedModel, settings: TrainingSettings, dtype: torch.dtype):
        import torch

        self.model, self.settings, self.dtype = model, settings, dtype
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.count = sum(p.numel() for p in self.weights.values())
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=settings.learning_rate, weight_decay=0.0
        )
        # Small gradients vanish in float16: they are computed of a scaled loss.
        kind = model.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=dtype == torch.float16)
        self.random_state: list[torch.Tensor] | None = None
        self.keep_best()

    def step(self, number: int, input_ids: torch.Tensor, labels: torch.Tensor) -> float:
        """Step `number` (from 1) on rows, int64 (rows, length); the loss in nats per token, before the step."""
        import torch
        from torch.nn.functional import cross_entropy

        device = self.model.device
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * learning_rate_factor(self.settings, number)
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.model(input_ids=input_ids.to(device), use_cache=False).logits
        targets = labels[:, 1:].flatten().to(device)
        loss = cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets, ignore_index=IGNORED)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return loss.item()

    def keep_best(self) -> None:
        self.best = {name: p.detach().to("cpu", copy=True) for name, p in self.weights.items()}

    def load_best(self) -> None:
        self._load(self.best)

    def _load(self, values: dict[str, torch.Tensor]) -> None:
        for name, p in self.weights.items():
            p.data.copy_(values[name])

    @contextmanager
    def own_random_state(self) -> Iterator[None]:
        """Seeded, or as the checkpoint had it, for as long as the training takes: dropout draws from it."""
        import torch

        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            if self.random_state is None:
                torch.manual_seed(self.settings.seed)
            else:
                torch.set_rng_state(self.random_state[0])
                for device, state in zip(devices, self.random_state[1:], strict=True):
                    torch.cuda.set_rng_state(state, device)
            yield

    def save(self, path: Path, key: str, run: TrainingRun) -> None:
        """Write a checkpoint; a kill at any moment leaves a whole one."""
        import torch

        device = self.model.device
        random_state = [torch.get_rng_state()]
        if device.type == "cuda":
            random_state.append(torch.cuda.get_rng_state(device))
        partial = path.with_name(path.name + ".partial")
        values = {
            "key": key,
            "weights": {name: p.detach() for name, p in self.weights.items()},
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random_state": random_state,
            "run": [run.losses, run.held_out, run.seconds],
        }
        torch.save(values, partial)
        partial.replace(path)

    def restore(self, saved: dict[str, Any], settings: TrainingSettings) -> TrainingRun:
        self._load(saved["weights"])
        self.best = saved["best"]
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.random_state = [state.cpu() for state in saved["random_state"]]
        losses, held_out, seconds = saved["run"]
        return TrainingRun(settings, losses, [tuple(point) for point in held_out], seconds)


def _read_checkpoint(path: Path, key: str, device: torch.device) -> dict[str, Any]:
    import torch

    try:
        saved = torch.load(path, weights_only=True, map_location=device)
        found = saved["key"]
    except (OSError, RuntimeError, UnpicklingError, KeyError, TypeError) as error:
        raise FinetuneError(
            say(
                f"{path} を読めません（{type(error).__name__}）。このファイルを消してから、もう一度実行してください。",
                f"{path} cannot be read ({type(error).__name__}): delete this file and run this again.",
            )
        ) from error
    if found != key:
        raise FinetuneError(
            say(
                f"{path} は、ほかの設定か文章で学習した途中のものです。"
                "続けるには同じ設定と文章を、やり直すには別の folder を指定してください。",
                f"{path} is of a training with other settings or texts: give the same ones to go on with it, "
                "or another folder to start anew.",
            )
        )
    return saved


def learning_rate_factor(settings: TrainingSettings, step: int) -> float:
    """What part (0 to 1) of the learning rate step 1, 2, ... takes: up to the peak, then down to zero, in straight lines.

    The same as `transformers.get_linear_schedule_with_warmup`: the very first step of a warm-up is one of 0.
    """
    done = step - 1
    if done < settings.warmup_steps:
        return done / settings.warmup_steps
    return (settings.steps - done) / max(1, settings.steps - settings.warmup_steps)


def bits_scale(tokenizer: SentencePieceTokenizer, text: str) -> float:
    """Turns nats per token into bits per character, for one text."""
    from helpers.tokenizer import normalize

    tokens = len(tokenizer.encode(text, add_special_tokens=False))
    return tokens / len(normalize(tokenizer, text)) / math.log(2)


def live_curve(every: float = 0.5) -> Callable[[TrainingRun], None]:
    """Shows a run as it goes, in the output of the cell: for `fine_tune(..., show=live_curve())`.

    It is HTML that is replaced, no widget: so it looks the same on every version of ipywidgets, and the last picture
    stays in the notebook without a kernel.

    Args:
        every: seconds between two pictures.
    """
    from IPython.display import display

    from helpers import charts

    handle, last = None, 0.0

    def show(run: TrainingRun) -> None:
        nonlocal handle, last
        now = time.monotonic()
        if now - last < every and not run.stopped:
            return
        last = now
        done, total = len(run.losses), run.settings.steps
        kept = done
        if run.held_out and (run.settings.keep_best or run.stopped == "nan"):
            kept = run.best[0]
        left = run.seconds / max(1, done) * (total - done)
        note = {
            "": say(
                f"{done}/{total} ステップ、残り約 {left:.0f} 秒",
                f"step {done}/{total}, about {left:.0f} s left",
            ),
            "user": say("停止しました。", "stopped."),
            "nan": say(
                "損失が NaN になり、止まりました。", "the loss became NaN, and training stopped."
            ),
            "finished": say("終わりました。", "done."),
        }[run.stopped]
        if run.stopped:
            note = say(
                f"{note}{done}/{total} ステップ、{run.seconds:.0f} 秒。残した重み: ステップ {kept}",
                f"{note} {done}/{total} steps, {run.seconds:.0f} s. Weights kept: step {kept}",
            )
        picture = charts.loss_curve(run.losses, run.held_out, total, note)
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)

    return show


def _bad(name: str, value: object, ja: str, en: str) -> FinetuneError:
    return FinetuneError(
        say(
            f"{name} = {value!r} は使えません。{ja}を指定してください。",
            f"{name} = {value!r} cannot be used: give {en}.",
        )
    )
