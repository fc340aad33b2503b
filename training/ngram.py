"""Interpolated n-grams with modified Kneser-Ney smoothing (Chen & Goodman 1998), on numpy."""

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def _hashes(ids: np.ndarray, length: int) -> np.ndarray:
    """64-bit hash (uint64) of each run of `length` ids; a collision is less likely than 1e-4."""
    count = len(ids) - length + 1
    key = np.zeros(count, dtype=np.uint64)
    for i in range(length):
        key = key * _MULTIPLIER + ids[i : i + count].astype(np.uint64) + np.uint64(1)
        key ^= key >> np.uint64(29)
    return key


class _Order:
    """Counts of one order: of each n-gram, and of each context by the discounts it gives up."""

    def __init__(self, grams: np.ndarray, counts: np.ndarray, contexts: np.ndarray):
        self.grams, self.counts = grams, counts
        having = np.bincount(np.minimum(counts, 5), minlength=5)[1:5].astype(float)
        y = having[0] / max(1.0, having[0] + 2 * having[1])
        self.discounts = np.zeros(4)
        for i in (1, 2, 3):  # an n-gram seen once, twice, three times or more
            ratio = having[i] / having[i - 1] if having[i - 1] else 0.0
            self.discounts[i] = min(max(i - (i + 1) * y * ratio, 0.0), i)
        order = np.argsort(contexts, kind="stable")
        contexts = contexts[order]
        starts = np.flatnonzero(np.r_[True, contexts[1:] != contexts[:-1]])
        sorted_counts = counts[order]
        self.contexts = contexts[starts]
        self.totals = np.add.reduceat(sorted_counts, starts)
        given_up = self.discounts[np.minimum(sorted_counts, 3)]
        self.given_up = np.add.reduceat(given_up, starts)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values of the sorted `keys` at `wanted`, 0 where a key is missing."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


class KneserNey:
    """An interpolated n-gram model of token ids.

    `ids` is a stream of tokens (uint16, one dimension) of at least `order` tokens; the vocabulary
    size is needed for the uniform distribution below the unigrams.
    """

    def __init__(self, ids: np.ndarray, order: int = 5, vocab_size: int = 8000):
        if len(ids) <= order:
            raise ValueError(f"{len(ids)} tokens are too few for n-grams of order {order}.")
        self.order, self.vocab_size = order, vocab_size
        self.orders: dict[int, _Order] = {}
        grams, places, counts = np.unique(
            _hashes(ids, order), return_index=True, return_counts=True
        )
        for n in range(order, 0, -1):
            contexts = _hashes(ids[:-1], n - 1)[places] if n > 1 else np.zeros_like(grams)
            self.orders[n] = _Order(grams, counts, contexts)
            if n > 1:
                # Below the highest order an n-gram counts once for each different left neighbour.
                shorter = _hashes(ids, n - 1)[places + 1]
                grams, first, counts = np.unique(shorter, return_index=True, return_counts=True)
                places = places[first] + 1

    def probabilities(self, ids: np.ndarray) -> np.ndarray:
        """Probability (float64) of each token of `ids` but the first, given those before it."""
        result = np.full(len(ids) - 1, 1.0 / self.vocab_size)
        for n in range(1, self.order + 1):
            level = self.orders[n]
            at = slice(max(0, n - 2), None)  # tokens with n - 1 tokens before them
            grams = _hashes(ids, n)[1 if n == 1 else 0 :]
            contexts = _hashes(ids[:-1], n - 1) if n > 1 else np.zeros_like(grams)
            totals = _look_up(level.contexts, level.totals, contexts)
            given_up = _look_up(level.contexts, level.given_up, contexts)
            counts = _look_up(level.grams, level.counts, grams)
            kept = counts - level.discounts[np.minimum(counts, 3)]
            known = totals > 0
            lower = result[at]
            lower[known] = (kept + given_up * lower)[known] / totals[known]
        return result
