"""Two data sets side by side, matched by class: each example of the first with one of the second.

A row has the leaves of both, such as {"image", "audio", "length", "label", "index"}; label and
index are those of the first, and a leaf that both have is called beside_NAME in the second. The
partner of an example is drawn anew in each training batch, by (seed, step), among all of its class;
in a pass in order the partners of a class take turns. Whoever learns from such pairs learns from
labels: the match says which examples are of the same class.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.dataset import Arrays, Rows, Spec, labelled_part
from ssljax.data.images import Images
from ssljax.data.order import rows_of
from ssljax.data.split_names import SPLITS
from ssljax.data.stream import Stream

_OWN = ("label", "index", "mask")


@dataclass(frozen=True, kw_only=True)
class Matched:
    """How two data sets become rows of pairs: a `Reader` made of two."""

    first: Any = Images()
    """Reads the data of the experiment."""
    second: Any = Images()
    """Reads `beside`."""
    beside: str = ""
    """The data that the examples are matched with, named as that of the experiment."""
    prompts: int = 16
    """Examples of each class of `beside` that stand for it in zero-shot classification."""

    def __post_init__(self) -> None:
        if self.prompts < 1:
            raise ValueError(f"prompts {self.prompts}: a class needs at least one")

    @property
    def plain_name(self) -> str:
        """What `plain` gives."""
        return self.first.plain_name

    @property
    def vocab(self) -> int:
        """Largest vocabulary of the two, 0 where none is of text."""
        return max(getattr(reader, "vocab", 0) for reader in (self.first, self.second))

    def prepared(self, spec: str, folder: Path | None = None) -> "Matched | PreparedMatched":
        """Both readers with what they learn; that of the second lies in the folder "beside"."""
        self._check()
        place = None if folder is None else Path(folder) / "beside"
        if place is not None:
            place.mkdir(exist_ok=True)
        first = self.first.prepared(spec, folder)
        return PreparedMatched(self, first, self.second.prepared(self.beside, place))

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that both offer, or those of `spec` where `beside` names one itself."""
        self._check()
        offered = self.second.splits(self.beside)
        own = self.first.splits(spec)
        return own if len(offered) == 1 else tuple(s for s in SPLITS if s in own and s in offered)

    def load(self, spec: str, *, split: str = "train", **options: Any) -> "Pairs":
        """As `PreparedMatched.load`, with readers prepared on `spec` and `beside`."""
        return self.prepared(spec).load(spec, split=split, **options)

    def shapes(self) -> Spec | None:
        """Leaves of both; None where only the data tells."""
        first, second = self.first.shapes(), self.second.shapes()
        if first is None or second is None:
            return None
        return first | {_renamed(k, first): v for k, v in second.items()}

    def plain(self, rows: Rows) -> np.ndarray:
        """The plainest features of the first side."""
        return self.first.plain(rows)

    def _check(self) -> None:
        if not self.beside:
            raise ValueError("name the data that is matched with that of the run: --reader.beside")


class PreparedMatched:
    """A `Matched` whose readers have learned what they learn."""

    def __init__(self, matched: Matched, first: Any, second: Any) -> None:
        self.matched, self.first, self.second = matched, first, second
        self.plain_name, self.splits = matched.plain_name, matched.splits
        self.shapes, self.plain = matched.shapes, matched.plain

    def prepared(self, spec: str, folder: Path | None = None) -> "PreparedMatched":
        """Itself."""
        del spec, folder
        return self

    def load(self, spec: str, *, split: str = "train", **options: Any) -> "Pairs":
        """A split of both. Raises: ValueError or FileNotFoundError that say what to do."""
        first = self.first.load(spec, split=split, **options)
        second = self.second.load(self.matched.beside, split=split, **options)
        return Pairs(first, second, prompts=self.matched.prompts)


class Pairs:
    """Two data sets matched by class: the interface of `Arrays`, as long as the first.

    prompts: some examples of each class of the second, without the first.
    """

    smallest_batch, held_out = 1, None

    def __init__(self, first: Arrays | Stream, second: Arrays, *, prompts: int = 16) -> None:
        """second: in memory. prompts: at most so many of each class.

        Raises: ValueError where one has no labels, the classes are others, or one has no example.
        """
        if not hasattr(second, "take"):
            raise ValueError("what is matched with must fit into memory: raise in_memory_gb")
        if not first.labelled or not second.labelled:
            raise ValueError("two data sets are matched by class, and one of these has no labels")
        first = labelled_part(first)
        self._first, self._second, self._prompts = first, second, prompts
        self.labelled, self.skipped = True, [*first.skipped, *second.skipped]
        own, labels = first.labels(), second.labels()
        assert own is not None and labels is not None  # both are labelled
        self.classes = _same(first.classes or (), second.classes or ())
        self.origin, self.labelled_count = first.origin, first.labelled_count
        self._members = [np.flatnonzero(labels == k) for k in range(len(self.classes))]
        for k in np.unique(own[own >= 0]):
            if not len(self._members[k]):
                raise ValueError(f"class {self.classes[k]!r} has no example to be matched with")
        # The place of each example among those of its class, so that partners take turns.
        self._turn = np.zeros(len(own), np.int64)
        for k in range(len(self.classes)):
            self._turn[own == k] = np.arange(np.sum(own == k))
        self._names = {k: _renamed(k, first.spec) for k in second.spec if k not in _OWN}
        self.spec: Spec = first.spec | {n: second.spec[k] for k, n in self._names.items()}
        stand = np.concatenate([m[:: max(1, len(m) // prompts)][:prompts] for m in self._members])
        rows = second.take(stand)
        self.prompts = Arrays(
            {n: rows[k] for k, n in self._names.items()} | {"label": rows["label"]},
            classes=self.classes,
        )

    def __len__(self) -> int:
        return len(self._first)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Arrays.batches`; the partners of a batch are drawn by (seed, step)."""
        found = self._first.batches(batch, seed=seed, start=start, host=host)
        for step, rows in zip(itertools.count(start), found):
            draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step, 4])))
            yield self._join(rows, draw.integers(2**31, size=batch)[rows_of(batch, host)])

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`."""
        for rows in self._first.once(batch, host=host):
            yield self._join(rows, self._turn[rows["index"]])

    def labels(self) -> np.ndarray | None:
        """All labels, int32 [N], by "index"."""
        return self._first.labels()

    @property
    def names(self) -> Sequence[str] | None:
        """As of `Arrays`: those of the first."""
        return self._first.names

    def part(self, index: np.ndarray) -> "Pairs":
        """As `Arrays.part`, of the first."""
        return Pairs(self._first.part(index), self._second, prompts=self._prompts)

    def _join(self, rows: Rows, numbers: np.ndarray) -> Rows:
        """Each row with the partner of its class of that number, counted around."""
        at = [self._members[k][n % len(self._members[k])] for k, n in zip(rows["label"], numbers)]
        others = self._second.take(np.array(at))
        return rows | {n: others[k] for k, n in self._names.items()}


def _renamed(name: str, taken: Spec) -> str:
    return f"beside_{name}" if name in taken else name


def _same(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The class names, which must agree unless one side has none (0 to K-1 in place of words)."""
    plain = tuple(map(str, range(len(first))))
    words = [not all(name.isdecimal() for name in names) for names in (first, second)]
    missing = (first == plain and words[1]) or (second == plain and words[0])
    bad = [] if missing else [f"{a} / {b}" for a, b in zip(first, second) if a != b]
    if len(first) != len(second) or bad:
        raise ValueError(
            f"{len(first)} and {len(second)} classes ({', '.join(bad[:3]) or first[:3]}) cannot be "
            "matched: both data sets must number the same classes alike"
        )
    return first if not all(name.isdecimal() for name in first) else second
