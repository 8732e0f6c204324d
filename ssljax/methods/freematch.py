"""FreeMatch: FixMatch whose threshold follows the confidence, of all and of each class.

Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning", 2023,
arXiv:2205.07246.

    L = CE(labelled, y) + weight (1 / B r) sum_i [max p_i >= t q_c / max q] CE(strong_i, c_i)
        + fairness_weight sum_k u_k log v_k

c = argmax p; t and q are moving averages of the mean confidence and the mean prediction, which
count this batch before they judge it. u = norm(q / h), v the same of the strong predictions in the
batch, h the histogram of labels: see losses/consistency.py. All else is as in FixMatch.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax.losses.classify import classification
from ssljax.losses.consistency import fairness, pseudo
from ssljax.method import (
    Batch,
    Metrics,
)
from ssljax.pseudolabels.adaptive import confident, freematch, freematch_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class FreeMatch(OfWeakAndStrong):
    """FreeMatch with the paper's defaults."""

    fairness_weight: float = 0.01
    """Of the loss that spreads predictions over the classes; 0.001 in USB for CIFAR-10."""
    threshold_decay: float = 0.999
    """Of the moving averages behind the thresholds."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        return params, extra | {"thresholds": freematch_start(self.count)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        w, thresholds = freematch(p, extra["thresholds"], decay=self.threshold_decay)
        fair = fairness(strong, w, thresholds.prior, thresholds.histogram)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        metrics |= {"fairness": fair, "threshold": thresholds.threshold}
        extra = extra | {"stats": stats, "thresholds": thresholds}
        value = supervised + self.weight * unsupervised + self.fairness_weight * fair
        return value, (extra, metrics)
