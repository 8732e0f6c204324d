"""AdaMatch: FixMatch with aligned predictions and a threshold relative to the labelled ones.

Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation",
2022, arXiv:2106.04732.

    L = CE(labelled, y) + ramp (1 / B r) sum_i [max p'_i >= threshold m] CE(strong_i, argmax p'_i)

p' is p aligned so that the mean over the pool is that over labelled images, m the mean confidence
on the labelled images of the step, and ramp = weight (1 - cos(min(pi, 2 pi k / K))) / 2. Differs
from the paper: labelled images pass once, without its random interpolation of two passes (which is
for domains that differ), and alignment has the moving averages of TorchSSL.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.losses.classify import classification
from ssljax.losses.consistency import pseudo
from ssljax.method import (
    Batch,
    Metrics,
    averaged,
)
from ssljax.pseudolabels.adaptive import adamatch, confident
from ssljax.pseudolabels.alignment import align, alignment_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class AdaMatch(OfWeakAndStrong):
    """AdaMatch with the constants of USB, the reference implementation of these methods."""

    threshold: float = 0.95
    """Share of the mean confidence on labelled images that a label must have."""
    threshold_decay: float = 0.999
    """Of the moving averages behind the alignment."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        extra |= {"alignment": alignment_start(self.count), "ramp": jnp.zeros(())}
        return params, extra

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        known = jax.nn.softmax(jax.lax.stop_gradient(labelled))
        p, alignment = align(p, extra["alignment"], labelled=known, decay=self.threshold_decay)
        w = adamatch(p, known, threshold=self.threshold)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        metrics |= {"threshold": self.threshold * confident(known)[0].mean()}
        extra = extra | {"stats": stats, "alignment": alignment}
        ramp = jax.lax.stop_gradient(extra["ramp"])
        value = supervised + ramp * self.weight * unsupervised
        return value, (extra, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        done = jnp.minimum(2 * (k + 1) / max(updates, 1), 1.0)
        ramp = (1 - jnp.cos(jnp.pi * done)) / 2  # of the next step
        return averaged(params, extra, decay=self.decay) | {"ramp": ramp}
