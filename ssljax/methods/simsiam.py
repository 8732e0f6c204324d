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
import optax

from ssljax import nets
from ssljax.losses.normalize import l2_normalize
from ssljax.losses.siamese import negative_cosine
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, ResNet
from ssljax.views import ImageView, moco_imagenet, show_pair, view_pair


@dataclass(frozen=True, kw_only=True)
class SimSiam:
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
        chain = self._chain | self._head
        params, stats = nets.init_chain(chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair((self.view, self.view), key, batch["image"])
        z, stats = nets.apply_each(self._chain, params, extra["stats"], views, train=True)
        (p1, p2), stats = nets.apply_each(self._head, params, stats, z, train=True)
        z1, z2 = jax.lax.stop_gradient(z) if self.stop_gradient else z
        value = 0.5 * negative_cosine(p1, z2) + 0.5 * negative_cosine(p2, z1)
        # 1/sqrt(D) where directions are spread evenly, 0 where all embeddings are one point.
        spread = jnp.mean(jnp.std(l2_normalize(jax.lax.stop_gradient(z1)), axis=0))
        return value, ({"stats": stats}, {"embedding_std": spread})

    def embed(self, state: State, batch: Batch) -> jax.Array:
        x = self.plain_view.plain(batch["image"])
        return nets.apply(self.encoder, *backbone(state), x, train=False)[0]

    def show(self, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Pictures for the report."""
        return show_pair((self.view, self.view), key, batch["image"])

    @property
    def plain_view(self) -> ImageView:
        """How `embed` prepares an image; an export does the same."""
        return self.view

    @property
    def _chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}

    @property
    def _head(self) -> dict[str, Any]:
        return {} if self.predictor is None else {"predictor": self.predictor}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        del updates  # nothing in SimSiam depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
