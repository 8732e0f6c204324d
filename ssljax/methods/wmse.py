"""W-MSE: views of an image agree after a whitening of the batch, which forbids collapse.

Ermolov, Siarohin, Sangineto, Sebe, "Whitening for Self-Supervised Representation Learning", 2020,
arXiv:2007.06346; constants as in the authors' code.

    w = whitened g(f(x)),  each view and each sub-batch of `size` rows by itself
    L = mean over pairs of views of  2 - 2 cos(w_u, w_v)

The encoder sees one view at a time, the projector all together, as the authors do it. Without a
gradient through the whitening there would be nothing against collapse: it flows through all of it.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.whitening import wmse
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, view_batch, wmse_cifar


@dataclass(frozen=True, kw_only=True)
class WMSE(OfImages):
    """W-MSE with the authors' defaults for CIFAR-10."""

    encoder: Any = ResNet(depth=18, stem="cifar")
    projector: MLP = MLP(widths=(1024, 64))
    view: ImageView = wmse_cifar()
    """Drawn `samples` times for each image."""
    samples: int = 2
    """Views of each image; the paper has 2 and 4."""
    size: int = 128
    """Rows whitened together, twice the width of the projector or more; divides the batch."""
    iterations: int = 1
    """Divisions of the batch into such rows to average over."""
    eps: float = 0.0
    """Share of the identity in the covariance."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        x = self.view.plain(batch["image"])
        if self.size < 1 or len(x) % self.size:
            raise ValueError(f"size {self.size} must divide the batch of {len(x)}")
        params, stats = nets.init_chain(self.chain, key, x)
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_views, key_parts = jax.random.split(key)
        keys = jax.random.split(key_views, self.samples)
        views = [view_batch(self.view, k, batch["image"]) for k in keys]
        encoder, projector = {"encoder": self.encoder}, {"projector": self.projector}
        h, stats = nets.apply_each(encoder, params, extra["stats"], views, train=True)
        z, stats = nets.apply_chain(projector, params, stats, jnp.stack(h, axis=1), train=True)
        value = wmse(z, key_parts, size=self.size, iterations=self.iterations, eps=self.eps)
        return value, ({"stats": stats}, {})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
