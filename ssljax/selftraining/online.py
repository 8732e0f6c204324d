"""Learning from the pool at every step, in place of rounds: the same teachers, scores and files."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssljax.data.chosen import ChosenAndPool
from ssljax.methods import UniMatch
from ssljax.pseudolabels.labels import Labels
from ssljax.selftraining.learners import Network
from ssljax.tasks.target import named


@dataclass(frozen=True, kw_only=True)
class Online(Network):
    """Masks of pixels by `UniMatch`: each step has labelled examples, and others that the network
    labels itself. Use it with `Rounds(count=0)`, and a `Network` as student for all true labels.
    """

    threshold: float = 0.95
    """Least probability of a label that counts."""
    drop: float = 0.5
    """Share of the channels that is left out of thinned features."""
    ratio: int = 1
    """Pictures of the pool in a batch for each labelled one."""

    def __post_init__(self) -> None:
        if self.ema or self.renew or self.share is not None:
            raise ValueError(
                "Online has neither ema, renew nor share: its pool is beside every batch"
            )

    def model(self, data: Any) -> UniMatch:
        del data
        return UniMatch(task=self.task, threshold=self.threshold, drop=self.drop)

    def _chosen(self, data: Any, labels: Labels) -> ChosenAndPool:
        used = labels.take(labels.is_used)
        learnt = {k: np.asarray(x) for k, x in named(self.task.target.fixed(used.target)).items()}
        return ChosenAndPool(data, used.index, learnt | {"weight": used.weight}, ratio=self.ratio)
