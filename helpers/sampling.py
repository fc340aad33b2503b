"""`generate`, `stream` and the next-token distribution, with the settings of `helpers.settings`.

All three go through `model.generate` of transformers, so what a reader sees is what the library does.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

from helpers.failures import (
    OutOfMemory,
    explained_device_errors,
    free_after_error,
    out_of_memory_sentence,
)
from helpers.language import say
from helpers.prompts import encode_prompt
from helpers.results import Generation, Sequence, Step, StreamEvent
from helpers.settings import SamplingSettings, SettingsError, generate_arguments

if TYPE_CHECKING:
    from transformers import LogitsProcessorList

    from helpers.models import LanguageModel

# What callers need comes from here, the settings too.
__all__ = [
    "Candidate",
    "Distribution",
    "Generation",
    "SamplingSettings",
    "Sequence",
    "SettingsError",
    "Step",
    "StreamEvent",
    "distribution_from_logits",
    "encode_prompt",
    "generate",
    "generate_arguments",
    "next_token_distribution",
    "next_token_logits",
    "stream",
    "stream_ids",
]

# Above this, in bytes, probabilities are computed as the texts are written, and not kept until the end.
SCORES_LIMIT = 1e9
# From this many tokens on, several sequences have their prompt read once. A shorter one costs little more than a token:
# reading the weights takes the time. It is left to `model.generate`, as in the article's call.
SHARED_FROM = 64


def generate(
    language_model: LanguageModel, prompt: str, settings: SamplingSettings | None = None
) -> Generation:
    """Continue a prompt with `model.generate`.

    With one seed, on a CPU in float32, the same ids come from here, from `stream` and from
    `torch.manual_seed(seed); model.generate(...)`. The caller's random state is left as it was.

    Where the memory is too small for all sequences at once, fewer are written at a time. They throw the dice of
    their places among all: with one seed, on a CPU in float32, the texts are the same. CTranslate2 writes all at once.

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`; raised before any work.
        OutOfMemory: a MemoryError; not even one sequence fits. Its `generation` keeps what was written.
        EngineUnavailable: a RuntimeError; the model converted for CTranslate2 was deleted.
        DeviceLost: a RuntimeError; the GPU stopped. `model.generate` keeps nothing then; `stream` does.
    """
    settings = _with_seed(settings or SamplingSettings())
    input_ids = encode_prompt(language_model, prompt, settings)
    if language_model.engine == "ctranslate2":
        return _written(stream_ids(language_model, prompt, settings, input_ids))
    rows = settings.num_return_sequences if settings.do_sample else 1
    # Two float32 for each step, sequence and token of the vocabulary.
    scores = 8 * settings.max_length * rows * language_model.model.config.vocab_size
    if scores > SCORES_LIMIT:
        return _written(stream_ids(language_model, prompt, settings, input_ids))
    try:
        with explained_device_errors(language_model.device):
            steps = _generated_steps(language_model, settings, input_ids)
    except OutOfMemory as error:
        free_after_error(error.__cause__)
    else:
        return _generation(language_model, prompt, settings, input_ids[0].tolist(), steps)
    # Token by token the same texts need less memory, and if it is still too little, what was written is there.
    return _written(stream_ids(language_model, prompt, settings, input_ids, at_once=-(-rows // 2)))


def _generated_steps(
    language_model: LanguageModel, settings: SamplingSettings, input_ids: torch.Tensor
) -> list[list[Step]]:
    rows = settings.num_return_sequences if settings.do_sample else 1
    with _seeded(settings.seed, language_model.device):
        output = language_model.model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            past_key_values=_prompt_cache(language_model.model, input_ids, rows),
            **generate_arguments(language_model.tokenizer, settings),
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
        )
    new_ids = output.sequences[:, input_ids.shape[1] :]
    raw = _chosen(output.logits, new_ids)
    final = _chosen(output.scores, new_ids) if settings.do_sample else torch.ones_like(raw)
    return [
        [Step(*step) for step in zip(*columns, strict=True)]
        for columns in zip(new_ids.tolist(), raw.tolist(), final.tolist(), strict=True)
    ]


def _prompt_cache(model: Any, input_ids: torch.Tensor, rows: int) -> Any:
    """Keys and values of all tokens of a prompt (1, tokens) but the last, computed once and repeated for each row.

    None where that gains nothing.
    """
    if rows == 1 or input_ids.shape[1] < SHARED_FROM:
        return None
    with torch.no_grad():
        cache = model(input_ids=input_ids[:, :-1], use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_repeat_interleave(rows)
    return cache


def _written(events: Generator[StreamEvent, None, Generation]) -> Generation:
    """What a stream returns when it is done."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def _chosen(scores: tuple[torch.Tensor, ...], new_ids: torch.Tensor) -> torch.Tensor:
    """The probability of each chosen token, shape (sequences, new tokens), from one (sequences, vocab) a step."""
    columns = [step.softmax(-1).gather(1, new_ids[:, i : i + 1]) for i, step in enumerate(scores)]
    return torch.cat(columns, dim=1)


def stream(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[StreamEvent, None, Generation]:
    """Continue a prompt token by token, all sequences side by side.

    Yields one event for each new token and sequence. The texts of a sequence's events, joined, are its
    continuation: Japanese comes character by character, and a character made of several tokens when it is whole.
    Settings and prompt are checked by the call itself, before the first event is asked for.

    Args:
        should_stop: asked before each step; True ends the generation and keeps what was written ("user").

    Returns:
        The `Generation`, as the generator's return value (`generation = yield from stream(...)`).

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`.
        FloatingPointError: the model computed NaN.
        OutOfMemory: not even one sequence fits.
        DeviceLost: the GPU stopped.
        Whatever ends a text in the middle, these or another error: its `generation` keeps what was written.
    """
    settings = _with_seed(settings or SamplingSettings())
    input_ids = encode_prompt(language_model, prompt, settings)
    if language_model.engine == "ctranslate2":
        language_model.model.check(settings)
    return stream_ids(language_model, prompt, settings, input_ids, should_stop)


def stream_ids(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
    should_stop: Callable[[], bool] = lambda: False,
    at_once: int | None = None,
) -> Generator[StreamEvent, None, Generation]:
    """As `stream`, from ids (int64, shape (1, tokens)) that `encode_prompt` gave or that were chosen one by one.

    Nothing is checked here; `prompt` and `settings`, whose seed must be a number, stand in the result. At most
    `at_once` sequences are written side by side, fewer where the memory is too small for them.
    """
    tokenizer = language_model.tokenizer
    texts: list[_GrowingText] = []
    steps: list[list[Step]] = []
    # Taken from the device now: when a GPU is lost, nothing can be read from it any more.
    with explained_device_errors(language_model.device):
        prompt_ids = input_ids[0].tolist()
    try:
        for row in _token_steps(language_model, settings, input_ids, at_once):
            if not steps:
                steps = [[] for _ in row]
                texts = [_GrowingText(tokenizer, prompt_ids) for _ in row]
            for i, step in enumerate(row):
                if step is not None:
                    steps[i].append(step)
                    yield StreamEvent(i, step.token_id, texts[i].add(step.token_id))
            if should_stop():
                break
    except Exception as error:
        if steps:
            error.generation = _generation(language_model, prompt, settings, prompt_ids, steps)
        raise
    return _generation(language_model, prompt, settings, prompt_ids, steps)


@dataclass
class _Group:
    """Sequences that are written side by side: their places among all, and how far they are."""

    places: list[int]
    ids: torch.Tensor  # int64, (sequences, tokens so far)
    unfinished: torch.Tensor  # bool, (sequences,)
    random_state: dict[str, Any]
    cache: Any = None

    def part(self, rows: slice) -> _Group:
        """Some of the sequences, from where they are; the cache has to be computed again."""
        state = dict(self.random_state)
        return _Group(self.places[rows], self.ids[rows], self.unfinished[rows], state)


def _token_steps(
    language_model: LanguageModel,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
    at_once: int | None = None,
) -> Iterator[list[Step | None]]:
    """`model.generate`, one step at a time: for each sequence its new token, None if this step has none for it.

    transformers prepares everything (processors, cache, one row a sequence) and hands it to our loop. Sequences
    that do not fit into the memory together are parted, and go on from where they are.
    """
    if language_model.engine == "ctranslate2":
        return _fast_steps(language_model, settings, input_ids)

    def step_by_step(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Iterator[list[Step | None]]:
        total, prompt = input_ids.shape
        everyone = _Group(
            places=list(range(total)),
            ids=input_ids,
            unfinished=torch.ones(total, dtype=torch.bool, device=input_ids.device),
            random_state={},
            cache=model_kwargs.get("past_key_values"),
        )

        def steps_of(group: _Group) -> Iterator[list[Step | None]]:
            if group.ids.shape[1] == prompt:
                shared = _prompt_cache(model, group.ids[:1], len(group.places))
                group.cache = group.cache if shared is None else shared
            known = 0 if group.cache is None else group.cache.get_seq_length()
            new_ids = group.ids[:, known:]
            while group.unfinished.any():
                # Nothing global may stay changed while the caller has control, between two tokens.
                with (
                    torch.no_grad(),
                    _seeded(settings.seed, language_model.device, group.random_state),
                ):
                    # One prompt, the same for every row: nothing is padded, so no mask is needed.
                    output = model(
                        input_ids=new_ids,
                        past_key_values=group.cache,
                        use_cache=True,
                        # Of a prompt, too, only the last position is asked for.
                        logits_to_keep=1,
                    )
                    logits = output.logits[:, -1].to(copy=True, dtype=torch.float32)
                    _refuse_nan(logits)
                    scores = logits_processor(group.ids, logits)
                    if generation_config.do_sample:
                        final = scores.softmax(-1)
                        new_ids = _throw_dice(final, group.places, total)
                        chosen = final.gather(1, new_ids)
                    else:
                        new_ids = scores.argmax(-1, keepdim=True)
                        chosen = torch.ones_like(new_ids, dtype=torch.float32)
                    raw = logits.softmax(-1).gather(1, new_ids)
                    pad = generation_config.pad_token_id
                    new_ids = torch.where(group.unfinished[:, None], new_ids, pad)
                    ids = torch.cat([group.ids, new_ids], dim=1)
                    columns = zip(
                        group.places,
                        group.unfinished.tolist(),
                        new_ids[:, 0].tolist(),
                        raw[:, 0].tolist(),
                        chosen[:, 0].tolist(),
                        strict=True,
                    )
                    row: list[Step | None] = [None] * total
                    for place, alive, *step in columns:
                        row[place] = Step(*step) if alive else None
                    unfinished = group.unfinished & ~stopping_criteria(ids, None)
                group.ids, group.unfinished, group.cache = ids, unfinished, output.past_key_values
                yield row

        waiting, size = [everyone], at_once or total
        longest, failed = 0, None
        while waiting:
            group = waiting.pop(0)
            if len(group.places) > size:
                waiting[:0] = [group.part(slice(size)), group.part(slice(size, None))]
                continue
            try:
                with explained_device_errors(language_model.device):
                    yield from steps_of(group)
            except OutOfMemory as error:
                group.cache = None
                free_after_error(error.__cause__)
                if len(group.places) > 1:
                    # Neither will as many fit later on.
                    size = -(-len(group.places) // 2)
                    waiting.insert(0, group)
                else:
                    longest, failed = max(longest, group.ids.shape[1]), error.__cause__
                    if longest == prompt:
                        break  # not a single token fitted: the others need as much
        if failed is not None:
            raise OutOfMemory(_what_fits(language_model, settings, longest)) from failed

    return _prepared(language_model, settings, input_ids, step_by_step)


def _throw_dice(final: torch.Tensor, places: list[int], total: int) -> torch.Tensor:
    """A token for each row, shape (rows, 1). Each row throws the dice of its place among all sequences, so that a
    seed gives the same texts however few are written at a time."""
    if len(places) == total:
        return torch.multinomial(final, num_samples=1)
    everyone = final.new_ones(total, final.shape[1])
    everyone[places] = final
    return torch.multinomial(everyone, num_samples=1)[places]


def _what_fits(language_model: LanguageModel, settings: SamplingSettings, longest: int) -> str:
    return out_of_memory_sentence(
        language_model.device,
        f"1 本ずつ書いても、{longest} トークンまでしか入りませんでした。max_length（今は {settings.max_length}）を"
        f" {longest} 以下にするか、",
        f"even one text at a time, {longest} tokens were the most that fitted; make max_length (now "
        f"{settings.max_length}) at most {longest}, ",
    )


def _fast_steps(
    language_model: LanguageModel, settings: SamplingSettings, input_ids: torch.Tensor
) -> Iterator[list[Step | None]]:
    """The same from CTranslate2, which samples by itself."""
    with (
        explained_device_errors(language_model.device),
        closing(language_model.model.token_steps(settings, input_ids)) as rows,
    ):
        for row in rows:
            _refuse_nan(torch.tensor([step[1] for step in row if step]))
            yield [Step(*step) if step else None for step in row]


def _prepared(
    language_model: LanguageModel,
    settings: SamplingSettings,
    input_ids: torch.Tensor,
    loop: Callable[..., Any],
) -> Any:
    """What `loop` returns when `model.generate` calls it in place of its own, with all it has prepared."""
    model = language_model.model
    if language_model.engine == "ctranslate2":
        model = model.settings_model
    return model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        **generate_arguments(language_model.tokenizer, settings),
        custom_generate=loop,
    )


class _GrowingText:
    """The text of a sequence as far as it is whole, for tokens that come one at a time."""

    def __init__(self, tokenizer: Any, prompt_ids: list[int]) -> None:
        self.tokenizer = tokenizer
        self.ids = list(prompt_ids)
        self.shown = len(tokenizer.decode(self.ids, skip_special_tokens=True))

    def add(self, token_id: int) -> str:
        self.ids.append(token_id)
        text = self.tokenizer.decode(self.ids, skip_special_tokens=True)
        # A character spread over several byte tokens decodes to U+FFFD until its last one is there.
        if text.endswith("\ufffd"):
            return ""
        new = text[self.shown :]
        self.shown = len(text)
        return new


def _generation(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings,
    prompt_ids: list[int],
    steps: list[list[Step]],
) -> Generation:
    tokenizer = language_model.tokenizer
    eos = tokenizer.eos_token_id
    sequences = []
    for row in steps:
        ids = [step.token_id for step in row]
        if eos in ids:
            # Behind its end a sequence is only padded, until the longest one is done.
            row = row[: ids.index(eos) + 1]
        token_ids = prompt_ids + [step.token_id for step in row]
        if eos in ids:
            stopped = "eos"
        else:
            stopped = "max_length" if len(token_ids) >= settings.max_length else "user"
        text = tokenizer.decode(token_ids, skip_special_tokens=True)
        sequences.append(Sequence(text, token_ids, stopped, row))
    return Generation(prompt, settings, sequences)


def _with_seed(settings: SamplingSettings) -> SamplingSettings:
    return (
        settings if settings.seed is not None else replace(settings, seed=secrets.randbelow(2**32))
    )


@contextmanager
def _seeded(seed: int, device: torch.device, state: dict[str, Any] | None = None) -> Iterator[None]:
    """Draw from a generator of our own: seeded, or gone on with from `state`; the caller's is put back after."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        if state:
            torch.set_rng_state(state["cpu"])
            if cuda:
                torch.cuda.set_rng_state(state["cuda"], device)
        else:
            torch.manual_seed(seed)
        yield
        if state is not None:
            state["cpu"] = torch.get_rng_state()
            if cuda:
                state["cuda"] = torch.cuda.get_rng_state(device)


def _refuse_nan(logits: torch.Tensor) -> None:
    if torch.isnan(logits).any():
        raise FloatingPointError(
            say(
                "モデルの計算結果が NaN（数ではない値）になりました。重みが壊れているか、dtype が合っていません。"
                "モデルを読み込み直してください。",
                "the model computed NaN (not a number): its weights are damaged or its dtype does not fit; "
                "load the model again.",
            )
        )


class Candidate(NamedTuple):
    """One possible next token. `cut_by` is None if it can be drawn, else what removed it.

    That is "top_k", "top_p", or "min_length" for the end token `</s>` while the text is shorter than that.
    """

    token_id: int
    piece: str
    raw: float
    final: float
    cut_by: str | None


@dataclass(frozen=True)
class Distribution:
    """All possible next tokens, the most probable (raw) first. Arrays have one entry per token of the vocabulary.

    `token_ids` is int64, `raw` (softmax of the logits) and `final` (what is drawn from) are float32;
    `cut` maps "top_k", "top_p" and "min_length" to a mask of the tokens that step removed.
    """

    tokenizer: Any
    token_ids: torch.Tensor
    raw: torch.Tensor
    final: torch.Tensor
    cut: dict[str, torch.Tensor]

    def head(self, n: int) -> list[Candidate]:
        """The n most probable candidates."""
        ids = self.token_ids[:n].tolist()
        cut_by: list[str | None] = [None] * len(ids)
        for name, mask in self.cut.items():
            for i in mask[:n].nonzero().flatten().tolist():
                cut_by[i] = name
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        columns = (ids, pieces, self.raw[:n].tolist(), self.final[:n].tolist(), cut_by)
        return [Candidate(*row) for row in zip(*columns, strict=True)]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """All candidates, the most probable (raw) first."""
        return self.head(len(self.token_ids))

    def removed(self, name: str) -> int:
        """How many tokens a step ("top_k", "top_p", "min_length") removed."""
        return int(self.cut[name].sum()) if name in self.cut else 0

    @property
    def kept(self) -> int:
        """How many tokens no setting has removed. At a low temperature the probability of many of them rounds to 0."""
        removed = torch.zeros(len(self.token_ids), dtype=torch.bool)
        for mask in self.cut.values():
            removed |= mask
        return int((~removed).sum())

    @property
    def entropy(self) -> float:
        """Entropy of the final distribution in bits: log2 of the effective number of choices."""
        return _entropy(self.final)

    @property
    def raw_entropy(self) -> float:
        """Entropy of the model's own distribution in bits, before any setting acts."""
        return _entropy(self.raw)


def _entropy(probabilities: torch.Tensor) -> float:
    p = probabilities.double()
    return float(-torch.xlogy(p, p).sum() / math.log(2))


def next_token_logits(language_model: LanguageModel, input_ids: torch.Tensor) -> torch.Tensor:
    """Run the model once: its logits for the token after `input_ids` (1, tokens), float32 of shape (1, vocab)."""
    if language_model.engine == "ctranslate2":
        logits = language_model.model.logits(input_ids)[:, -1]
    else:
        with explained_device_errors(language_model.device), torch.no_grad():
            logits = language_model.model(input_ids=input_ids).logits[:, -1].float()
    _refuse_nan(logits)
    return logits


def next_token_distribution(
    language_model: LanguageModel,
    prompt: str,
    settings: SamplingSettings | None = None,
) -> Distribution:
    """The distribution that the first new token is drawn from, before and after the settings.

    Raises:
        SettingsError: see `SamplingSettings` and `encode_prompt`.
    """
    settings = settings or SamplingSettings()
    # One token needs no room for a whole text: the lengths are not held against the model's positions.
    input_ids = encode_prompt(language_model, prompt)
    return distribution_from_logits(
        language_model, input_ids, next_token_logits(language_model, input_ids), settings
    )


def distribution_from_logits(
    language_model: LanguageModel,
    input_ids: torch.Tensor,
    logits: torch.Tensor,
    settings: SamplingSettings,
) -> Distribution:
    """As `next_token_distribution`, from logits (1, vocab) already at hand: the model is not run.

    The processors are those that `model.generate` itself builds for these settings, asked one by one which
    tokens they remove. Greedy search is shown as what it is equal to, top_k = 1.
    """
    if not settings.do_sample:
        settings = replace(settings, do_sample=True, top_k=1, top_p=1.0, temperature=1.0)

    def processors(
        model: Any, input_ids: Any, logits_processor: LogitsProcessorList, **_: Any
    ) -> Any:
        return logits_processor

    length = input_ids.shape[1] + 1
    one = replace(settings, num_return_sequences=1, max_length=max(settings.max_length, length))
    scores = logits
    cut: dict[str, torch.Tensor] = {}
    for processor in _prepared(language_model, one, input_ids, processors):
        before, scores = scores, processor(input_ids, scores)
        removed = (scores[0] == -math.inf) & (before[0] != -math.inf)
        if isinstance(processor, TopKLogitsWarper):
            cut["top_k"] = removed
        elif isinstance(processor, TopPLogitsWarper):
            cut["top_p"] = removed
        elif removed.any():
            cut["min_length"] = removed
    raw, order = logits[0].softmax(-1).sort(descending=True, stable=True)
    return Distribution(
        tokenizer=language_model.tokenizer,
        token_ids=order.cpu(),
        raw=raw.cpu(),
        final=scores[0].softmax(-1)[order].cpu(),
        cut={name: mask[order].cpu() for name, mask in cut.items()},
    )
