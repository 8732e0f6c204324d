"""What every evaluator keeps, and what it is given: an encoder, and the data to look at it with.

An evaluator is a frozen dataclass of settings with `run` and `describe`. The runner gives each of
them the same `Subject`, which computes features once, when the first evaluator asks for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ssljax.data.dataset import Dataset, labelled_part
from ssljax.probes.features import Embed, EmbedViews, sampled
from ssljax.probes.splits import same_classes, stratified

Score = Callable[[dict[str, np.ndarray]], dict[str, tuple[np.ndarray, np.ndarray]]]
"""Batch of NumPy arrays -> {name: (sums [B], weights [B])}, as `Method.score`."""
Pair = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""Batch of NumPy arrays -> {leaf: [B, D]}, as `Method.pair`."""


class Encoder(NamedTuple):
    """What is evaluated: features, and whatever else the method of this encoder can do. All are
    functions of batches of NumPy arrays.
    """

    embed: Embed
    """Batch -> features [B, D]."""
    views: EmbedViews | None = None
    """Batch, q -> features of q random views of each example; None: there are no views."""
    score: Score | None = None
    """How well the method does its own task; None: it does not say."""
    pair: Pair | None = None
    """Both sides of pairs in one space; None: there are none."""
    links: Embed | None = None
    """Batch -> codes of nodes [B, D], whose products say which are joined; None: there are none."""
    classifiers: Mapping[str, Embed] = {}
    """The method's own classifiers, batch -> logits [B, K], by the name of their accuracy."""


class Part(NamedTuple):
    """Labelled features, split: what a probe fits on, and what it is scored on."""

    train_x: np.ndarray
    """[N, D]"""
    train_y: np.ndarray
    """[N], 0 to K-1"""
    test_x: np.ndarray
    """[M, D]"""
    test_y: np.ndarray
    """[M]"""


@dataclass(frozen=True, kw_only=True)
class Material:
    """The data of an evaluation, and how much of it is used."""

    train: Dataset
    """What probes fit on."""
    test: Dataset | None
    """What they are scored on; None: random parts of `train`, held out."""
    own: tuple[Dataset, Dataset | None]
    """Training and test data of the run itself, for what a method says of its own task: the same,
    where the run names no other data for its probes."""
    batch: int
    """Examples in a batch."""
    name: str | None = None
    """What `train` is called, where it is other data than that of the run."""
    max_examples: int = 100_000
    """Examples of a split that are used at most, a random part of larger data."""
    asked: int | None = None
    """Test examples that a method is asked about its own task at most; None: all of them."""
    compared: int = 5_000
    """Examples at most for what compares all with all."""
    split_seeds: int = 3
    """Random splits, for data without test data."""
    test_fraction: float = 0.2
    """Share held out in each of them."""

    @cached_property
    def labelled(self) -> bool:
        """Whether there are labels to fit and to score. Raises: ValueError where training and test
        data number other classes.
        """
        found = self.train.labelled and (self.test is None or self.test.labelled)
        if found and self.test is not None:
            same_classes(self.train.classes or (), self.test.classes or ())
        return found

    @cached_property
    def known(self) -> Dataset:
        """The training examples that have a label; all of them, where there are none."""
        return labelled_part(self.train) if self.labelled else self.train

    @cached_property
    def scored(self) -> Dataset | None:
        """The test examples that have a label, or None."""
        return self.test if self.test is None or not self.labelled else labelled_part(self.test)

    @property
    def classes(self) -> int:
        """How many there are; 0 without labels."""
        return len(self.train.classes or ()) if self.labelled else 0


@dataclass(frozen=True)
class Subject:
    """One encoder with the data that it is looked at with: what an evaluator is given.

    Features are computed when they are first asked for, and are then the same for all.
    """

    encoder: Encoder
    data: Material
    _cache: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def features_of(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
        """(features float32 [N, D], labels int32 [N] or None) of a data set, or of a random part of
        `data.max_examples`.
        """
        if id(dataset) not in self._cache:
            options = {"batch": self.data.batch, "limit": self.data.max_examples}
            # With the data set itself, so that no other one gets its id.
            self._cache[id(dataset)] = dataset, sampled(self.encoder.embed, dataset, **options)
        return self._cache[id(dataset)][1]

    @property
    def features(self) -> np.ndarray:
        """Of the training examples, whether they have labels or not: float32 [N, D]."""
        return self.features_of(self.data.train)[0]

    @cached_property
    def parts(self) -> list[Part]:
        """The labelled features: one part where there is test data, else one for each random
        split; [] without labels.
        """
        data = self.data
        if not data.labelled:
            return []
        x, y = self.features_of(data.known)
        assert y is not None
        if data.scored is not None:
            return [Part(x, y, *self.features_of(data.scored))]  # type: ignore[arg-type]
        splits = (
            stratified(y, fraction=data.test_fraction, seed=seed)
            for seed in range(data.split_seeds)
        )
        return [Part(x[kept], y[kept], x[out], y[out]) for kept, out in splits]

    def over_parts(
        self, measure: Callable[[Part, int], Mapping[str, float | np.ndarray]]
    ) -> dict[str, float]:
        """Means of what `measure` says of each part, given its number too, as a seed; with NAME_std
        where a part says several numbers or there are several parts.
        """
        values: dict[str, list[float]] = {}
        for seed, part in enumerate(self.parts):
            for name, value in measure(part, seed).items():
                values.setdefault(name, []).extend(np.atleast_1d(value).tolist())
        found: dict[str, float] = {}
        for name, several in values.items():
            found[name] = float(np.mean(several))
            if len(several) > 1 and not name.endswith("_l2"):
                found[f"{name}_std"] = float(np.std(several, ddof=1))
        return found


@runtime_checkable
class Evaluator(Protocol):
    """One thing that is measured of an encoder. A class of one's own inherits from this, is a
    frozen dataclass, and stands in `Evaluation(more=(...,))`.
    """

    decimals: ClassVar[Mapping[str, int]] = {}
    """Those of its numbers that are no shares, with the decimals to show; all others are shown in
    percent."""
    quick: ClassVar[bool] = False
    """Whether it takes but seconds on 10,000 examples, and so also runs during training."""

    def run(self, subject: Subject) -> dict[str, float]:
        """The numbers of one encoder, by the names that results and report give them; {} where this
        encoder or this data has none. NAME_std is the standard deviation of NAME.
        """
        ...

    def describe(self, results: dict[str, Any]) -> list[str]:
        """What its numbers are, a sentence a line, for those who read them.

        results: {"protocol": facts of the data, "encoders": {name: numbers of all evaluators}}.
        """
        del results
        return []


def measured(results: dict[str, Any], start: str) -> bool:
    """Whether any encoder has a number whose name begins with `start`."""
    return any(key.startswith(start) for row in results["encoders"].values() for key in row)
