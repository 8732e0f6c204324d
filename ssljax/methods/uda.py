"""UDA: what a sharpened weak view says, the strong view learns; labels known too well wait.

Xie et al., "Unsupervised Data Augmentation for Consistency Training", 2019, arXiv:1904.12848.

    L = CE(labelled, y) + weight (1 / B r) sum_i [max p_i >= threshold] CE(strong_i, q_i)

p = softmax(weak), q = softmax(weak / temperature) without gradient: a soft label. The paper's KL
divergence differs from this cross-entropy by the entropy of q, which has no gradient. Training
signal annealing leaves labelled examples out whose label has a probability above

    limit(k) = a (1 - 1/K) + 1/K,  a = k / n,  exp(5 (k / n - 1)) or 1 - exp(-5 k / n)

after k of n updates, for K classes. All else is as in FixMatch (fixmatch.py); threshold and
temperature are those of the paper for CIFAR-10.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssljax.losses.classify import classification
from ssljax.losses.consistency import annealed, pseudo, sharpened
from ssljax.method import (
    Batch,
    Metrics,
    averaged,
)
from ssljax.pseudolabels.adaptive import fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfWeakAndStrong


@dataclass(frozen=True, kw_only=True)
class UDA(OfWeakAndStrong):
    """UDA with the paper's defaults for CIFAR-10."""

    threshold: float = 0.8
    """Least probability, before sharpening, of a prediction that counts."""
    temperature: float = 0.4
    """Below 1: labels surer than the prediction."""
    annealing: Literal["none", "linear", "log", "exp"] = "none"
    """Course of the limit above; exp releases the labels last, for when there are very few."""
    weight: float = 1.0
    """Of the unlabelled loss."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        return params, extra | {"limit": jnp.asarray(self._limit(jnp.zeros(()), 1), jnp.float32)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        (labelled, weak, strong), stats = self.logits(params, extra, batch, key)
        p = jax.nn.softmax(weak)
        w = fixed(p, threshold=self.threshold)
        supervised, kept = annealed(labelled, batch["label"], extra["limit"])
        unsupervised = pseudo(strong, sharpened(weak, temperature=self.temperature), w)
        accuracy = classification(labelled, batch["label"])[1]
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= {"kept": kept} | label_metrics(p, w, batch.get("pool_label"))
        return supervised + self.weight * unsupervised, (extra | {"stats": stats}, metrics)

    def _limit(self, k: jax.Array, updates: int) -> jax.Array | float:
        if self.annealing == "none":
            return 1.0
        done = jnp.minimum(k / max(updates, 1), 1.0)
        share = {
            "linear": done,
            "exp": jnp.exp(5 * (done - 1)),
            "log": 1 - jnp.exp(-5 * done),
        }[self.annealing]
        return share * (1 - 1 / self.count) + 1 / self.count

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        limit = jnp.asarray(self._limit(k + 1, updates), jnp.float32)  # of the next step
        return averaged(params, extra, decay=self.decay) | {"limit": limit}
