"""Sound as a picture: log-mel bands over time, for networks that take images."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssljax.views.mel import LogMel

_DARK, _BRIGHT = -12.0, 4.0  # log-mel of silence and of a loud voice


@dataclass(frozen=True, kw_only=True)
class MelPicture:
    """(key, samples [T]) -> float32 [frames, mels, 1]; at random earlier or later, with noise.

    A picture is less its mean and over its deviation, so that loudness does not matter.
    """

    mel: LogMel = LogMel(mels=40)
    upright: bool = True
    """Bands are the height of a picture of one channel; False: they are the channels of a picture
    of height one, [frames, 1, mels], which a convolution does not take for each other."""
    shift: float = 0.1
    """Largest random shift in seconds, around the ends of the row."""
    noise: float = 0.003
    """Deviation of white noise that training adds; recordings lie in [-1, 1]."""

    def __call__(self, key: jax.Array, audio: jax.Array) -> jax.Array:
        """One random view of a recording."""
        key_shift, key_noise = jax.random.split(key)
        most = round(self.shift * self.mel.rate)
        x = jnp.roll(audio, jax.random.randint(key_shift, (), -most, most + 1))
        return self.plain(x + self.noise * jax.random.normal(key_noise, x.shape))

    def plain(self, audio: jax.Array) -> jax.Array:
        """Nothing random: samples [..., T] -> float32 [..., frames, mels, 1] (see `upright`).

        Raises: ValueError where a recording is shorter than a frame.
        """
        if audio.ndim > 1:
            return jax.vmap(self.plain)(audio)
        x = self.mel(audio)
        x = (x - jnp.mean(x)) / jnp.maximum(jnp.std(x), 1e-3)
        return x[..., None] if self.upright else x[..., None, :]


def spectrogram(log_mel: jax.Array, count: jax.Array) -> jax.Array:
    """Pictures [B, 2 M, F, 1] in [0, 1] of log-mel frames [B, F, M] for the eye: time to the right,
    low tones at the bottom, the louder the darker; white after the first `count` [B] frames.
    """
    x = jnp.clip((log_mel - _DARK) / (_BRIGHT - _DARK), 0.0, 1.0)
    x = jnp.where(jnp.arange(x.shape[1])[:, None] < count[:, None, None], x, 0.0)
    return 1 - jnp.repeat(jnp.swapaxes(x, 1, 2)[:, ::-1], 2, axis=1)[..., None]
