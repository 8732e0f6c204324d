"""DCL: SimCLR whose denominator leaves out the positive pair.

Yeh, Hong, Hsu, Liu, Chen, LeCun, "Decoupled Contrastive Learning", 2021, arXiv:2110.06848.

    L = mean over 2B views i of  logsumexp over the 2B - 2 views of other images (s_ij) - w_i s_ip

The gradient of InfoNCE carries a factor that vanishes where the negatives are easy, as they are in
a small batch; without the positive in the denominator the factor is gone. w = 1 is DCL; DCLW
(`sigma`) weighs pairs that are far apart more (losses/contrastive.py).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.contrastive import dcl
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, view_pair


@dataclass(frozen=True, kw_only=True)
class DCL(OfImages):
    """DCL with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128), output_norm=True, output_bias=False)
    """SimCLR's."""
    view: ImageView = ImageView()
    """Drawn twice for each image."""
    temperature: float = 0.1
    sigma: float | None = None
    """Temperature of DCLW's weights, 0.5 in the paper; None is DCL."""

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Both views in one pass, so that batch norm sees them together, as in SimCLR.
        views = jnp.stack(view_pair((self.view, self.view), key, batch["image"]), axis=1)
        z, stats = nets.apply_crops(self.chain, params, extra["stats"], [views], train=True)
        value = dcl(z[:, 0], z[:, 1], temperature=self.temperature, sigma=self.sigma)
        return value, ({"stats": stats}, {})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
