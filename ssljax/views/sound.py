"""Sound as a picture: the logarithm of the power in bands of the mel scale, computed on the device.

The bands are those of `ssljax.data.audio.log_mel` (Hann windows of 25 ms, triangles on the HTK mel
scale from 20 Hz up), less their mean and over their deviation in each recording, so
that loudness does not matter.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

_WINDOW, _LOW = 0.025, 20.0


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """(key, samples [T]) -> float32 [frames, bands, 1]; at random earlier or later, with noise."""

    rate: int = 16_000
    """Samples a second."""
    bands: int = 40
    hop: float = 0.01
    """Seconds from frame to frame."""
    upright: bool = True
    """Bands are the height of a picture of one channel; False: they are the channels of a picture
    of height one, [frames, 1, bands], which a convolution does not take for each other."""
    shift: float = 0.1
    """Largest random shift in seconds, around the ends of the row."""
    noise: float = 0.003
    """Deviation of white noise that training adds; recordings lie in [-1, 1]."""

    def __call__(self, key: jax.Array, audio: jax.Array) -> jax.Array:
        """One random view of a recording."""
        key_shift, key_noise = jax.random.split(key)
        most = round(self.shift * self.rate)
        x = jnp.roll(audio, jax.random.randint(key_shift, (), -most, most + 1))
        return self.plain(x + self.noise * jax.random.normal(key_noise, x.shape))

    def plain(self, audio: jax.Array) -> jax.Array:
        """Nothing random: samples [..., T] -> float32 [..., frames, bands, 1] (see `upright`)."""
        x = self.power(audio)
        mean = jnp.mean(x, axis=(-2, -1), keepdims=True)
        std = jnp.std(x, axis=(-2, -1), keepdims=True)
        x = (x - mean) / jnp.maximum(std, 1e-3)
        return x[..., None] if self.upright else x[..., None, :]

    def power(self, audio: jax.Array) -> jax.Array:
        """Logarithms of the power in the bands, [..., frames, bands]."""
        window, hop = round(_WINDOW * self.rate), max(1, round(self.hop * self.rate))
        if audio.shape[-1] < window:
            raise ValueError(f"{audio.shape[-1]} samples are fewer than a window of {window}")
        n = 2 ** math.ceil(math.log2(window))
        at = jnp.arange(0, audio.shape[-1] - window + 1, hop)[:, None] + jnp.arange(window)
        hann = 0.5 - 0.5 * jnp.cos(2 * jnp.pi * jnp.arange(window) / window)
        spectrum = jnp.square(jnp.abs(jnp.fft.rfft(audio[..., at] * hann, n)))
        bands = self._bands(n)
        return jnp.log(jnp.matmul(spectrum, bands, precision="highest") + 1e-6)

    def _bands(self, n: int) -> jax.Array:
        """Weights of the n / 2 + 1 frequencies in each band, [n / 2 + 1, bands]."""
        low, high = (2595 * math.log10(1 + f / 700) for f in (_LOW, self.rate / 2))
        edges = 700 * (10 ** (jnp.linspace(low, high, self.bands + 2) / 2595) - 1)
        at = jnp.arange(n // 2 + 1)[:, None] * (self.rate / n)
        up = (at - edges[:-2]) / jnp.diff(edges)[:-1]
        down = (edges[2:] - at) / jnp.diff(edges)[1:]
        return jnp.maximum(0.0, jnp.minimum(up, down))
