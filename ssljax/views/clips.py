"""Random clips of a video: a stretch of time, then one and the same random view for all frames.

Qian et al., "Spatiotemporal Contrastive Video Representation Learning" (CVRL), 2021,
arXiv:2008.03800: views that differ from frame to frame would hide how things move.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.views.image import ImageView


@dataclass(frozen=True, kw_only=True)
class ClipView:
    """One random clip: (key, video [T, H, W, C]) -> float32 [frames, size, size, C]."""

    view: ImageView = ImageView()
    """Drawn once, and given to every frame."""
    frames: int = 8
    """Frames of the clip."""
    stride: int = 1
    """Every so many-th frame of what is stored is one of the clip's."""

    def __post_init__(self) -> None:
        if self.frames < 1 or self.stride < 1:
            raise ValueError(f"frames {self.frames} and stride {self.stride} must be at least 1")

    def __call__(self, key: jax.Array, video: jax.Array) -> jax.Array:
        """Raises: ValueError for a video that is shorter than the clip."""
        to_start, to_view = jax.random.split(key)
        start = jax.random.randint(to_start, (), 0, self._starts(video.shape[0]))
        return self._at(to_view, video, start)

    def pair(self, key: jax.Array, video: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Two clips of a video, each with a view of its own, in no order: [frames, size, size, C].

        How far apart they start is drawn first, the less likely the farther: P(t) is proportional
        to n - t, where t is 0, 1, ... n - 1 and n is the number of places where a clip can start.
        """
        to_far, to_start, to_order, one, two = jax.random.split(key, 5)
        n = self._starts(video.shape[0])
        far = jax.random.categorical(to_far, jnp.log(n - jnp.arange(n, dtype=jnp.float32)))
        start = jax.random.randint(to_start, (), 0, n - far)
        swap = jax.random.bernoulli(to_order)
        first = jnp.where(swap, start + far, start)
        second = jnp.where(swap, start, start + far)
        return self._at(one, video, first), self._at(two, video, second)

    def plain(self, videos: jax.Array) -> jax.Array:
        """The clip in the middle, nothing random: [..., T, H, W, C] -> [..., frames, S, S, C]."""
        start = (self._starts(videos.shape[-4]) - 1) // 2
        places = start + self.stride * jnp.arange(self.frames)
        return self.view.plain(jnp.take(videos, places, axis=-4))

    def denormalize(self, clips: jax.Array) -> jax.Array:
        """Undoes the normalisation, for pictures; values in [0, 1]."""
        return self.view.denormalize(clips)

    def _starts(self, length: int) -> int:
        """Places where a clip can start."""
        starts = length - (self.frames - 1) * self.stride
        if starts < 1:
            raise ValueError(
                f"a clip of {self.frames} frames, every {self.stride}th, does not fit into the "
                f"{length} that are stored: raise --reader.frames, or shorten the clip"
            )
        return starts

    def _at(self, key: jax.Array, video: jax.Array, start: jax.Array) -> jax.Array:
        chosen = jnp.take(video, start + self.stride * jnp.arange(self.frames), axis=0)
        return jax.vmap(lambda frame: self.view(key, frame))(chosen)
