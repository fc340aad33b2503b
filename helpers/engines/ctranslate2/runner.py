"""CTranslate2 as a `Runner`: it samples by itself, on its own thread, and reports each token as it comes.

Each weight is rounded to one of 255 steps: results differ from float32, and so does the text of a seed. On processors without
VNNI oneDNN also adds two products in 16 bits and cuts off what does not fit: with ONEDNN_MAX_CPU_ISA=AVX2, a product of
equal numbers that should be 32 became 0.25.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.catalogue import count_parameters
from helpers.device_errors import explained_device_errors, is_out_of_memory, refuse_nan
from helpers.engines.ctranslate2 import thread
from helpers.engines.ctranslate2.callback import RowCallback
from helpers.engines.ctranslate2.checks import EngineUnavailable
from helpers.engines.protocol import Runner
from helpers.memory import available_memory, needed_and_free, trim_heap
from helpers.results import Step
from helpers.settings import SamplingSettings, SettingsError

if TYPE_CHECKING:
    import ctranslate2
    import numpy as np
    import torch
    from transformers import GPT2Config

MAX_TEMPERATURE = (
    20.0  # above it the twin of the end token (see `conversion`) is no longer out of reach
)
# Below this, two threads spend more time waiting for each other than they save: at the shape of rinna's small model one
# made 1.36 times the steps of two, at that of gpt-1b two made 1.4 times those of one (benchmarks/README.md).
ONE_THREAD_BELOW = 200_000_000  # weights


class CTranslate2Runner(Runner):
    """A converted GPT-2: `LanguageModel.model` and its `Runner` in one.

    Its random numbers restart only with a new `ctranslate2.Generator`, which reads the weights again. That happens
    as soon as a text is finished, while the reader reads it; a request that comes right away has to wait for it.
    """

    def __init__(
        self, folder: Path, config: GPT2Config, eos_token_id: int, threads: int | None = None
    ) -> None:
        self.folder, self.config, self.eos_token_id = folder, config, eos_token_id
        self.vocab_size, self.n_positions = config.vocab_size, config.n_positions
        self.threads = threads or choose_threads(config)
        self._generator: ctranslate2.Generator | None = None
        try:
            thread.submit(self._renew).result()
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
                    "must be deleted: do that and run this again",
                )
            raise EngineUnavailable(
                f"int8 に変換したモデル（{folder}）を読み込めません。{ja}"
                'engine="torch" は今のまま使えます。',
                f"the model converted to int8 ({folder}) could not be read and {en} to convert it again; "
                'engine="torch" still works.',
            ) from error
        thread.runners.add(self)

    def release(self) -> None:
        """Release the weights: Python is exiting."""
        self._generator = None

    def _renew(self) -> None:
        import ctranslate2

        self._generator = None  # first, so that the weights are not in memory twice
        trim_heap()
        self._generator = ctranslate2.Generator(
            str(self.folder), device="cpu", compute_type="int8_float32", intra_threads=self.threads
        )
        trim_heap()  # the weights as they lay in the file, before the engine arranged them

    def ready(self) -> None:
        """Wait until the weights are read again."""
        thread.submit(lambda: None).result()

    def check(self, settings: SamplingSettings) -> None:
        """Raise `SettingsError` for a setting that means something else to this engine."""
        if settings.repetition_penalty != 1:
            raise SettingsError(
                "repetition_penalty",
                f"repetition_penalty = {settings.repetition_penalty:g} は使えません。CTranslate2 の罰は prompt の"
                'トークンを数えないからです。1 にするか、engine="torch" を使ってください。',
                f"repetition_penalty = {settings.repetition_penalty:g} cannot be used: CTranslate2's penalty "
                'ignores the tokens of the prompt; set it to 1, or use engine="torch".',
            )
        all_kept = not 0 < settings.top_k < self.config.vocab_size - 1
        if settings.do_sample and settings.temperature > MAX_TEMPERATURE and all_kept:
            raise SettingsError(
                "temperature",
                f"temperature = {settings.temperature:g} は、top_k = {settings.top_k} といっしょには使えません。"
                f'CTranslate2 では {MAX_TEMPERATURE:g} 以下にするか、top_k を使うか、engine="torch" を使ってください。',
                f"temperature = {settings.temperature:g} cannot be used with top_k = {settings.top_k}: with CTranslate2, "
                f'use at most {MAX_TEMPERATURE:g}, set top_k, or use engine="torch".',
            )

    def _check_memory(self, count: int, new_tokens: int) -> None:
        """Raise `SettingsError` if the texts do not fit into the memory.

        Until the last one ends the library keeps the logits of all their tokens, twice and in float32 (measured with 50
        and 100 texts of 198 tokens), besides the keys and values of each layer.
        """
        import torch

        config = self.config
        numbers = 2 * (config.vocab_size + 1) + 2 * config.n_layer * config.n_embd
        needed = 4 * numbers * count * new_tokens
        if needed <= (free := available_memory(torch.device("cpu"))):
            return
        raise SettingsError(
            "num_return_sequences",
            f"CTranslate2 で {count} 個の文を {new_tokens} トークンずつ書くには、メモリが足りません"
            f"（{needed_and_free(needed, free)}）。num_return_sequences か max_length を小さくするか、"
            'engine="torch" を使ってください。',
            f"there is not enough memory for CTranslate2 to write {new_tokens} tokens in each of {count} texts "
            f"({needed_and_free(needed, free)}): use a smaller num_return_sequences or max_length, or "
            'engine="torch".',
        )

    def _awake(self) -> ctranslate2.Generator:
        if self._generator is None:  # reloading failed: say why where it is needed
            try:
                self._renew()
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise EngineUnavailable(
                    f"int8 に変換したモデルが読めなくなりました（{self.folder}）。"
                    "load_model で読み込み直してください。",
                    f"the model converted to int8 can no longer be read ({self.folder}): load it again with "
                    "load_model.",
                ) from error
        return self._generator

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        with _explained():
            logits = self.all_logits(input_ids)[:, -1]
            refuse_nan(logits)
        return logits

    def all_logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits after every token of `input_ids` (1, tokens), float32 of shape (1, tokens, vocab)."""
        import numpy as np
        import torch

        def forward() -> np.ndarray:
            return np.array(self._awake().forward_batch(input_ids.tolist()))

        return torch.from_numpy(thread.submit(forward).result())[..., :-1]

    def steps(
        self, input_ids: torch.Tensor, settings: SamplingSettings
    ) -> Generator[list[Step | None], None, None]:
        """The engine writes all sequences at once, ahead of the reader; closing stops it at its next token.

        Raises:
            SettingsError: there is not enough memory for that many tokens.
            EngineUnavailable: the converted model is not there any more.
        """
        import torch

        count = settings.num_return_sequences if settings.do_sample else 1
        # A text that is certain is written once; CTranslate2 refuses to repeat it.
        certain = not settings.do_sample or settings.top_k == 1
        rows = RowCallback(
            1 if certain else count, None if certain else settings, self.eos_token_id
        )
        prompt = input_ids.shape[1]
        thread.being_written.add(rows)
        options = {
            "max_length": settings.max_length - prompt,
            "min_length": max(0, settings.min_length - prompt),
            "num_hypotheses": rows.count,
            "sampling_topk": 1 if certain else min(settings.top_k, self.config.vocab_size),
            "sampling_topp": 1.0 if certain else settings.top_p,
            "sampling_temperature": 1.0 if certain else settings.temperature,
        }
        thread.submit(self._write, settings.seed, input_ids, rows, options)
        try:
            with _explained():
                while (row := rows.finished.get()) is not None:
                    if isinstance(row, Exception):
                        raise row
                    refuse_nan(torch.tensor([step.raw for step in row if step]))
                    yield row * count if certain else row
        finally:
            rows.stop = True

    def _write(
        self, seed: int, input_ids: torch.Tensor, rows: RowCallback, options: dict[str, Any]
    ) -> None:
        import ctranslate2

        if thread.closing.is_set():
            return
        try:
            # The largest number stands for "no seed".
            ctranslate2.set_random_seed(seed % (2**32 - 1))
            # Checked here: by now the weights are loaded, and the logits of the last text are freed.
            self._check_memory(rows.count, options["max_length"])
            self._generate(input_ids, rows, **options)
        except Exception as error:  # it is raised where somebody waits for the tokens
            rows.finished.put(error)
        rows.finished.put(None)
        if options["sampling_topk"] != 1 and not thread.closing.is_set():
            self._renew()

    def _generate(self, input_ids: torch.Tensor, rows: RowCallback, **options: Any) -> None:
        self._awake().generate_batch(
            [[str(i) for i in input_ids[0].tolist()]],
            end_token=[self.eos_token_id],
            # The prompt is read at once, for all sequences together.
            include_prompt_in_result=False,
            return_logits_vocab=True,
            callback=rows,
            **options,
        )


def _explained() -> AbstractContextManager[None]:
    import torch

    return explained_device_errors(torch.device("cpu"))


def choose_threads(config: GPT2Config) -> int:
    """Threads by measurement: one for small models, else one for each core that torch would use."""
    import torch

    small = count_parameters(config.to_dict()) < ONE_THREAD_BELOW
    return 1 if small else torch.get_num_threads()
