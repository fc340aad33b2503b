"""The training loop of lesson 05, with what a long run needs.

The loop does what `transformers.Trainer` does by default: AdamW without weight decay, a warm-up and then a straight
line to zero, gradients clipped at 1. What it adds: it watches held-out text and keeps the best weights, it can be
stopped, and it resumes where it was stopped.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import unusable
from helpers.finetune.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from helpers.finetune.errors import FinetuneError
from helpers.finetune.model import check_memory
from helpers.finetune.training_run import LossNotFinite, TrainingRun, TrainingSettings
from helpers.finetune.windows import IGNORED, bits_per_character, bits_scale, make_windows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from helpers.models import LanguageModel

LONG = 100_000  # characters


def batches(count: int, batch_size: int, seed: int, start: int = 0) -> Iterator[torch.Tensor]:
    """Endless row numbers, int64 of shape (at most batch_size,), from step `start`: each epoch in a different order.

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
    """Train a model on a text, in place; it ends with the weights that were best on the held-out text.

    The notebook's stop button (KeyboardInterrupt) ends it early and keeps the best weights too. The caller's random
    state is left as it was.

    Args:
        language_model: from `load_for_training`; `model` may also be one that peft has made of it.
        show: called with the run after each step, and while a long text is prepared and measured.
        folder: keep a checkpoint here at each evaluation, and resume from one that is there, with the same numbers as
            without the interruption (on a CPU).
        dtype: of the arithmetic; without it that of half-precision weights, else what suits the device (float32 on a
            CPU, float16 on a T4).

    Raises:
        FinetuneError: a text is too short, the window longer than the model can take, the weights are in half precision,
            memory is short, `folder` cannot be written or has no room, or its checkpoint belongs to another run: all
            before any work.
        CheckpointNotSaved: an OSError; the disk filled up. `run` keeps the curve, the model its best weights.
        LossNotFinite: the loss became NaN or infinite; the model has its best weights again.
    """
    import torch

    from helpers.device import choose_device

    settings = settings or TrainingSettings()
    if not language_model.trainable:
        dtype_name = str(language_model.dtype).removeprefix("torch.")
        which = f'engine="{language_model.engine}", {dtype_name}'
        raise FinetuneError(
            f"このモデルの重みは学習できません（{which}）。load_for_training で読み込んだモデルを使ってください。",
            f"the weights of this model cannot be trained ({which}): use a model from load_for_training.",
        )
    model, tokenizer = language_model.model, language_model.tokenizer
    model.train().eval()  # what `load_model` packed becomes ordinary layers, before an optimizer is made of them
    if settings.length > model.config.max_position_embeddings:
        limit = model.config.max_position_embeddings
        raise FinetuneError(
            *unusable(
                "length", settings.length, f"{limit} 以下の整数", f"an integer, at most {limit}"
            )
        )
    if len(train_text) > LONG:  # a novel takes a second or more: show progress
        show(TrainingRun(settings, measuring=0.0))
    data = make_windows(tokenizer, train_text, settings.length)
    if not held_out_text.strip():
        raise FinetuneError(
            "測るための文章（held_out_text）が空です。split_text で文章を分けてください。",
            "the held-out text is empty: split a text with split_text.",
        )
    if any(p.dtype != torch.float32 for p in model.parameters() if p.requires_grad):
        raise FinetuneError(
            "半精度（float16 など）の重みは、そのままでは学習できません。half=False で読み込むか、LoRA を使ってください。",
            "weights in half precision cannot be trained as they are: load them with half=False, or use LoRA.",
        )
    check_memory(model, settings)
    # Nats per token to bits per character, so that both curves share an axis.
    scale = bits_scale(tokenizer, train_text)
    if dtype is None:
        half = language_model.dtype != torch.float32
        dtype = language_model.dtype if half else choose_device(model.device).dtype
    loop = _Loop(model, settings, dtype)
    run, path, key = TrainingRun(settings), None, ""
    if folder is not None:
        path = checkpoint_path(folder, loop.checkpoint_bytes())
        texts = f"{train_text}\0{held_out_text}".encode()
        key = f"{language_model.name}, {loop.count} weights, {settings}, {zlib.crc32(texts):08x}"
        if path.exists():
            run = loop.restore(read_checkpoint(path, key, model.device), settings)

    def measure() -> float:
        shown = time.monotonic()

        def progress(share: float) -> None:
            nonlocal shown
            run.measuring = share
            if time.monotonic() - shown > 0.5:  # a short text is done by then
                shown = time.monotonic()
                show(run)

        try:
            return bits_per_character(model, tokenizer, held_out_text, progress=progress)
        finally:
            run.measuring = None

    began = time.monotonic() - run.seconds
    model.train()
    try:
        with loop.own_random_state():
            if not run.held_out:
                run.held_out.append((0, measure()))
            for rows in batches(len(data), settings.batch_size, settings.seed, len(run.losses)):
                step = len(run.losses) + 1
                if step > settings.steps:
                    run.stopped = "finished"
                    break
                values = [loop.step(step, data.input_ids[rows], data.labels[rows])]
                run.losses.append(values[0] * scale)
                if measured := step % settings.evaluate_every == 0 or step == settings.steps:
                    values.append(measure())
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
            f"ステップ {len(run.losses)} で損失が数でなくなりました（NaN）。学習を止め、一番よかった重み"
            f"（ステップ {run.best[0]}）に戻しました。learning_rate を小さくして、もう一度ためしてください。",
            f"at step {len(run.losses)} the loss became NaN: training has stopped and the best "
            f"weights (step {run.best[0]}) have been restored; try again with a smaller learning_rate.",
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
        """Write all that `restore` needs to resume with the same numbers."""
        import torch

        device = self.model.device
        random_state = [torch.get_rng_state()]
        if device.type == "cuda":
            random_state.append(torch.cuda.get_rng_state(device))
        values = {
            "key": key,
            "weights": {name: p.detach() for name, p in self.weights.items()},
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random_state": random_state,
            "run": [run.losses, run.held_out, run.seconds],
        }
        write_checkpoint(path, values, run)

    def checkpoint_bytes(self) -> int:
        """Roughly the size of a checkpoint: trained weights, the best ones, and the two averages of AdamW, in float32."""
        return 16 * self.count

    def restore(self, saved: dict[str, Any], settings: TrainingSettings) -> TrainingRun:
        self._load(saved["weights"])
        self.best = saved["best"]
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.random_state = [state.cpu() for state in saved["random_state"]]
        losses, held_out, seconds = saved["run"]
        return TrainingRun(settings, losses, [tuple(point) for point in held_out], seconds)


def learning_rate_factor(settings: TrainingSettings, step: int) -> float:
    """What part (0 to 1) of the learning rate step 1, 2, ... takes: up to the peak, then down to zero, in straight lines.

    The same as `transformers.get_linear_schedule_with_warmup`: the very first step of a warm-up is one of 0.
    """
    done = step - 1
    if done < settings.warmup_steps:
        return done / settings.warmup_steps
    return (settings.steps - done) / max(1, settings.steps - settings.warmup_steps)
