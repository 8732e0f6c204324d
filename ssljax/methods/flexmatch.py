"""FlexMatch: FixMatch with a lower threshold for classes that are learned slowly.

Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling", 2021,
arXiv:2110.08263.

    L = CE(labelled, y) + weight (1 / B r) sum_i w_i CE(strong_i, c_i)
    w_i = [max p_i >= threshold b / (2 - b)]

c = argmax p; b of class c is the number of examples of the pool whose last sure prediction was c,
over the largest such number, or that of examples without one while it is larger. The state holds
that prediction for each example of the pool, by "pool_index"; a step is judged by what was there
before it. All else is as in FixMatch (fixmatch.py).
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
from ssljax.pseudolabels.adaptive import confident, flexmatch, flexmatch_start
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class FlexMatch:
    """FlexMatch with the paper's defaults for CIFAR-10."""

    examples: int = 50_000
    """Examples of the pool."""
    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    threshold: float = 0.95
    """Of the class that is learned best; also what makes a prediction sure."""
    warmup: bool = True
    """Count examples without a sure prediction, so that all thresholds start at 0."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        selected = flexmatch_start(self.examples)
        return params, {
            "stats": stats,
            "target": {"params": params, "stats": stats},
            "selected": selected,
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
        index, selected = batch["pool_index"].reshape(-1), extra["selected"]
        w, selected = flexmatch(p, index, selected, threshold=self.threshold, warmup=self.warmup)
        supervised, accuracy = classification(labelled, batch["label"])
        unsupervised = pseudo(strong, confident(p)[1], w)
        metrics = {"supervised": supervised, "unsupervised": unsupervised, "accuracy": accuracy}
        metrics |= label_metrics(p, w, batch.get("pool_label"))
        metrics |= {"coverage": (selected >= 0).mean()}
        extra = extra | {"stats": stats, "selected": selected}
        return supervised + self.weight * unsupervised, (extra, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array) -> Any:
        return averaged(params, extra, decay=self.decay)

    def check(self, data: Any) -> None:
        """Raises ValueError where this cannot learn from `data`."""
        check_few(data, classes=self.classes)
        if len(data) != self.examples:
            raise ValueError(
                f"the pool has {len(data)} examples and method.examples is {self.examples}: use "
                f"--method.examples {len(data)}"
            )

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
