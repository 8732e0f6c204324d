"""Barlow Twins: the cross-correlation of two views' embeddings is pulled towards the identity.

Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy
Reduction", 2021, arXiv:2103.03230.

    c = z1^T z2 / B over standardised z,    L = sum_i (c_ii - 1)^2 + 0.0051 sum_{i != j} c_ij^2

Each view is a pass of its own. The loss is a sum over entries: its size grows with the width.
"""

from dataclasses import dataclass
from typing import Any

import jax

from ssljax import nets
from ssljax.losses.redundancy import barlow_twins
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair


@dataclass(frozen=True, kw_only=True)
class BarlowTwins(OfTwoViews):
    """Barlow Twins with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(8192, 8192, 8192), hidden_bias=False, output_bias=False)
    views: tuple[ImageView, ImageView] = byol_views()
    weight: float = 0.0051
    """Of the entries off the diagonal."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair(self.views, key, batch["image"])
        (z1, z2), stats = nets.apply_each(self.chain, params, extra["stats"], views, train=True)
        return barlow_twins(z1, z2, weight=self.weight), ({"stats": stats}, {})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
