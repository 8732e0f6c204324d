"""Supervised: learn from the labels alone, the baseline of every method with few of them.

    L = CE(labelled, y)

With the views, the network and the moving average of FixMatch (fixmatch.py), so that a comparison
differs in the unlabelled loss and in nothing else. On data with all labels it is the upper bound.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax import nets
from ssljax.losses.classify import classification
from ssljax.method import (
    Batch,
    Metrics,
    check_few,
)
from ssljax.recipes import OfFewLabels
from ssljax.views import ShiftFlip, view_batch


@dataclass(frozen=True, kw_only=True)
class Supervised(OfFewLabels):
    """A classifier with the defaults of FixMatch for CIFAR-10."""

    weak: ShiftFlip = ShiftFlip()
    """View of images."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x = view_batch(self.weak, key, batch["image"])
        logits, stats = nets.apply_chain(self.chain, params, extra["stats"], x, train=True)
        value, accuracy = classification(logits, batch["label"])
        return value, (extra | {"stats": stats}, {"accuracy": accuracy})

    def check(self, data: Any) -> None:
        """Raises ValueError where this cannot learn from `data`."""
        check_few(data, classes=self.classes, pool=False)
