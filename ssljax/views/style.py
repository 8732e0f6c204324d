"""Random looks of a grey image, for style transfer: two colours, and at times stripes behind."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.views import color, geometry


@dataclass(frozen=True, kw_only=True)
class Duotone:
    """Black becomes one random colour, white another: (key, [H, W, C]) -> float32 [size, size, 3].

    The two differ by 0.25 to 0.75 in every channel, so what is drawn can always be told from the
    background. Where there are stripes, the background alternates with a third colour, in waves of
    random direction.
    """

    size: int = 28
    stripes: float = 0.5
    """Probability of stripes."""
    period: tuple[float, float] = (4.0, 8.0)
    """Length of a wave in pixels."""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name in ("period", "mean", "std"):  # lists, where read back from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 0 <= self.stripes <= 1:
            raise ValueError(f"stripes is a probability, in [0, 1]; got {self.stripes}")

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 6)
        grey = self._grey(image)
        black = jax.random.uniform(keys[0], (3,))
        white = (black + jax.random.uniform(keys[1], (3,), minval=0.25, maxval=0.75)) % 1.0
        third = (white + jax.random.uniform(keys[2], (3,), minval=0.25, maxval=0.75)) % 1.0
        angle = jnp.pi * jax.random.uniform(keys[3])
        period = jax.random.uniform(keys[4], minval=self.period[0], maxval=self.period[1])
        rows, columns = jnp.mgrid[: self.size, : self.size]
        phase = 2 * jnp.pi * (columns * jnp.cos(angle) + rows * jnp.sin(angle)) / period
        wave = (0.5 + 0.5 * jnp.sin(phase))[..., None]
        wave = jnp.where(jax.random.bernoulli(keys[5], self.stripes), wave, 0.0)
        background = black + wave * (third - black)
        x = background + grey * (white - background)
        return color.normalize(x, mean=self.mean, std=self.std)

    def plain(self, image: jax.Array) -> jax.Array:
        """Grey as it is, in three equal channels: [..., H, W, C] -> [..., size, size, 3]."""
        grey = self._grey(image)
        x = jnp.broadcast_to(grey, (*grey.shape[:-1], 3))
        return color.normalize(x, mean=self.mean, std=self.std)

    def denormalize(self, images: jax.Array) -> jax.Array:
        """Undoes the normalisation of views [..., 3], for pictures; values in [0, 1]."""
        mean, std = jnp.asarray(self.mean, jnp.float32), jnp.asarray(self.std, jnp.float32)
        return jnp.clip(images * std + mean, 0.0, 1.0)

    def _grey(self, image: jax.Array) -> jax.Array:
        top, left, height, width = geometry.centre_box(image.shape[-3:], ratio=(1.0, 1.0))
        cut = image[..., top : top + height, left : left + width, :]
        return geometry.resize(color.to_grey(color.to_float(cut)), size=self.size)


@dataclass(frozen=True, kw_only=True)
class Grey(Duotone):
    """The plain view of `Duotone` as a view of its own: nothing is random."""

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        del key
        return self.plain(image)
