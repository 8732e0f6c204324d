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

from ssljax import nets
from ssljax.losses.redundancy import vicreg
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfTwoViews
from ssljax.views import ImageView, byol_views, view_pair


@dataclass(frozen=True, kw_only=True)
class VICReg(OfTwoViews):
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

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        views = view_pair(self.views, key, batch["image"])
        (z1, z2), stats = nets.apply_each(self.chain, params, extra["stats"], views, train=True)
        inv, var, cov = vicreg(z1, z2)
        value = self.invariance * inv + self.variance * var + self.covariance * cov
        terms = {"invariance": inv, "variance": var, "covariance": cov}
        return value, ({"stats": stats}, jax.lax.stop_gradient(terms))

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
