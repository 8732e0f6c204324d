"""SoftMatch: FixMatch with a weight that falls off smoothly below the usual confidence.

Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised Learning",
2023, arXiv:2301.10921.

    L = CE(labelled, y) + weight (1 / B r) sum_i w_i CE(strong_i, argmax p_i)
    w = exp(-min(max p' - m, 0)^2 / (2 v / sigmas^2))

m and v are moving averages of mean and unbiased variance of max p', which count this batch first;
p' is p aligned to uniform classes. The label is that of p itself. All else is as in FixMatch.
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
from ssljax.pseudolabels.adaptive import confident, softmatch, softmatch_start
from ssljax.pseudolabels.alignment import align, alignment_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class SoftMatch:
    """SoftMatch with the paper's defaults for CIFAR-10."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    align: bool = True
    """Align predictions to uniform classes before they are weighed: a bias where they are not."""
    sigmas: float = 2.0
    """Steepness of the weight."""
    threshold_decay: float = 0.999
    """Of the moving averages behind weight and alignment."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        weights = {
            "confidence": softmatch_start(self.classes),
            "alignment": alignment_start(self.classes),
        }
        return params, {"stats": stats, "target": {"params": params, "stats": stats}, **weights}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = labelled_weak_strong((self.weak, self.strong), key, batch)
        teacher = None if self.labels_from == "online" else extra["target"]
        (labelled, weak, strong), stats = nets.apply_few(
            self._chain, params, extra["stats"], x, teacher=teacher
        )
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
