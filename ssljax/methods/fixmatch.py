"""FixMatch: learn, of a strong view, what the network is sure of in a weak one.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", 2020,
arXiv:2001.07685.

    L = CE(labelled, y) + weight (1 / B r) sum_i [max p_i >= threshold] CE(strong_i, argmax p_i)

p is the softmax of the online network on the weak view, without gradient. Labelled, weak and strong
views go through it in one pass, so batch norm sees them together. The moving average of the weights
is evaluated and teaches nothing; it has the batch statistics of the online network.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax.losses.classify import classification
from ssljax.losses.consistency import pseudo
from ssljax.method import (
    Batch,
    Metrics,
)
from ssljax.pseudolabels.adaptive import confident, fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class FixMatch(OfWeakAndStrong):
    """FixMatch with the paper's defaults for CIFAR-10."""

    threshold: float = 0.95
    """Least probability of a label that counts."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        w = fixed(p, threshold=self.threshold)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        return supervised + self.weight * unsupervised, (extra | {"stats": stats}, metrics)
