"""FlexMatch: FixMatch with a lower threshold for classes that are learned slowly.

Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling", 2021,
arXiv:2110.08263.

    L = CE(labelled, y) + weight (1 / B r) sum_i w_i CE(strong_i, c_i)
    w_i = [max p_i >= threshold b / (2 - b)]

c = argmax p; b of class c is the number of examples of the pool whose last sure prediction was c,
over the largest such number, or that of examples without one while it is larger. The state holds
that prediction for each example of the pool, by "pool_index"; a step is judged by what was there
before it. All else is as in FixMatch (fixmatch.py).
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import jax

from ssljax.losses.classify import classification
from ssljax.losses.consistency import pseudo
from ssljax.method import (
    Batch,
    Metrics,
)
from ssljax.pseudolabels.adaptive import confident, flexmatch, flexmatch_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class FlexMatch(OfWeakAndStrong):
    """FlexMatch with the paper's defaults for CIFAR-10."""

    examples: int | None = None
    """Examples of the pool; None: those of the data."""
    threshold: float = 0.95
    """Of the class that is learned best; also what makes a prediction sure."""
    warmup: bool = True
    """Count examples without a sure prediction, so that all thresholds start at 0."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if self.examples is None:
            raise ValueError("examples is open: give its number, or take it from data by `filled`")
        params, extra = super().init(key, batch)
        return params, extra | {"selected": flexmatch_start(self.examples)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        index, selected = batch["pool_index"].reshape(-1), extra["selected"]
        w, selected = flexmatch(p, index, selected, threshold=self.threshold, warmup=self.warmup)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        metrics |= {"coverage": (selected >= 0).mean()}
        extra = extra | {"stats": stats, "selected": selected}
        return supervised + self.weight * unsupervised, (extra, metrics)

    def filled(self, data: Any) -> Self:
        here = super().filled(data)
        return here if self.examples is not None else replace(here, examples=len(data))

    def check(self, data: Any) -> None:
        super().check(data)
        if len(data) != self.examples:
            raise ValueError(
                f"the pool has {len(data)} examples and method.examples is {self.examples}: leave "
                "it out, or give that number"
            )
