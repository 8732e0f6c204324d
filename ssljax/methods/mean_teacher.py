"""Mean Teacher: agree, on unlabelled images too, with the average of one's own weights.

Tarvainen, Valpola, "Mean teachers are better role models: Weight-averaged consistency targets
improve semi-supervised deep learning results", 2017, arXiv:1703.01780.

    L = CE(labelled, y) + w(k) (1 / B r K) sum |softmax(student(x')) - softmax(teacher(x''))|^2
    w(k) = weight exp(-5 (1 - t)^2),  t = min(1, k / (ramp n));  n updates
    after the optimizer step number k:  teacher <- a teacher + (1 - a) student,
        a = min(1 - 1 / (k + 1), decay)

x' and x'' are two weak views of the pool. The student sees labelled images and x' in one pass; the
teacher runs in training mode, its batch statistics are its own. Differs from the authors' code in
that consistency is asked on the pool, which holds the labelled images, and not on them once more.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.losses.consistency import mse
from ssljax.method import (
    Batch,
    Metrics,
)
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.recipes import OfFewLabels
from ssljax.views import ShiftFlip, pool_views, view_batch


@dataclass(frozen=True, kw_only=True)
class MeanTeacher(OfFewLabels):
    """Mean Teacher with the weight and ramp of USB for CIFAR-10."""

    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and two of the pool."""
    weight: float = 50.0
    """Of the consistency once it has come in."""
    ramp: float = 0.4
    """Share of the run over which the consistency comes in."""
    decay: float = 0.999
    """Of the teacher."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, extra = super().init(key, batch)
        return params, extra | {"ramp": self._ramp(0, 1)}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        keys, target = jax.random.split(key, 3), extra["target"]
        x = view_batch(self.weak, keys[0], batch["image"])
        pool = [pool_views(self.weak, k, batch) for k in keys[1:]]
        x = jnp.concatenate([x[:, None], pool[0]], axis=1)
        student, stats = nets.apply_crops(self.chain, params, extra["stats"], [x], train=True)
        teacher, target_stats = nets.apply_crops(
            self.chain, target["params"], target["stats"], pool[1:], train=True
        )
        teacher = jax.lax.stop_gradient(teacher.reshape(-1, self.classes))
        supervised, accuracy = classification(student[:, 0], batch["label"])
        unsupervised = mse(student[:, 1:].reshape(teacher.shape), teacher)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        p = jax.nn.softmax(teacher)
        metrics |= label_metrics(p, jnp.ones(len(p)), batch.get("pool_label")) | {
            "ramp": extra["ramp"]
        }
        target = {"params": target["params"], "stats": target_stats}
        ramp = jax.lax.stop_gradient(extra["ramp"])
        value = supervised + ramp * self.weight * unsupervised
        return value, (extra | {"stats": stats, "target": target}, metrics)

    def _ramp(self, k: jax.Array | int, updates: int) -> jax.Array:
        done = jnp.minimum(k / max(self.ramp * updates, 1e-6), 1.0)
        return jnp.exp(-5.0 * (1.0 - done) ** 2)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        decay, target = jnp.minimum(1 - 1 / (k + 1), self.decay), extra["target"]
        moved = optax.incremental_update(params, target["params"], 1 - decay)
        return extra | {
            "target": {"params": moved, "stats": target["stats"]},
            "ramp": self._ramp(k + 1, updates),  # of the next step
        }
