"""One long text as windows of tokens."""

from collections.abc import Iterator

import numpy as np

from ssljax.data.dataset import Rows, Spec
from ssljax.data.order import Once, Shuffled


class Windows:
    """One long text as windows of L tokens: the interface of `Arrays`.

    `batches` starts windows anywhere, each place once an epoch. `once` covers the text with windows
    that share one token with the next, so that each token but the first is predicted exactly once;
    the last is padded. Rows also hold "bytes" int32, the bytes that tokens 2 to L stand for, where
    the tokenizer keeps all of the text.
    """

    labelled, labelled_count, smallest_batch = False, 0, 1
    classes = names = prompts = held_out = None

    def __init__(self, tokens: np.ndarray, length: int, *, sizes: list[int] | None = None) -> None:
        """tokens: int32 [N]. sizes: bytes of each token of the vocabulary."""
        if len(tokens) < length:
            raise ValueError(
                f"the text has {len(tokens)} tokens and a window {length}: choose a smaller "
                "--reader.length"
            )
        self._tokens, self._length = np.asarray(tokens, np.int32), length
        self._sizes = None if sizes is None else np.asarray(sizes, np.int32)
        self.skipped: list[str] = []
        self.spec: Spec = {k: ((length,), np.dtype(np.int32)) for k in ("tokens", "segments")}
        if sizes is not None:
            self.spec["bytes"] = ((), np.dtype(np.int32))
        self.spec["index"] = ((), np.dtype(np.int32))
        self.origin = np.arange(len(self))

    def __len__(self) -> int:
        """Windows in one pass."""
        return max(1, -(-(len(self._tokens) - 1) // (self._length - 1)))

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Arrays.batches`; "index" is the place where a window starts."""
        places = len(self._tokens) - self._length + 1
        plan = Shuffled(places, batch, seed=seed, start=start, host=host)
        return (self._take(*2 * (plan[i][0],)) for i in range(len(plan)))

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`."""
        plan = Once(len(self), batch, host=host)
        for i in range(len(plan)):
            index, mask = plan[i]
            yield self._take(index * (self._length - 1), index) | {"mask": mask}

    def labels(self) -> None:
        """There are none."""

    def _take(self, starts: np.ndarray, index: np.ndarray) -> Rows:
        at = starts[:, None] + np.arange(self._length)
        inside = at < len(self._tokens)
        tokens = np.where(inside, self._tokens[np.minimum(at, len(self._tokens) - 1)], 0)
        rows = {"tokens": tokens, "segments": inside.astype(np.int32)}
        if self._sizes is not None:
            rows["bytes"] = (self._sizes[tokens] * inside)[:, 1:].sum(1, dtype=np.int32)
        return rows | {"index": index.astype(np.int32)}
