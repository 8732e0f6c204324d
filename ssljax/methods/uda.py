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
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.losses.consistency import annealed, pseudo, sharpened
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
from ssljax.pseudolabels.adaptive import fixed
from ssljax.pseudolabels.label_metrics import label_metrics
from ssljax.views import RandAugment, ShiftFlip, labelled_weak_strong, show_pair


@dataclass(frozen=True, kw_only=True)
class UDA:
    """UDA with the paper's defaults for CIFAR-10."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of labelled images, and of the pool for its labels."""
    strong: RandAugment = RandAugment()
    """View of the pool that learns them."""
    threshold: float = 0.8
    """Least probability, before sharpening, of a prediction that counts."""
    temperature: float = 0.4
    """Below 1: labels surer than the prediction."""
    annealing: Literal["none", "linear", "log", "exp"] = "none"
    """Course of the limit above; exp releases the labels last, for when there are very few."""
    weight: float = 1.0
    """Of the unlabelled loss."""
    labels_from: Literal["online", "average"] = "online"
    """The network that gives the labels; the paper's is the one that learns."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        limit = jnp.asarray(self._limit(jnp.zeros(()), 1), jnp.float32)
        return params, {
            "stats": stats,
            "target": {"params": params, "stats": stats},
            "limit": limit,
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
        return share * (1 - 1 / self.classes) + 1 / self.classes

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        limit = jnp.asarray(self._limit(k + 1, updates), jnp.float32)  # of the next step
        return averaged(params, extra, decay=self.decay) | {"limit": limit}

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
