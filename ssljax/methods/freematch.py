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
from typing import Any, Literal

import jax
import optax

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.losses.consistency import fairness, pseudo
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
from ssljax.pseudolabels.adaptive import confident, freematch, freematch_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class FreeMatch:
    """FreeMatch with the paper's defaults."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    fairness_weight: float = 0.01
    """Of the loss that spreads predictions over the classes; 0.001 in USB for CIFAR-10."""
    threshold_decay: float = 0.999
    """Of the moving averages behind the thresholds."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        thresholds = freematch_start(self.classes)
        return params, {
            "stats": stats,
            "target": {"params": params, "stats": stats},
            "thresholds": thresholds,
        }

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = labelled_weak_strong((self.weak, self.strong), key, batch)
        teacher = None if self.labels_from == "online" else extra["target"]
        (labelled, weak, strong), stats = nets.apply_few(
            self._chain, params, extra["stats"], x, teacher=teacher
        )
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
