"""Questions with several right answers, such as what someone has seen: looked up for a batch of
them at a time, and wrong ones drawn.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from ssljax.data.dataset import Rows


class Answers:
    """All right answers to each of a list of questions, each once and in order."""

    def __init__(self, question: np.ndarray, answer: np.ndarray, *, choices: int) -> None:
        """question, answer: int [T], of one triple each; answers are below `choices`."""
        pairs = np.unique(question.astype(np.int64) * choices + answer)
        self._asked, self._start, self.count = np.unique(
            pairs // choices, return_index=True, return_counts=True
        )
        self.answer, self._choices = (pairs % choices).astype(np.int32), choices
        # How many wrong answers are smaller than each right one, a list a question.
        skipped = self.answer - (np.arange(len(pairs)) - np.repeat(self._start, self.count))
        self._gaps = np.repeat(np.arange(len(self._asked)), self.count) * choices + skipped

    def place(self, question: np.ndarray) -> np.ndarray:
        """Which question it is, int [B]."""
        return np.searchsorted(self._asked, question)

    def others(self, question: np.ndarray, answer: np.ndarray, width: int) -> np.ndarray:
        """int32 [B, width], the right answers but one (-1: all of them), filled up with -1."""
        at = np.minimum(self.place(question), len(self._asked) - 1)
        slot = np.arange(width)
        asked = self._asked[at] == question  # else there is no answer at all
        inside = (slot < self.count[at][:, None]) & asked[:, None]
        last = len(self.answer) - 1
        found = self.answer[np.minimum(self._start[at][:, None] + slot, last)]
        return np.where(inside & (found != answer[:, None]), found, -1).astype(np.int32)

    def wrong(self, question: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """int32 [B, count] drawn evenly from what is no right answer; from all where all is."""
        at = self.place(question)[:, None]
        free = np.maximum(self._choices - self.count[at], 1)
        drawn = (rng.random((len(question), count)) * free).astype(np.int64)
        before = np.searchsorted(self._gaps, at * self._choices + drawn, side="right")
        return np.minimum(drawn + before - self._start[at], self._choices - 1).astype(np.int32)


def with_negatives(
    batches: Iterator[Rows],
    draw: Callable[[Rows, np.random.Generator], np.ndarray],
    *,
    seed: tuple[int, int],
    start: int,
    host: tuple[int, int],
) -> Iterator[Rows]:
    """This host's rows of whole batches from number `start` on, with "negative" as `draw` gives it
    [B, ...] from a generator of seed and number.

    Each host draws for all of them, so that any number of hosts sees the same batch.
    """
    which, hosts = host
    for step, rows in zip(itertools.count(start), batches, strict=False):
        size, left = divmod(len(rows["index"]), hosts)
        if left:
            raise ValueError(f"a batch of {size * hosts + left} is not divisible by {hosts} hosts")
        rows = rows | {"negative": draw(rows, np.random.default_rng([*seed, step]))}
        yield {key: value[which * size : (which + 1) * size] for key, value in rows.items()}
