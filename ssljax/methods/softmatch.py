"""SoftMatch: FixMatch with a weight that falls off smoothly below the usual confidence.

Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised Learning",
2023, arXiv:2301.10921.

    L = CE(labelled, y) + weight (1 / B r) sum_i w_i CE(strong_i, argmax p_i)
    w = exp(-min(max p' - m, 0)^2 / (2 v / sigmas^2))

m and v are moving averages of mean and unbiased variance of max p', which count this batch first;
p' is p aligned to uniform classes. The label is that of p itself. All else is as in FixMatch.
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
from ssljax.pseudolabels.adaptive import confident, softmatch, softmatch_start
from ssljax.pseudolabels.alignment import align, alignment_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class SoftMatch(OfWeakAndStrong):
    """SoftMatch with the paper's defaults for CIFAR-10."""

    align: bool = True
    """Align predictions to uniform classes before they are weighed: a bias where they are not."""
    sigmas: float = 2.0
    """Steepness of the weight."""
    threshold_decay: float = 0.999
    """Of the moving averages behind weight and alignment."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        extra |= {"confidence": softmatch_start(self.count)}
        return params, extra | {"alignment": alignment_start(self.count)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        aligned, alignment = align(p, extra["alignment"], decay=self.threshold_decay)
        w, confidence = softmatch(
            aligned if self.align else p,
            extra["confidence"],
            decay=self.threshold_decay,
            sigmas=self.sigmas,
        )
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        metrics |= {"threshold": confidence.mean}
        extra = extra | {"stats": stats, "confidence": confidence, "alignment": alignment}
        return supervised + self.weight * unsupervised, (extra, metrics)
