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
import optax

from ssljax import nets
from ssljax.losses.contrastive import nt_xent, nt_xent_chunked
from ssljax.method import Batch, Method, Metrics, State, backbone, from_loss
from ssljax.nets import MLP, ResNet
from ssljax.views import ImageView, show_pair, view_pair


@dataclass(frozen=True, kw_only=True)
class SimCLR:
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

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        params, stats = nets.init_chain(self._chain, key, self.view.plain(batch["image"]))
        return params, {"stats": stats}

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Interleaved, not concatenated: each device keeps both views of its own images.
        views = jnp.stack(view_pair((self.view, self.view), key, batch["image"]), axis=1)
        x = views.reshape(-1, *views.shape[2:])
        z, stats = nets.apply_chain(self._chain, params, extra["stats"], x, train=True)
        z1, z2 = z[0::2], z[1::2]
        if self.chunk is None:
            value = nt_xent(z1, z2, temperature=self.temperature)
        else:
            value = nt_xent_chunked(z1, z2, temperature=self.temperature, chunk=self.chunk)
        return value, ({"stats": stats}, {})

    def embed(self, state: State, batch: Batch) -> jax.Array:
        x = self.view.plain(batch["image"])
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
        del updates  # nothing in SimCLR depends on the length of the run
        return from_loss(tx, init=self.init, loss=self.loss, embed=self.embed)
