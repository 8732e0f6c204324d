"""Sound as frames: normalised log-mel bands over time, for networks that read them one by one."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from ssljax.views.audio import SpecAugment, WaveView
from ssljax.views.mel import LogMel

_EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class MelFrames:
    """{"audio": [B, T], "length": int [B]} -> {"mel": float32 [B, F, mels], "length": int [B]}, the
    frames that are real.

    Over the real frames of a recording there is mean 0 and variance 1; all other frames are 0.
    """

    mel: LogMel = LogMel()
    """The bands."""
    over: Literal["bands", "recording"] = "bands"
    """Each band by itself, so that neither loudness nor the microphone matters, nor much of who
    speaks; or all bands of a recording at once, which keeps what a voice is like."""
    wave: WaveView = WaveView()
    """What training may change of the samples."""
    augment: SpecAugment | None = None
    """Bands of time and of frequency that training hides; None: none."""

    def plain(self, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Nothing random. Raises: ValueError where rows are shorter than a frame."""
        audio = batch["audio"]
        length = batch.get("length", jnp.full(len(audio), audio.shape[1], jnp.int32))
        count = self.mel.frames(length)
        bands = jax.vmap(self.mel)(audio)
        real = (jnp.arange(bands.shape[1]) < count[:, None])[..., None]
        axes, each = (1, 1) if self.over == "bands" else ((1, 2), bands.shape[2])
        n = each * jnp.maximum(count, 1)[:, None, None]
        x = bands - jnp.sum(jnp.where(real, bands, 0.0), axes, keepdims=True) / n
        x = jnp.where(real, x, 0.0)
        x = x * jax.lax.rsqrt(jnp.sum(x * x, axes, keepdims=True) / n + _EPS)
        return {"mel": x, "length": count}

    def __call__(self, key: jax.Array, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """A random view of each recording."""
        key_wave, key_frames = jax.random.split(key)
        if self.wave != WaveView():
            batch = self.wave.batch(key_wave, batch)
        x = self.plain(batch)
        if self.augment is None:
            return x
        keys = jax.random.split(key_frames, len(x["mel"]))
        return x | {"mel": jax.vmap(self.augment)(keys, x["mel"], x["length"])}


def hide_spans(
    key: jax.Array, length: jax.Array, *, frames: int, prob: float, span: int
) -> jax.Array:
    """Which frames of a recording are hidden, bool [frames] (BEST-RQ, Chiu et al. 2022,
    arXiv:2202.01855): each frame begins a span with the probability `prob`, and spans may overlap.

    Args:
      length: frames that are real; no others are hidden.
    """
    at = jnp.arange(frames)
    starts = jax.random.bernoulli(key, prob, (frames,))
    last = jax.lax.cummax(jnp.where(starts, at, -span))
    return (at - last < span) & (at < length)
