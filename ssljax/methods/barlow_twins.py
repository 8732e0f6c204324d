"""Barlow Twins: the cross-correlation of two views' embeddings is pulled towards the identity.

Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy
Reduction", 2021, arXiv:2103.03230.

    c = z1^T z2 / B over standardised z,    L = sum_i (c_ii - 1)^2 + 0.0051 sum_{i != j} c_ij^2

Each view is a pass of its own. The loss is a sum over entries: its size grows with the width.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax import nets
from ssljax.losses.redundancy import barlow_twins
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, ResNet
from ssljax.views import ImageView, byol_views, show_pair, view_pair


@dataclass(frozen=True, kw_only=True)
class BarlowTwins:
    """Barlow Twins with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(8192, 8192, 8192), hidden_bias=False, output_bias=False)
    views: tuple[ImageView, ImageView] = byol_views()
    weight: float = 0.0051
    """Of the entries off the diagonal."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.views[0].plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair(self.views, key, batch["image"])
        (z1, z2), stats = nets.apply_each(self._chain, params, extra["stats"], views, train=True)
        return barlow_twins(z1, z2, weight=self.weight), ({"stats": stats}, {})

    def embed(self, state: State, batch: Batch) -> jax.Array:
        x = self.plain_view.plain(batch["image"])
        return nets.apply(self.encoder, *backbone(state), x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Pictures for the report."""
        return show_pair(self.views, key, batch["image"])

    @property
    def plain_view(self) -> ImageView:
        """How `embed` prepares an image; an export does the same."""
        return self.views[0]

    @property
    def _chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        del updates  # nothing in Barlow Twins depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
