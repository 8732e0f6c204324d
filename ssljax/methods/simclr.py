"""SimCLR: two views of an image attract each other and repel every other view in the batch.

Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual
Representations", 2020, arXiv:2002.05709.

    z = g(f(view(x)))        L = NT-Xent(z1, z2) over the global batch (losses/contrastive.py)

Both views go through the network in one pass, so batch norm sees them together, over all devices.
Differs from the authors' code: the loss is the mean over 2B anchors, half of theirs; the head
starts as torch's (`nets.MLP`), theirs with a deviation of 0.01.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.contrastive import nt_xent, nt_xent_chunked
from ssljax.method import Batch, Metrics
from ssljax.nets import MLP, ResNet
from ssljax.recipes import OfImages
from ssljax.views import ImageView, view_pair


@dataclass(frozen=True, kw_only=True)
class SimCLR(OfImages):
    """SimCLR with the paper's defaults for ImageNet."""

    encoder: Any = ResNet(depth=50)
    projector: MLP = MLP(widths=(2048, 128), output_norm=True, output_bias=False)
    """Two layers, batch norm on the hidden one and on the output; thrown away after pretraining."""
    view: ImageView = ImageView()
    """Drawn twice for each image."""
    temperature: float = 0.1
    chunk: int | None = None
    """Rows of the similarity matrix held at a time, for very large batches; None holds all of it.
    """

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Interleaved, not concatenated: each device keeps both views of its own images.
        views = jnp.stack(view_pair((self.view, self.view), key, batch["image"]), axis=1)
        x = views.reshape(-1, *views.shape[2:])
        z, stats = nets.apply_chain(self.chain, params, extra["stats"], x, train=True)
        z1, z2 = z[0::2], z[1::2]
        if self.chunk is None:
            value = nt_xent(z1, z2, temperature=self.temperature)
        else:
            value = nt_xent_chunked(z1, z2, temperature=self.temperature, chunk=self.chunk)
        return value, ({"stats": stats}, {})

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
