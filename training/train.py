"""Train the model, restartable at any moment: ``python -m training.train``."""

import argparse
import copy
import csv
import itertools
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, linear
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from training.corpus import HERE
from training.tokenizer import BOS, EOS, load

BLOCK = 512  # tokens: the unit in which the corpus is shuffled, and the longest row
MICRO_BATCH = 512  # tokens of one forward and backward: their logits fit the processor's cache
CHECKPOINT_SECONDS = 240
VALIDATION_BLOCKS = 32
ASLEEP_SECONDS = 60  # a step that took longer was stopped or slept; that is not training time


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned, apart from the corpus.

    `lengths` is a row length in tokens for each share of the run: ((0.0, 128), (0.5, 256)) means
    128 until half of the run, then 256. Every `long_every`-th step has rows of 512 from the start:
    short rows alone leave the far positions untrained, and a late change to 512 then costs more
    than it gives. `batch` is in tokens. Learning rates are peaks. `tokens_before` is what the
    weights that the run starts from have learned from already.
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
    tokens_before: int = 0
    seed: int = 1


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan 2024), for the matrices of the blocks.

    torch.optim.Muon does the same in bfloat16, which processors without bfloat16 arithmetic
    emulate: there it takes longer than the forward and backward pass together.
    """

    def __init__(
        self,
        params,
        lr: float,
        momentum: float = 0.95,
        run=map,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.run = run  # a pool's map updates matrices side by side
        self.dtype = dtype  # of the orthogonalisation

    def step(self, closure=None) -> None:
        for group in self.param_groups:
            list(self.run(lambda p, group=group: self._update(p, group), group["params"]))

    @torch.no_grad()
    def _update(self, p: torch.Tensor, group: dict) -> None:
        if "momentum" not in self.state[p]:
            self.state[p]["momentum"] = torch.zeros_like(p)
        buffer = self.state[p]["momentum"].lerp_(p.grad, 1 - group["momentum"])
        update = p.grad.lerp(buffer, group["momentum"])
        # Queries, keys and values share one matrix: each is made orthogonal by itself.
        parts = update.chunk(3, dim=1) if p.shape[1] == 3 * p.shape[0] else [update]
        parts = [orthogonal(part, dtype=self.dtype) for part in parts]
        p.add_(torch.cat(parts, dim=1), alpha=-group["lr"])


def orthogonal(
    matrix: torch.Tensor, steps: int = 4, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Nearest (semi-)orthogonal matrix, roughly, by Newton-Schulz; scaled as Muon does.

    All steps work on the small square x @ x.T and are applied to the matrix at the end: less than
    half the arithmetic of iterating on a matrix four times as wide as high. They compute in `dtype`.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = (x / (x.norm() + 1e-7)).to(dtype)
    gram, product = x @ x.T, None
    for step in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor if product is None else factor @ product
        if step < steps - 1:
            gram = factor @ gram @ factor
    x = product @ x
    x = x.T if tall else x
    # Conv1D stores (inputs, outputs): a layer with more outputs than inputs steps further.
    return x.to(matrix.dtype) * max(1.0, matrix.shape[1] / matrix.shape[0]) ** 0.5


def autocast_dtype() -> tuple[torch.dtype, str]:
    """Choose the arithmetic by the processor; returns (dtype, reason)."""
    if torch.cpu._is_amx_tile_supported():
        return torch.bfloat16, "bfloat16: the processor has AMX"
    if torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16, "bfloat16: the processor has AVX512-BF16"
    return torch.float32, "float32: the processor has no bfloat16 arithmetic"


def make_model(recipe: Recipe, vocab_size: int) -> GPT2LMHeadModel:
    """A freshly initialised GPT-2 (float32) for the recipe and its seed."""
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
        # behind a sequence that has ended for a missing attention mask, and warns.
        use_cache=False,
    )
    # Plain products: over rows as short as ours the fused attention of torch is slower on a CPU.
    config._attn_implementation = "eager"
    return GPT2LMHeadModel(config)


def make_optimizers(
    model: GPT2LMHeadModel, recipe: Recipe, run=map, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, biases and norms."""
    matrices = [p for p in model.transformer.h.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = Muon(matrices, recipe.muon_lr, run=run, dtype=dtype)
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
        self._epoch, self._order = -1, None

    def rows(self, start: int, blocks: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets, int64 (blocks * 512 // length, length), of `blocks` from `start`.

        `start` counts blocks over all epochs; each epoch has its own order. Where a row happens
        to start a paragraph it is given a leading ``<s>``, so that the model knows texts with one.
        """
        picked = []
        for i in range(start, start + blocks):
            epoch, place = divmod(i, self.count)
            if epoch != self._epoch:
                rng = np.random.default_rng([self.seed, epoch])
                self._epoch, self._order = epoch, rng.permutation(self.count)
            at = self._order[place] * BLOCK
            picked.append(self.ids[at : at + BLOCK + 1].astype(np.int64))
        block = np.stack(picked)
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
    micro-batches run side by side instead of the halves of each small product.
    """

    def __init__(self, model: GPT2LMHeadModel, count: int, dtype: torch.dtype):
        self.dtype = dtype
        self.replicas = [model] + [copy.deepcopy(model) for _ in range(count - 1)]
        for replica in self.replicas[1:]:
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data
        self.pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))

    def _run(self, job) -> float:
        replica, queue, tokens, train = job
        total = 0.0
        with torch.set_grad_enabled(train):
            while True:
                try:
                    inputs, targets = queue.pop()
                except IndexError:
                    return total
                with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
                    loss = loss_of(replica, inputs, targets)
                if train:
                    (loss / tokens).backward()
                total += loss.item()

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor, train: bool) -> float:
        """Mean loss in nats a token; with `train`, leaves its gradient in the first replica."""
        rows = max(1, MICRO_BATCH // inputs.shape[1])
        queue = list(zip(inputs.split(rows), targets.split(rows), strict=True))
        jobs = [(replica, queue, targets.numel(), train) for replica in self.replicas]
        total = sum(self.pool.map(self._run, jobs))
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
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> GPT2LMHeadModel:
    """Train, or go on from ``run_dir/checkpoint.pt``, and return the model.

    The budget is `minutes` of training time or a number of `steps`: exactly one of them. Learning
    rates fall in a straight line to zero at its end. `stop_after` leaves after that many steps in
    all, with a checkpoint, as a kill would; `finish_in` (minutes) ends a resumed run early, with
    the straight line starting from where it is. A new run starts from `weights`, if they are given:
    those of a model that learned from the first `recipe.tokens_before` tokens of the same corpus
    and seed; it goes on behind them. ``run_dir/loss.csv`` receives the curve; losses
    are nats a token, validation is bits a character (`characters_per_token` converts).
    """
    if (minutes is None) == (steps is None):
        raise ValueError("Give the budget either in minutes or in steps.")
    run_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, curve = run_dir / "checkpoint.pt", run_dir / "loss.csv"
    dtype, reason = autocast_dtype()
    model = make_model(recipe, vocab_size).train()
    team = Workers(model, workers, dtype)
    optimizers = make_optimizers(model, recipe, team.pool.map, dtype)
    # `line` is the schedule: the learning rate's factor falls from (at, factor) to (end, 0).
    end = minutes * 60 if steps is None else steps
    blocks_before = recipe.tokens_before // BLOCK
    state = {
        "step": 0,
        "blocks": blocks_before,
        "seconds": 0.0,
        "line": (0.0, 1.0, float(end)),
        "rows": [],
    }
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if saved["recipe"] != _plain(recipe):
            raise ValueError(f"{checkpoint} is of another recipe; delete it or give another run.")
        model.load_state_dict(saved["model"])
        for optimizer, values in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        state = saved["state"]
        print(f"resumed at step {state['step']}, {state['seconds'] / 60:.1f} minutes")
    else:
        if weights is not None:
            model.load_state_dict(weights)
        print(f"{reason}; {sum(p.numel() for p in model.parameters()):,} parameters")

    def clock() -> float:
        return state["seconds"] if steps is None else state["step"]

    def factor() -> float:
        at, value, end = state["line"]
        falling = value * max(0.0, (end - clock()) / (end - at))
        return falling * min(1.0, (state["step"] + 1) / recipe.warmup_steps)

    if finish_in is not None:
        state["line"] = (clock(), factor(), clock() + finish_in * 60)
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
        if not math.isfinite(losses[-1]):
            raise RuntimeError(
                f"The loss is {losses[-1]} at step {state['step']}; lower the learning rates."
            )
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
        bar.n = round(min(clock(), state["line"][2]))
        bar.set_postfix(loss=f"{losses[-1]:.3f}", tokens=state["blocks"] * BLOCK, refresh=False)
        bar.update(0)
        done = clock() >= state["line"][2] or state["step"] == stop_after
        if done or now - saved_at > checkpoint_seconds:
            score = ""
            if held is not None:
                picked = held.rows(0, min(held.count, VALIDATION_BLOCKS), BLOCK)
                bits = team.loss(*picked, train=False) / math.log(2)
                score = round(bits / characters_per_token, 4)
            row = [state["step"], state["blocks"] * BLOCK, round(state["seconds"], 1)]
            row += [round(scale, 4), length, round(sum(losses) / len(losses), 4), score]
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
    left.legend(handles, [handle.get_label() for handle in handles])
    figure.tight_layout()
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--run", default="run", help="name of the run's folder in WORK_DIR")
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--finish-in", type=float, help="minutes in which a resumed run ends")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--start-from", type=Path, help="folder of an exported model; with --tokens-before"
    )
    for name, value in asdict(Recipe()).items():
        kind = json.loads if name == "lengths" else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
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
        weights = start.state_dict()
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
    )
    draw_curve(args.work_dir / args.run / "loss.csv", args.work_dir / args.run / "loss.png")


if __name__ == "__main__":
    main()
