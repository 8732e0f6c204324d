"""VideoMAE: hide nine tenths of a clip's tubes, the same places in all frames, and draw them again.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", 2022, arXiv:2203.12602.

    L = mean over hidden tubes of mean_d (decoder(encoder(kept)) - target)^2
    target = (tube - mean) / (deviation + 1e-6), of each tube and each channel, var over P - 1

What is hidden in one frame is hidden in all: else a frame would show what the next one hides. The
encoder sees the kept tubes alone.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ssljax.losses.masked import clips_of, masked_mse, tubes_of
from ssljax.method import Batch, Metrics, State
from ssljax.nets import Decoder, VideoViT, counted_positions
from ssljax.recipes import Drawing, OfClips
from ssljax.views import ClipView, random_keep, view_batch


@dataclass(frozen=True, kw_only=True)
class VideoMAE(Drawing, OfClips):
    """VideoMAE with the paper's decoder for ViT-S."""

    encoder: VideoViT = VideoViT()
    decoder: Decoder = Decoder(width=192, depth=4, heads=3)
    """Thrown away after pretraining."""
    view: ClipView = ClipView(frames=16)
    ratio: float = 0.9
    """Fraction of the places that is hidden."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio {self.ratio} must lie in (0, 1)")

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        key_view, key_order = jax.random.split(key)
        x = view_batch(self.view, key_view, batch["clip"])
        keep, hidden = self._split(key_order, x)
        target, _, _ = self._target(x, hidden)
        said = self.drawn(params, extra["stats"], x, keep, hidden)
        return masked_mse(said, target, jnp.ones(hidden.shape, bool)), (extra, {})

    def _split(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Tubes that are kept [B, K] and hidden ones [B, N - K], the same places at all times."""
        times, rows, columns = self.encoder.grid(x)
        places = rows * columns
        order = random_keep(key, len(x), patches=places, keep=places)
        parts = jnp.split(order, [places - int(self.ratio * places)], axis=1)
        start = places * jnp.arange(times)[:, None]
        kept, hidden = ((start + p[:, None]).reshape(len(x), -1) for p in parts)
        return kept, hidden

    def _target(self, x: jax.Array, hidden: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What is predicted [B, M, D], and what was subtracted and divided by, [B, M, 1, C]."""
        tubes = tubes_of(x, self.encoder.tube, self.encoder.patch)
        tubes = jnp.take_along_axis(tubes, hidden[..., None, None], axis=1)
        mean = tubes.mean(2, keepdims=True)
        deviation = jnp.std(tubes, axis=2, keepdims=True, ddof=1) + 1e-6
        return ((tubes - mean) / deviation).reshape(*hidden.shape, -1), mean, deviation

    def numbers(self, channels: int) -> int:
        return self.encoder.tube * self.encoder.patch**2 * channels

    def places(self, x: jax.Array) -> jax.Array:
        times, rows, columns = self.encoder.grid(x)
        return counted_positions(times * rows * columns, self.decoder.width)

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """First, middle and last frame: what the encoder sees, and the rest drawn to it."""
        x = self.inputs(batch)
        keep, hidden = self._split(key, x)
        _, mean, deviation = self._target(x, hidden)
        said = self.drawn(state.params, state.extra["stats"], x, keep, hidden)
        tubes = tubes_of(x, self.encoder.tube, self.encoder.patch)
        drawn = said.reshape(*hidden.shape, *tubes.shape[2:]) * deviation + mean
        at, rows = jnp.array([0, x.shape[1] // 2, x.shape[1] - 1]), jnp.arange(len(x))[:, None]
        sizes = self.encoder.tube, self.encoder.patch
        shown = [
            clips_of(tubes.at[rows, hidden].set(fill), *sizes, shape=x.shape)
            for fill in (jnp.zeros_like(drawn), drawn)
        ]
        frames = [self.view.denormalize(clip)[:, at] for clip in shown]
        return {"views": jnp.concatenate(frames, axis=1)}
