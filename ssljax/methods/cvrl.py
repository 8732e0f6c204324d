"""CVRL: two clips of a video attract each other and repel the clips of all other videos.

Qian et al., "Spatiotemporal Contrastive Video Representation Learning", 2021, arXiv:2008.03800.

    z = g(f(clip))        L = NT-Xent(z1, z2) over the global batch (losses/contrastive.py)

All frames of a clip get the same random view, and clips that start near each other are drawn more
often than those far apart (`views.ClipView.pair`): the whole of a video need not be one thing.
Differs from the paper in the network: theirs is a ResNet-50 whose later stages reach through time.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.contrastive import nt_xent
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MLP, R3D
from ssljax.recipes import OfClips
from ssljax.views import ClipView


@dataclass(frozen=True, kw_only=True)
class CVRL(OfClips):
    """CVRL with the paper's head and temperature."""

    encoder: Any = R3D()
    projector: MLP = MLP(widths=(2048, 128), output_norm=True, output_bias=False)
    """Thrown away after pretraining."""
    view: ClipView = ClipView()
    """Drawn twice for each video."""
    temperature: float = 0.1

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        # Interleaved, not concatenated: each device keeps both clips of its own videos.
        clips = jnp.stack(self._pairs(key, batch), axis=1)
        x = clips.reshape(-1, *clips.shape[2:])
        z, stats = nets.apply_chain(self.chain, params, extra["stats"], x, train=True)
        value = nt_xent(z[0::2], z[1::2], temperature=self.temperature)
        return value, ({"stats": stats}, {})

    def _pairs(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        videos = batch["clip"]
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(videos)))
        return jax.vmap(self.view.pair)(keys, videos)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """First, middle and last frame of both clips of each video."""
        at = jnp.array([0, self.view.frames // 2, self.view.frames - 1])
        frames = [self.view.denormalize(clip[:, at]) for clip in self._pairs(key, batch)]
        return {"views": jnp.concatenate(frames, axis=1)}

    @property
    def chain(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "projector": self.projector}
