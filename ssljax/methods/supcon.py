"""SupCon: all views of a class attract each other and repel those of other classes.

Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362, equation 2 ("out").

    L = mean over 2B views i of  logsumexp_{j != i} s_ij - mean over its class of s_ij,  j != i

It needs `label` in the batch; a view whose label is negative (unknown) has only its partner, so
that without any labels this is SimCLR. Differs from the paper: SimCLR's views in place of
AutoAugment, and the loss is not multiplied by temperature / 0.07 as in the authors' code.
"""

import logging
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.contrastive import supcon
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, view_pair

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class SupCon(OfImages):
    """SupCon with the paper's network and temperature for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128), norm=False)
    view: ImageView = ImageView()
    """Drawn twice for each image."""
    temperature: float = 0.1

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        if "label" not in batch:
            raise ValueError("SupCon learns from labels: its data need a 'label', -1 if unknown")
        params, stats = nets.init_chain(self.chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Both views in one pass, so that batch norm sees them together, as the authors do it.
        views = jnp.stack(view_pair((self.view, self.view), key, batch["image"]), axis=1)
        z, stats = nets.apply_crops(self.chain, params, extra["stats"], [views], train=True)
        value = supcon(z[:, 0], z[:, 1], batch["label"], temperature=self.temperature)
        return value, ({"stats": stats}, {})

    def check(self, data: Any) -> None:
        """Raises ValueError where no example of the data has a label."""
        if not data.labelled:
            raise ValueError("SupCon learns from labels, and the data has none: SimCLR needs none")
        known, size = data.labelled_count, len(data)
        if known < size:
            log.info("%d of %d examples have a label; the others have only themselves", known, size)

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
