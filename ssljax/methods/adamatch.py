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
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
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
from ssljax.pseudolabels.adaptive import adamatch, confident
from ssljax.pseudolabels.alignment import align, alignment_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class AdaMatch:
    """AdaMatch with the constants of USB, the reference implementation of these methods."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    threshold: float = 0.95
    """Share of the mean confidence on labelled images that a label must have."""
    threshold_decay: float = 0.999
    """Of the moving averages behind the alignment."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        more = {"alignment": alignment_start(self.classes), "ramp": jnp.zeros(())}
        return params, {"stats": stats, "target": {"params": params, "stats": stats}, **more}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = labelled_weak_strong((self.weak, self.strong), key, batch)
        teacher = None if self.labels_from == "online" else extra["target"]
        (labelled, weak, strong), stats = nets.apply_few(
            self._chain, params, extra["stats"], x, teacher=teacher
        )
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
        """Pictures for the report: weak and strong views."""
        return show_pair((self.weak, self.strong), key, batch["image"])

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
