"""Supervised: learn from the labels alone, the baseline of every method with few of them.

    L = CE(labelled, y)

With the views, the network and the moving average of FixMatch (fixmatch.py), so that a comparison
differs in the unlabelled loss and in nothing else. On data with all labels it is the upper bound.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax import nets
from ssljax.losses.classify import classification
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
from ssljax.views import ShiftFlip, show_pair, view_batch


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """A classifier with the defaults of FixMatch for CIFAR-10."""

    encoder: Any = WideResNet()
    classes: int = 10
    weak: ShiftFlip = ShiftFlip()
    """View of images."""
    decay: float = 0.999
    """Of the moving average of the weights, which is only evaluated."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.weak.plain(batch["image"]))
        return params, {"stats": stats, "target": {"params": params, "stats": stats}}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = view_batch(self.weak, key, batch["image"])
        logits, stats = nets.apply_chain(self._chain, params, extra["stats"], x, train=True)
        value, accuracy = classification(logits, batch["label"])
        return value, (extra | {"stats": stats}, {"accuracy": accuracy})

    def after(self, params: Any, extra: Any, k: jax.Array) -> Any:
        return averaged(params, extra, decay=self.decay)

    def check(self, data: Any) -> None:
        """Raises ValueError where this cannot learn from `data`."""
        check_few(data, classes=self.classes, pool=False)

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
