"""VICReg: two views agree, every dimension varies, no two dimensions vary together.

Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
Learning", 2021, arXiv:2105.04906; constants as in the authors' code.

    L = 25 inv + 25 var + 1 cov      (losses/redundancy.py)

Each view is a pass of its own. The three terms are logged: `variance` near 1 is a collapse, and a
covariance of zero from the start means that too.
"""

from dataclasses import dataclass
from typing import Any

import jax
import optax

from ssljax import nets
from ssljax.losses.redundancy import vicreg
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, ResNet
from ssljax.views import ImageView, byol_views, show_pair, view_pair


@dataclass(frozen=True, kw_only=True)
class VICReg:
    """VICReg with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(8192, 8192, 8192), output_bias=False)
    """The paper's expander."""
    views: tuple[ImageView, ImageView] = byol_views()
    invariance: float = 25.0
    """Weight of the distance between the two views."""
    variance: float = 25.0
    """Weight of the term that keeps each dimension spread out."""
    covariance: float = 1.0
    """Weight of the term that keeps dimensions independent."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.views[0].plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair(self.views, key, batch["image"])
        (z1, z2), stats = nets.apply_each(self._chain, params, extra["stats"], views, train=True)
        inv, var, cov = vicreg(z1, z2)
        value = self.invariance * inv + self.variance * var + self.covariance * cov
        terms = {"invariance": inv, "variance": var, "covariance": cov}
        return value, ({"stats": stats}, jax.lax.stop_gradient(terms))

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
        del updates  # nothing in VICReg depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
