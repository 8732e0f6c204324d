"""TiCo: follow a slow copy of the network, and avoid directions that embeddings used lately.

Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo: Transformation Invariance and Covariance
Contrast for Self-Supervised Visual Representation Learning", 2022, arXiv:2206.10698.

    z1 = n(g(f(x1))),    z2 = n(g'(f'(x2))) without gradient
    C <- b C + (1 - b) z1^T z1 / B,    L = mean (1 - z1 z2) + r mean z1 C z1^T
    (f', g') <- m (f', g') + (1 - m)(f, g),    m from tau to 1 along half a cosine

The memory C stands for a queue of all past embeddings, of fixed size [D, D]. Left open by the
sources at hand, and done as lightly does it: C is a constant in the gradient, this batch's share
included. The copy's batch norm has statistics of its own.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssljax import nets, schedules
from ssljax.losses.redundancy import tico
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair


@dataclass(frozen=True, kw_only=True)
class TiCo(OfTwoViews):
    """TiCo with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(4096, 256), hidden_bias=False)
    views: tuple[ImageView, ImageView] = byol_views()
    """The online network sees the first, the copy the second."""
    beta: float = 0.9
    """Decay of the memory C."""
    rho: float = 8.0
    """Weight of the second term."""
    tau: float = 0.99
    """Decay of the copy at step 0; it rises to 1 along half a cosine."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self.chain, key, self.views[0].plain(batch["image"]))
        target = jax.tree.map(jnp.copy, {"params": params, "stats": stats})
        dim = self.projector.widths[-1]
        return params, {"stats": stats, "target": target, "moment": jnp.zeros((dim, dim))}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        x1, x2 = view_pair(self.views, key, batch["image"])
        target = extra["target"]
        z1, stats = nets.apply_chain(self.chain, params, extra["stats"], x1, train=True)
        z2, target_stats = nets.apply_chain(
            self.chain, target["params"], target["stats"], x2, train=True
        )
        value, moment = tico(z1, z2, extra["moment"], beta=self.beta, rho=self.rho)
        target = {"params": target["params"], "stats": target_stats}
        return value, ({"stats": stats, "target": target, "moment": moment}, {})

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        # Of the next step: the copy moves before it runs.
        tau = schedules.cosine(k + 1, updates, start=self.tau, stop=1.0)
        target = extra["target"]
        moved = optax.incremental_update(params, target["params"], 1 - tau)
        return extra | {"target": {"params": moved, "stats": target["stats"]}}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
