"""FixMatch: learn, of a strong view, what the network is sure of in a weak one.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", 2020,
arXiv:2001.07685.

    L = CE(labelled, y) + weight (1 / B r) sum_i [max p_i >= threshold] CE(strong_i, argmax p_i)

p is the softmax of the online network on the weak view, without gradient. Labelled, weak and strong
views go through it in one pass, so batch norm sees them together. The moving average of the weights
is evaluated and teaches nothing; it has the batch statistics of the online network.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
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
from ssljax.pseudolabels.adaptive import confident, fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class FixMatch:
    """FixMatch with the paper's defaults for CIFAR-10."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    threshold: float = 0.95
    """Least probability of a label that counts."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        return params, {"stats": stats, "target": {"params": params, "stats": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = labelled_weak_strong((self.weak, self.strong), key, batch)
        teacher = None if self.labels_from == "online" else extra["target"]
        (labelled, weak, strong), stats = nets.apply_few(
            self._chain, params, extra["stats"], x, teacher=teacher
        )
        p = jax.nn.softmax(weak)
        w = fixed(p, threshold=self.threshold)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        return supervised + self.weight * unsupervised, (extra | {"stats": stats}, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array) -> Any:
        return averaged(params, extra, decay=self.decay)

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
        del updates  # nothing here depends on the length of the run
        return from_loss(
            tx,
            init=self.init,
            loss=self.loss,
            embed=self.embed,
            after=self.after,
            backbone=target_backbone,
            predict=self.predict,
        )
