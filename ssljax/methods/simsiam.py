"""SimSiam: predict one view's embedding from another's, with a stop-gradient and nothing else.

Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566.

    z = g(f(x)),    p = h(z),    L = 1/2 D(p1, sg z2) + 1/2 D(p2, sg z1),    D(p, z) = -cos(p, z)

Without the stop-gradient, or without the predictor, the embeddings collapse and the loss goes to
-1 at once: `stop_gradient` and `predictor=None` are there to show it (sections 4.1, 4.2).
The rate of the predictor stays constant in the authors' best setting: `Optimizer.constant`.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.normalize import l2_normalize
from ssljax.losses.siamese import negative_cosine
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, moco_imagenet, view_pair


@dataclass(frozen=True, kw_only=True)
class SimSiam(OfImages):
    """SimSiam with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(
        widths=(2048, 2048, 2048),
        hidden_bias=False,
        output_bias=False,
        output_norm=True,
        output_affine=False,
    )
    predictor: MLP | None = MLP(widths=(512, 2048), hidden_bias=False)
    """None: the identity, with which it collapses."""
    view: ImageView = moco_imagenet()
    """Drawn twice for each image."""
    stop_gradient: bool = True
    """False: the gradient reaches the target too, and it collapses."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        chain = self.chain | self._head
        params, stats = nets.init_chain(chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair((self.view, self.view), key, batch["image"])
        z, stats = nets.apply_each(self.chain, params, extra["stats"], views, train=True)
        (p1, p2), stats = nets.apply_each(self._head, params, stats, z, train=True)
        z1, z2 = jax.lax.stop_gradient(z) if self.stop_gradient else z
        value = 0.5 * negative_cosine(p1, z2) + 0.5 * negative_cosine(p2, z1)
        # 1/sqrt(D) where directions are spread evenly, 0 where all embeddings are one point.
        spread = jnp.mean(jnp.std(l2_normalize(jax.lax.stop_gradient(z1)), axis=0))
        return value, ({"stats": stats}, {"embedding_std": spread})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    @property
    def _head(self) -> dict[str, Any]:
        return {} if self.predictor is None else {"predictor": self.predictor}
