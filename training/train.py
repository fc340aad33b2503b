"""Train the model, restartable at any moment: ``python -m training.train``."""

import argparse
import copy
import csv
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, linear
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from helpers.console import run
from training.corpus import HERE
from training.muon import Muon
from training.tokenizer import BOS, EOS, load
from training.vocabulary import in_vocabulary

BLOCK = 512  # tokens: the unit in which the corpus is shuffled, and the longest row
MICRO_BATCH = 512  # tokens of one forward and backward: their logits fit the processor's cache
MICRO_BATCH_CUDA = 65_536
STEPS_BETWEEN_LOOKS = 20  # at the loss: a GPU must be waited for to see it
CHECKPOINT_SECONDS = 240
DECAY_SHARE = 0.15  # of all training time: how long the rates fall after a constant run
VALIDATION_BLOCKS = 32
ASLEEP_SECONDS = 60  # a step that took longer was stopped or slept; that is not training time


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned, apart from the corpus.

    `lengths` is a row length in tokens for each share of the run: ((0.0, 128), (0.5, 256)) means
    128 until half of the run, then 256. Every `long_every`-th step has rows of 512 from the start:
    short rows alone leave the far positions untrained, and a late change to 512 then costs more
    than it gives. `batch` is in tokens. Learning rates are peaks. `tokens_before` is what the
    weights that the run starts from have learned from already. With `constant` the rates stay at
    their peaks: such a run is finished by another, which continues from one of its checkpoints. `weight_decay` is the
    share of a block's matrix that a step at rate 1 would take away: for runs of many passes over the corpus.
    """

    layers: int = 6
    width: int = 256
    heads: int = 4
    batch: int = 4096
    lengths: tuple[tuple[float, int], ...] = ((0.0, 128), (0.25, 256), (0.85, 512))
    long_every: int = 8
    muon_lr: float = 0.03
    adam_lr: float = 4e-3
    warmup_steps: int = 50
    weight_decay: float = 0.0
    tokens_before: int = 0
    constant: bool = False
    seed: int = 1


def autocast_dtype(device: torch.device | None = None) -> tuple[torch.dtype, str]:
    """Choose the arithmetic by the processor, or by the GPU if `device` is one; returns (dtype, reason)."""
    if device is not None and device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, f"bfloat16: {name} has it"
        # float16 would need its losses scaled; so small a model is quick enough without.
        return torch.float32, f"float32: {name} has no bfloat16 arithmetic"
    if torch.cpu._is_amx_tile_supported():
        return torch.bfloat16, "bfloat16: the processor has AMX"
    if torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16, "bfloat16: the processor has AVX512-BF16"
    return torch.float32, "float32: the processor has no bfloat16 arithmetic"


def make_model(
    recipe: Recipe, vocab_size: int, device: torch.device | str = "cpu"
) -> GPT2LMHeadModel:
    """A freshly initialised GPT-2 (float32) for the recipe and its seed, on `device`."""
    torch.manual_seed(recipe.seed)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=BLOCK,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        # the same function as "gelu_new", in one kernel
        activation_function="gelu_pytorch_tanh",
        bos_token_id=BOS,
        eos_token_id=EOS,
        # The pad token stands in generation_config.json alone: with one in here, transformers takes the padding
        # after a sequence that has ended for a missing attention mask, and warns.
        use_cache=False,
    )
    device = torch.device(device)
    # Plain products on a CPU: over rows as short as ours torch's fused attention is slower there.
    config._attn_implementation = "eager" if device.type == "cpu" else "sdpa"
    model: Any = GPT2LMHeadModel(config)  # transformers' own `to` has no types that hold
    return model.to(device)


def make_optimizers(
    model: GPT2LMHeadModel,
    recipe: Recipe,
    run: Callable[..., Iterable[Any]] = map,
    dtype: torch.dtype = torch.float32,
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, biases and norms."""
    matrices = [p for p in model.transformer.h.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = Muon(matrices, recipe.muon_lr, weight_decay=recipe.weight_decay, run=run, dtype=dtype)
    adam = torch.optim.AdamW(rest, recipe.adam_lr, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


class Blocks:
    """The corpus as shuffled blocks of 512 tokens and the one that follows each.

    Blocks are cut anywhere, so most rows start in mid-document, as prompts without ``<s>`` do.
    """

    def __init__(self, ids: np.ndarray, seed: int, opens: np.ndarray | None = None):
        count = (len(ids) - 1) // BLOCK
        if count < 1:
            raise ValueError(f"{len(ids)} tokens are too few; training needs at least {BLOCK + 1}.")
        self.ids, self.count, self.seed, self.opens = ids, count, seed, opens
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def rows(self, start: int, blocks: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets, int64 (blocks * 512 // length, length), of `blocks` from `start`.

        `start` counts blocks over all epochs; each epoch has its own order. Where a row happens
        to start a paragraph it is given a leading ``<s>``, so that the model knows texts with one.
        """
        places = np.empty(blocks, dtype=np.int64)
        for i in range(blocks):
            epoch, place = divmod(start + i, self.count)
            if epoch != self._epoch:
                rng = np.random.default_rng([self.seed, epoch])
                self._epoch, self._order = epoch, rng.permutation(self.count)
            places[i] = self._order[place] * BLOCK
        block = self.ids[places[:, None] + np.arange(BLOCK + 1)].astype(np.int64)
        inputs = block[:, :-1].reshape(-1, length).copy()
        targets = block[:, 1:].reshape(-1, length).copy()
        if self.opens is not None:
            opening = self.opens[inputs[:, 0]]
            targets[opening] = inputs[opening]
            inputs[opening, 1:] = inputs[opening, :-1]
            inputs[opening, 0] = BOS
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def loss_of(model: GPT2LMHeadModel, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Summed cross entropy in nats."""
    hidden = model.transformer(inputs)[0]
    logits = linear(hidden.flatten(0, 1), model.lm_head.weight).float()
    return cross_entropy(logits, targets.flatten(), reduction="sum")


class Workers:
    """Threads that share the weights and split the micro-batches of a step.

    Two threads with one core each are faster than one thread on two cores, because whole
    micro-batches run side by side instead of the halves of each small product. A GPU is fed by one
    thread, with kernels compiled for the model.
    """

    def __init__(self, model: GPT2LMHeadModel, count: int, dtype: torch.dtype):
        self.dtype, self.device = dtype, model.device
        self.micro_batch, self.loss_of = MICRO_BATCH, loss_of
        if self.device.type == "cuda":
            count, self.micro_batch = 1, MICRO_BATCH_CUDA
            self.loss_of = torch.compile(loss_of, dynamic=False)
        self.replicas = [model] + [copy.deepcopy(model) for _ in range(count - 1)]
        for replica in self.replicas[1:]:
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data
        self.map: Any = map
        if count > 1:
            pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
            self.map = pool.map

    def _run(self, job: tuple[Any, Any, torch.Tensor, bool]) -> torch.Tensor:
        replica, queue, tokens, train = job
        total = torch.zeros((), device=self.device)
        # Held-out rows come once in minutes and in another number: they are not compiled for.
        loss_function = self.loss_of if train else loss_of
        with torch.set_grad_enabled(train):
            while True:
                try:
                    inputs, targets = queue.pop()
                except IndexError:
                    return total
                half = self.dtype != torch.float32
                with torch.autocast(self.device.type, self.dtype, enabled=half):
                    loss = loss_function(replica, inputs.to(self.device), targets.to(self.device))
                if train:
                    (loss / tokens).backward()
                total += loss.detach()

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor, train: bool) -> torch.Tensor:
        """Mean loss in nats a token, float32 (); with `train`, leaves its gradient in the first replica."""
        rows = max(1, self.micro_batch // inputs.shape[1])
        queue = list(zip(inputs.split(rows), targets.split(rows), strict=True))
        jobs = [(replica, queue, targets.numel(), train) for replica in self.replicas]
        total = torch.stack(list(self.map(self._run, jobs))).sum()
        if train:
            model, *others = self.replicas
            for replica in others:
                for p, q in zip(model.parameters(), replica.parameters(), strict=True):
                    if q.grad is not None:
                        p.grad = q.grad if p.grad is None else p.grad.add_(q.grad)
                        q.grad = None
        return total / targets.numel()


def _row_length(recipe: Recipe, progress: float, step: int) -> int:
    if step % recipe.long_every == recipe.long_every - 1:
        return BLOCK
    return [length for share, length in recipe.lengths if share <= progress][-1]


def save_atomically(state: dict, path: Path) -> None:
    """Write a checkpoint so that a kill at any moment leaves a whole one."""
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    partial.replace(path)


def read_checkpoint(path: Path, recipe: Recipe, device: torch.device) -> dict:
    """Read a checkpoint. Raises ValueError if it is of another recipe, a constant rate aside."""
    saved = torch.load(path, weights_only=True, map_location=device)
    if saved["recipe"] | {"constant": recipe.constant} != _plain(recipe):
        raise ValueError(f"{path} is of another recipe; delete it or give another run.")
    return saved


def train(
    ids: np.ndarray,
    run_dir: Path,
    recipe: Recipe,
    vocab_size: int,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    stop_after: int | None = None,
    finish_in: float | None = None,
    validation: np.ndarray | None = None,
    characters_per_token: float = 1.0,
    opens: np.ndarray | None = None,
    workers: int = 1,
    weights: dict[str, torch.Tensor] | None = None,
    decay_from: Path | None = None,
    device: torch.device | str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> GPT2LMHeadModel:
    """Train, or continue from ``run_dir/checkpoint.pt``, and return the model.

    The budget is `minutes` of training time or a number of `steps`: exactly one of them. Learning
    rates fall in a straight line to zero at its end, or stay where they are if the recipe says so.
    `stop_after` leaves after that many steps in all, with a checkpoint, as a kill would.
    A new run starts from `weights`, if they are given: those of a model that learned from the first
    `recipe.tokens_before` tokens; it goes on behind them.

    `finish_in` (in the budget's unit) ends a resumed run early: the straight line starts from where
    it is. `decay_from` is a checkpoint of another run, which may go on meanwhile: a new run starts
    from it and ends in `finish_in`, or in as much as makes 15% of the two together.

    ``run_dir/loss.csv`` receives the curve; losses are nats a token, validation is bits a
    character (`characters_per_token` converts).
    """
    if (minutes is None) == (steps is None):
        raise ValueError("Give the budget either in minutes or in steps.")
    run_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, curve = run_dir / "checkpoint.pt", run_dir / "loss.csv"
    device = torch.device(device)
    dtype, reason = autocast_dtype(device)
    model: Any = make_model(recipe, vocab_size, device).train()
    team = Workers(model, workers, dtype)
    optimizers = make_optimizers(model, recipe, team.map, dtype)
    # `line` is the schedule: the learning rate's factor goes from (at, value) to (end, last).
    unit = 60 if steps is None else 1
    budget = minutes if steps is None else steps
    assert budget is not None  # one of the two is given, see above
    state: dict[str, Any] = {
        "step": 0,
        "blocks": recipe.tokens_before // BLOCK,
        "seconds": 0.0,
        "line": (0.0, 1.0, float(budget * unit), float(recipe.constant)),
        "rows": [],
    }
    new = not checkpoint.exists()
    source = decay_from if new else checkpoint
    if source is not None:
        saved = read_checkpoint(source, recipe, device)
        model.load_state_dict(saved["model"])
        for optimizer, values in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        state = saved["state"]
        print(f"resumed at step {state['step']}, {state['seconds'] / 60:.1f} minutes")
    elif weights is not None:
        model.load_state_dict(weights)
    print(f"{reason}; {sum(p.numel() for p in model.parameters()):,} parameters")

    def clock() -> float:
        return state["seconds"] if steps is None else state["step"]

    def factor() -> float:
        at, value, end, last = state["line"]
        value += (last - value) * min(1.0, (clock() - at) / (end - at))
        return value * min(1.0, (state["step"] + 1) / recipe.warmup_steps)

    if decay_from is not None and new and finish_in is None:
        finish_in = clock() * DECAY_SHARE / (1 - DECAY_SHARE) / unit
    if finish_in is not None and (new or decay_from is None):
        state["line"] = (clock(), factor(), clock() + finish_in * unit, 0.0)
    data = Blocks(ids, recipe.seed, opens)
    held = Blocks(validation, 0) if validation is not None else None

    def save() -> None:
        values = {"recipe": _plain(recipe), "model": model.state_dict(), "state": state}
        values["optimizers"] = [optimizer.state_dict() for optimizer in optimizers]
        save_atomically(values, checkpoint)
        with open(curve, "w", encoding="utf-8", newline="") as file:
            names = ["step", "tokens", "seconds", "factor", "length", "loss", "validation"]
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([names, *state["rows"]])

    losses, saved_at, last = [], time.monotonic(), time.monotonic()
    bar = tqdm(
        total=round(state["line"][2]), initial=round(clock()), unit="s" if minutes else "step"
    )
    while clock() < state["line"][2]:
        length = _row_length(recipe, clock() / state["line"][2], state["step"])
        blocks = max(1, recipe.batch // BLOCK)
        losses.append(team.loss(*data.rows(state["blocks"], blocks, length), train=True))
        scale = factor()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * scale
            optimizer.step()
            optimizer.zero_grad()
        state["step"] += 1
        state["blocks"] += blocks
        now = time.monotonic()
        state["seconds"] += min(now - last, ASLEEP_SECONDS)
        last = now
        done = clock() >= state["line"][2] or state["step"] == stop_after
        due = done or now - saved_at > checkpoint_seconds
        if due or device.type == "cpu" or state["step"] % STEPS_BETWEEN_LOOKS == 0:
            if not math.isfinite(loss := float(losses[-1])):
                raise RuntimeError(
                    f"The loss is {loss} at step {state['step']}; lower the learning rates."
                )
            bar.n = round(min(clock(), state["line"][2]))
            bar.set_postfix(loss=f"{loss:.3f}", tokens=state["blocks"] * BLOCK, refresh=False)
            bar.update(0)
        if due:
            score: float | str = ""
            if held is not None:
                picked = held.rows(0, min(held.count, VALIDATION_BLOCKS), BLOCK)
                bits = float(team.loss(*picked, train=False)) / math.log(2)
                score = round(bits / characters_per_token, 4)
            row: list[Any] = [state["step"], state["blocks"] * BLOCK, round(state["seconds"], 1)]
            row += [round(scale, 4), length, round(float(torch.stack(losses).mean()), 4), score]
            state["rows"].append(row)
            bar.write(" ".join(f"{value}" for value in row))
            save()
            losses, saved_at = [], time.monotonic()
        if state["step"] == stop_after:
            break
    bar.close()
    return model


def _plain(recipe: Recipe) -> dict:
    """The recipe as JSON would give it back, for comparison with a checkpoint's."""
    return json.loads(json.dumps(asdict(recipe)))


def paragraph_openers(spiece: Path) -> np.ndarray:
    """Which pieces open a paragraph: bool (vocabulary,). Newlines become ▁ when encoded."""
    processor = load(spiece)
    return np.array([processor.id_to_piece(i).startswith("▁") for i in range(len(processor))])


def draw_curve(curve: Path, picture: Path) -> None:
    """Draw loss.csv (training and validation against tokens) as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with open(curve, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tokens = [int(row["tokens"]) / 1e6 for row in rows]
    figure, left = plt.subplots(figsize=(7, 4))
    left.plot(tokens, [float(row["loss"]) for row in rows], label="training loss")
    left.set_xlabel("million tokens")
    left.set_ylabel("training loss (nats a token)")
    right = left.twinx()
    right.plot(tokens, [float(row["validation"]) for row in rows], "C1--", label="validation")
    right.set_ylabel("validation (bits a character)")
    handles = list(itertools.chain(left.get_lines(), right.get_lines()))
    left.legend(handles, [str(handle.get_label()) for handle in handles])
    figure.tight_layout()
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--run", default="run", help="name of the run's folder in WORK_DIR")
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--finish-in", type=float, help="minutes in which a resumed run ends")
    parser.add_argument(
        "--decay-from",
        type=Path,
        help="checkpoint of a constant run: begin --run there and end it in --finish-in minutes",
    )
    parser.add_argument("--workers", type=int, default=2, help="threads, on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--start-from", type=Path, help="folder of an exported model; with --tokens-before"
    )
    for name, value in asdict(Recipe()).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            parser.add_argument(option, action="store_true")
        else:
            kind = json.loads if name == "lengths" else type(value)
            parser.add_argument(option, type=kind, default=value)
    args = parser.parse_args()
    values = {name: getattr(args, name) for name in asdict(Recipe())}
    values["lengths"] = tuple(map(tuple, values["lengths"]))
    torch.set_num_threads(1)
    splits = {}
    for split in ("train", "validation"):
        path = args.work_dir / f"{split}.npy"
        if not path.exists():
            parser.error(f"{path} is not there; run: python -m training.tokenizer")
        splits[split] = np.load(path)
    counts = json.loads((args.work_dir / "tokens.json").read_text())
    spiece = args.work_dir / "spiece.model"
    opens = paragraph_openers(spiece)
    weights = None
    if args.start_from:
        start = GPT2LMHeadModel.from_pretrained(args.start_from, dtype=torch.float32)
        old = load(args.start_from / "spiece.model")
        weights = in_vocabulary(start.state_dict(), old, load(spiece))
    train(
        splits["train"],
        args.work_dir / args.run,
        Recipe(**values),
        len(opens),
        minutes=args.minutes,
        finish_in=args.finish_in,
        validation=splits["validation"],
        characters_per_token=counts["validation"]["characters_per_token"],
        opens=opens,
        workers=args.workers,
        weights=weights,
        decay_from=args.decay_from,
        device=args.device,
    )
    draw_curve(args.work_dir / args.run / "loss.csv", args.work_dir / args.run / "loss.png")


if __name__ == "__main__":
    sys.exit(run(main))
