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
import optax

from ssljax import nets
from ssljax.losses.contrastive import dcl
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, ResNet
from ssljax.views import ImageView, show_pair, view_pair


@dataclass(frozen=True, kw_only=True)
class DCL:
    """DCL with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128), output_norm=True, output_bias=False)
    """SimCLR's."""
    view: ImageView = ImageView()
    """Drawn twice for each image."""
    temperature: float = 0.1
    sigma: float | None = None
    """Temperature of DCLW's weights, 0.5 in the paper; None is DCL."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Both views in one pass, so that batch norm sees them together, as in SimCLR.
        views = jnp.stack(view_pair((self.view, self.view), key, batch["image"]), axis=1)
        z, stats = nets.apply_crops(self._chain, params, extra["stats"], [views], train=True)
        value = dcl(z[:, 0], z[:, 1], temperature=self.temperature, sigma=self.sigma)
        return value, ({"stats": stats}, {})

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

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        del updates  # nothing in DCL depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
