"""Pseudo-Label: take one's own sure predictions for labels, more and more as training goes on.

Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
Networks", ICML 2013 workshop.

    L = CE(labelled, y) + a(k) weight (1 / B r) sum_i [max p_i >= threshold] CE(z_i, argmax p_i)

p = softmax(z) of the very view of the pool that learns, without gradient; a rises from 0 to 1 along
a straight line over the first `ramp` of the run. As in USB, the reference implementation of these
methods: labelled images and pool are passes of their own, the pool's normalised by its own batch
without moving the running statistics. The paper itself has no threshold, and ends its ramp at 3.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets, schedules
from ssljax.losses.classify import classification
from ssljax.losses.consistency import pseudo
from ssljax.method import (
    Batch,
    Metrics,
    averaged,
)
from ssljax.pseudolabels.adaptive import confident, fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfFewLabels
from ssljax.views import ShiftFlip, pool_views, view_batch


@dataclass(frozen=True, kw_only=True)
class PseudoLabel(OfFewLabels):
    """Pseudo-Label with the constants of USB for CIFAR-10."""

    weak: ShiftFlip = ShiftFlip()
    """View of labelled images and of the pool."""
    threshold: float = 0.95
    """Least probability of a label that counts; 0 for the paper's."""
    ramp: float = 0.4
    """Share of the run over which the unlabelled loss comes in."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        return params, extra | {"ramp": jnp.zeros(())}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        first, second = jax.random.split(key)
        x, pool = view_batch(self.weak, first, batch["image"]), pool_views(self.weak, second, batch)
        labelled, stats = nets.apply_chain(self.chain, params, extra["stats"], x, train=True)
        unlabelled, _ = nets.apply_crops(self.chain, params, stats, [pool], train=True)
        unlabelled = unlabelled.reshape(-1, self.classes)
        p = jax.nn.softmax(jax.lax.stop_gradient(unlabelled))
        w = fixed(p, threshold=self.threshold)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(unlabelled, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= {"ramp": extra["ramp"]} | label_metrics(p, w, batch.get("pool_label"))
        ramp = jax.lax.stop_gradient(extra["ramp"])
        value = supervised + ramp * self.weight * unsupervised
        return value, (extra | {"stats": stats}, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        ramp = schedules.linear(k + 1, round(self.ramp * updates), start=0.0, stop=1.0)
        return averaged(params, extra, decay=self.decay) | {"ramp": ramp}  # of the next step
