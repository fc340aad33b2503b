"""A transformers model as a `Runner`: one loop, inside its own `generate`, whatever format the weights have."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

import torch
from transformers import LogitsProcessorList, PreTrainedTokenizerBase

from helpers.device_errors import (
    OutOfMemory,
    explained_device_errors,
    free_after_error,
    out_of_memory_sentence,
    refuse_nan,
)
from helpers.engines.logits_processors import prepared
from helpers.engines.protocol import Runner
from helpers.engines.torch.int8 import Int8Layer
from helpers.results import Step
from helpers.settings import SamplingSettings

# From this many tokens on, a prompt is read once for all sequences. A shorter one costs little more than a token, since
# reading the weights takes the time; it is left to `model.generate`, as in the article's call.
SHARED_FROM = 64


class TorchRunner(Runner):
    """Runs a causal language model of transformers, whatever format its weights have."""

    plain_call = True

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, device: torch.device
    ) -> None:
        self.processor_model = self.model = model
        self.tokenizer = tokenizer
        self.device = device
        if device.type == "cuda":
            # In half precision torch prefers cuDNN's attention on an H100 or H200, and cuDNN plans again for each length of
            # a text: 40 ms a token on an H200, where float32, which does not go through it, took 3 (benchmarks/README.md).
            torch.backends.cuda.enable_cudnn_sdp(False)

    @property
    def vocab_size(self) -> int:  # type: ignore[override]  # embeddings may be resized
        return self.model.config.vocab_size

    @property
    def n_positions(self) -> int:  # type: ignore[override]
        return self.model.config.max_position_embeddings

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        return not any(isinstance(part, Int8Layer) for part in self.model.modules())

    def ready(self) -> None:
        """Wait for what a GPU still has to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        with explained_device_errors(self.device), torch.no_grad():
            logits = self.model(input_ids=input_ids).logits[:, -1].float()
            refuse_nan(logits)
        return logits

    def steps(
        self, input_ids: torch.Tensor, settings: SamplingSettings
    ) -> Generator[list[Step | None], None, None]:
        """transformers prepares everything (processors, cache, one row a sequence) and hands it to our loop.

        Sequences that do not fit into memory together are split into groups, which go on from where they are. Each keeps the
        random draw of its position in the full batch, so a seed gives the same texts however many are written at a time.
        """
        loop = partial(self._all, settings=settings)
        with explained_device_errors(self.device):
            yield from prepared(self.model, self.tokenizer, settings, input_ids, loop)

    def _all(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: Any,
        settings: SamplingSettings,
        **model_kwargs: Any,
    ) -> Iterator[list[Step | None]]:
        """What `model.generate` calls: all sequences to their ends, as many side by side as there is memory for."""
        total, prompt = input_ids.shape
        assert settings.seed is not None  # where none was given, one was drawn
        generator = torch.Generator(input_ids.device).manual_seed(settings.seed)
        waiting = [
            _Group(
                places=list(range(total)),
                ids=input_ids,
                alive=torch.ones(total, dtype=torch.bool, device=input_ids.device),
                generator=generator,
                cache=model_kwargs.get(_cache_argument(_kind_of(model))),
            )
        ]
        step = partial(_step, model, logits_processor, stopping_criteria, generation_config, total)
        size, longest, failed = total, 0, None
        while waiting:
            group = waiting.pop(0)
            if len(group.places) > size:
                waiting[:0] = [group.part(slice(size)), group.part(slice(size, None))]
                continue
            try:
                with explained_device_errors(self.device):
                    if group.ids.shape[1] == prompt:
                        shared = _prompt_cache(model, group.ids[:1], len(group.places))
                        group.cache = group.cache if shared is None else shared
                    while True:
                        row, goes_on = step(group)
                        yield row
                        if not goes_on:
                            break
            except OutOfMemory as error:
                group.cache = None
                free_after_error(error.__cause__)
                if len(group.places) > 1:
                    # As many will not fit later either.
                    size = -(-len(group.places) // 2)
                    waiting.insert(0, group)
                else:
                    longest, failed = max(longest, group.ids.shape[1]), error.__cause__
                    if longest == prompt:
                        break  # not a single token fitted: the others need as much
        if failed is not None:
            raise OutOfMemory(self._what_fits(settings, longest)) from failed

    def _what_fits(self, settings: SamplingSettings, longest: int) -> str:
        return out_of_memory_sentence(
            self.device,
            f"1 本ずつ書いても、{longest} トークンまでしか入りませんでした。max_length（今は {settings.max_length}）を"
            f" {longest} 以下にするか、",
            f"even one text at a time, no more than {longest} tokens fit; set max_length (now "
            f"{settings.max_length}) to at most {longest}, ",
        )


@dataclass
class _Group:
    """Sequences that are written side by side: their places among all, and how far they are."""

    places: list[int]
    ids: torch.Tensor  # int64, (sequences, tokens so far)
    alive: torch.Tensor  # bool, (sequences,)
    generator: torch.Generator  # its own: it shares no draws with the caller's
    cache: Any = None

    def part(self, rows: slice) -> _Group:
        """Some of the sequences, from where they are; their cache has to be computed again."""
        generator = torch.Generator(self.generator.device)
        generator.set_state(self.generator.get_state())
        return _Group(self.places[rows], self.ids[rows], self.alive[rows], generator)


@torch.no_grad()
def _step(
    model: Any,
    logits_processor: LogitsProcessorList,
    stopping_criteria: Any,
    generation_config: Any,
    total: int,
    group: _Group,
) -> tuple[list[Step | None], bool]:
    """One more token for each sequence of a group; the row of all `total` sequences, and whether any continues."""
    known = 0 if group.cache is None else group.cache.get_seq_length()
    before = group.generator.get_state()
    # One prompt, the same for every row: nothing is padded, so no mask is needed.
    output = model(
        input_ids=group.ids[:, known:],
        **{_cache_argument(_kind_of(model)): group.cache},
        use_cache=True,
        # Of a prompt, too, only the last position is asked for.
        logits_to_keep=1,
    )
    logits = output.logits[:, -1].to(copy=True, dtype=torch.float32)
    refuse_nan(logits)
    scores = logits_processor(cast("torch.LongTensor", group.ids), logits)
    try:
        if generation_config.do_sample:
            final = scores.softmax(-1)
            new_ids = _draw(final, group.places, total, group.generator)
            chosen = final.gather(1, new_ids)
        else:
            new_ids = scores.argmax(-1, keepdim=True)
            chosen = torch.ones_like(new_ids, dtype=torch.float32)
        raw = logits.softmax(-1).gather(1, new_ids)
        pad = generation_config.pad_token_id
        if pad is not None:  # without one there is no end token either
            new_ids = torch.where(group.alive[:, None], new_ids, pad)
        ids = torch.cat([group.ids, new_ids], dim=1)
        alive = group.alive & ~stopping_criteria(ids, None)
        # One transfer from the device per step; float32 represents every id below 2**24 exactly.
        columns = [group.alive[:, None], new_ids, raw, chosen, alive[:, None]]
        rows = torch.cat([column.float() for column in columns], dim=1).tolist()
    except BaseException:
        group.generator.set_state(
            before
        )  # if memory runs out after the draw, the same is drawn again
        raise
    row: list[Step | None] = [None] * total
    for place, (was_alive, token_id, *probabilities, _) in zip(group.places, rows, strict=True):
        row[place] = Step(int(token_id), *probabilities) if was_alive else None
    group.ids, group.alive, group.cache = ids, alive, output.past_key_values
    return row, any(goes_on for *_, goes_on in rows)


def _kind_of(model: Any) -> Any:
    """The model's class; with LoRA, that of the model inside."""
    return type(model.get_base_model() if hasattr(model, "get_base_model") else model)


@cache
def _cache_argument(kind: Any) -> str:
    """What the model calls its cache: since transformers 5.24 `cache`, and `past_key_values` is deprecated."""
    return "cache" if "cache" in inspect.signature(kind.forward).parameters else "past_key_values"


def _draw(
    final: torch.Tensor, places: list[int], total: int, generator: torch.Generator
) -> torch.Tensor:
    """A token for each row, shape (rows, 1), drawn as at its place in a batch of all sequences."""
    if len(places) == total:
        return torch.multinomial(final, num_samples=1, generator=generator)
    everyone = final.new_ones(total, final.shape[1])
    everyone[places] = final
    return torch.multinomial(everyone, num_samples=1, generator=generator)[places]


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
