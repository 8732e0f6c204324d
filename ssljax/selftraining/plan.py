"""Self-training as one frozen dataclass, recorded with its results.

A file says `SELFTRAIN = SelfTraining(...)`; `ssljax.selftraining.run` runs it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data import Arrays, Images
from ssljax.pseudolabels.rounds import Rounds
from ssljax.runs.experiment import MAY_DIFFER as _OF_AN_EXPERIMENT
from ssljax.runs.experiment import Experiment

_MEMORY = 8 * 2**30  # bytes of a split at most
MAY_DIFFER = (
    *("data", "test"),
    *(f"{x}.{n}" for x in ("learner", "student") for n in _OF_AN_EXPERIMENT if "cadence" in n),
    *(f"pretrain.{n}" for n in _OF_AN_EXPERIMENT),
)
"""Fields that may change while a run goes on. `data` and `test` may be other places of the same
examples; see `ssljax.runs.experiment`."""


@dataclass(frozen=True, kw_only=True)
class SelfTraining:
    """One result of self-training. Every field can be overridden on the command line."""

    learner: Any
    """What is trained: a `Network` or a `Scikit` (`ssljax.selftraining.learners`)."""
    student: Any = None
    """The learner from round 1 on, for instance a larger or a noisier one; None: the same."""
    data: str = "digits"
    """Training data, of which few labels are used; see `Experiment`."""
    test: str | None = None
    """Data to test on. None: the test split of `data`, or a held-out part."""
    reader: Any = Images()
    """How records become examples, a `ssljax.data.Reader`."""
    few: int = 10
    """Labelled examples of each class, drawn by the seed; of values, in all."""
    each: str | None = None
    """A leaf of the data, such as user, of each value of which `few` are drawn, or all where there
    are fewer; None: as `few` says."""
    labels: str | None = None
    """A Parquet or CSV file with index or file, and target or class, in place of a draw. An index
    is a row of the data, before anything was held out for testing."""
    holdout: float = 0.0
    """Share of the given labels that no training sees, to estimate the quality of pseudo-labels
    where the truth of the pool is unknown."""
    rounds: Rounds = Rounds()
    pretrain: Experiment | None = None
    """Pretraining without labels, on `data` and by `reader` of this run, whatever it says itself;
    every network starts from its encoder."""
    begin: str | None = None
    """In place of that, the folder of a finished run of pretraining, or a file of weights, as for
    `Experiment.begin`."""
    seeds: tuple[int, ...] = (0, 1, 2)
    test_fraction: float = 0.2
    """Share held out for testing, for data without a test split."""
    full: bool = True
    """Also train on all true labels of the pool, where they are known."""

    def trained(self, round: int) -> Any:
        """The learner of a round."""
        return self.learner if round == 0 or self.student is None else self.student

    @property
    def holds_out(self) -> bool:
        """Whether the test data is a part of `data` that the pool lacks."""
        return self.test is None and len(self.reader.splits(self.data)) < 2

    @property
    def targets(self) -> list[Any]:
        """What the networks are asked for; none of estimators of scikit-learn."""
        learners = [x for x in (self.learner, self.student) if x is not None]
        return [x.task.target for x in learners if x.task is not None]

    def load(self, folder: Path | None = None) -> tuple[Arrays, Arrays]:
        """(pool with whatever labels the data has, test data), both in memory.

        Raises: ValueError where they take more than 8 GiB.
        """
        reader = self.reader.prepared(self.data, folder)

        def read(spec: str, split: str) -> Arrays:
            data = reader.load(spec, split=split, in_memory_bytes=_MEMORY, workers=0)
            if not hasattr(data, "take"):  # it streams from disk
                raise ValueError(
                    f"{spec}: {len(data):,} examples take more than {_MEMORY >> 30} GiB, and "
                    "self-training needs them in memory: make them smaller with the reader, or "
                    "take fewer"
                )
            return data

        pool = read(self.data, "train")
        if self.test is not None:
            return pool, read(self.test, "test")
        offered = reader.splits(self.data)
        if not self.holds_out:
            return pool, read(self.data, "test" if "test" in offered else "validation")
        rng = np.random.default_rng(0)
        order = rng.permutation(len(pool))
        count = max(1, round(self.test_fraction * len(pool)))
        return pool.part(np.sort(order[count:])), pool.part(np.sort(order[:count]))
