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
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.classify import classification
from ssljax.losses.consistency import pseudo
from ssljax.method import (
    Batch,
    Method,
    Metrics,
    State,
    averaged,
    check_few,
    from_loss,
    target_backbone,
)
from ssljax.nets import MLP, WideResNet
from ssljax.pseudolabels.adaptive import confident, fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import ShiftFlip, pool_views, show_pair, view_batch


@dataclass(frozen=True, kw_only=True)
class PseudoLabel:
    """Pseudo-Label with the constants of USB for CIFAR-10."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images and of the pool."""
    threshold: float = 0.95
    """Least probability of a label that counts; 0 for the paper's."""
    ramp: float = 0.4
    """Share of the run over which the unlabelled loss comes in."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        return params, {
            "stats": stats,
            "target": {"params": params, "stats": stats},
            "ramp": jnp.zeros(()),
        }

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        first, second = jax.random.split(key)
        x, pool = view_batch(self.weak, first, batch["image"]), pool_views(self.weak, second, batch)
        labelled, stats = nets.apply_chain(self._chain, params, extra["stats"], x, train=True)
        unlabelled, _ = nets.apply_crops(self._chain, params, stats, [pool], train=True)
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

    def check(self, data: Any) -> None:
        """Raises ValueError where this cannot learn from `data`."""
        check_few(data, classes=self.classes)

    def embed(self, state: State, batch: Batch) -> jax.Array:
        x = self.weak.plain(batch["image"])
        return nets.apply(self.encoder, *target_backbone(state), x, train=False)[0]

    def predict(self, state: State, batch: Batch) -> jax.Array:
        """Logits `[B, classes]` by the moving average."""
        x, average = self.weak.plain(batch["image"]), state.extra["target"]
        return nets.apply_chain(self._chain, average["params"], average["stats"], x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Pictures for the report: two views."""
        return show_pair((self.weak, self.weak), key, batch["image"])

    @property
    def plain_view(self) -> Any:
        """How `embed` prepares an image; an export does the same."""
        return self.weak

    @property
    def _chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": MLP(widths=(self.classes,))}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        after = partial(self.after, updates=updates)
        return from_loss(
            tx,
            init=self.init,
            loss=self.loss,
            embed=self.embed,
            after=after,
            backbone=target_backbone,
            predict=self.predict,
        )
