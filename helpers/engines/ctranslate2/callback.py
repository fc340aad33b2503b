"""The tokens that CTranslate2 reports one by one, gathered into a row for each step, with their probabilities."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

from helpers.engines.ctranslate2.conversion import TWIN_BIAS
from helpers.results import Step

if TYPE_CHECKING:
    import ctranslate2
    import numpy as np

    from helpers.settings import SamplingSettings


class RowCallback:
    """CTranslate2's callback: gathers the tokens of a step into one row, and puts it into `finished`.

    Called on the engine's thread for one token after another. An exception there would end the process.
    """

    def __init__(self, count: int, settings: SamplingSettings | None, eos_token_id: int) -> None:
        self.count, self.settings, self.eos_token_id = count, settings, eos_token_id
        self.finished: queue.SimpleQueue[list | Exception | None] = queue.SimpleQueue()
        self.stop = False
        self.logits: np.ndarray | None = None
        self._open = count
        self._row: list[Step | None] = []
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
            # The first token of a step carries the logits of all sequences that continue.
            self.logits = np.array(result.logits)
            self._row = [None] * self.count
        assert self.logits is not None  # the first token of the step carried them
        raw, final = _probabilities(
            self.logits[self._seen], result.token_id, self.settings, self.eos_token_id
        )
        self._row[result.hypothesis_id] = Step(result.token_id, raw, final)
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

    # What is drawn from; the end token is banned from short texts.
    open_to = logits[:-1]
    own = open_to.copy()
    own[eos_token_id] = logits[-1] - np.float32(TWIN_BIAS)
    raw = float(np.exp(own[token] - _log_sum(own)))
    if settings is None:
        return raw, 1.0
    with np.errstate(over="ignore"):  # a banned token's logit is the lowest number there is
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
