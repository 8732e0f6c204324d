"""Random changes of recordings and of their spectra, as pure functions of a random key.

Each works on one example, samples [T] or frames [F, M], of which the first `length` are real, and
is meant for `jax.vmap`. What is padding stays zero.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp


def random_window(
    key: jax.Array, audio: jax.Array, length: jax.Array, *, size: int
) -> tuple[jax.Array, jax.Array]:
    """`size` samples in a row from a random place, whole where there are fewer: ([size], length).

    Raises: ValueError where a window is longer than a row.
    """
    if not 1 <= size <= audio.shape[0]:
        raise ValueError(f"a window of {size} samples in rows of {audio.shape[0]}")
    start = jax.random.randint(key, (), 0, jnp.maximum(length - size, 0) + 1)
    cut = jax.lax.dynamic_slice_in_dim(audio, start, size)
    return cut, jnp.minimum(length, size)


def random_gain(key: jax.Array, audio: jax.Array, *, decibels: float) -> jax.Array:
    """Louder or softer by up to so many decibels, evenly."""
    gain = jax.random.uniform(key, (), minval=-decibels, maxval=decibels)
    return audio * 10 ** (gain / 20)


def flip_sign(key: jax.Array, audio: jax.Array) -> jax.Array:
    """Turned upside down, every second time: nobody hears a difference."""
    return jnp.where(jax.random.bernoulli(key), -audio, audio)


def add_noise(
    key: jax.Array, audio: jax.Array, length: jax.Array, *, snr: tuple[float, float]
) -> jax.Array:
    """White noise, so many decibels below the mean power of the recording, evenly from `snr`."""
    key_level, key_noise = jax.random.split(key)
    real = jnp.arange(audio.shape[0]) < length
    power = jnp.sum(jnp.where(real, audio, 0.0) ** 2) / jnp.maximum(length, 1)
    level = jax.random.uniform(key_level, (), minval=snr[0], maxval=snr[1])
    noise = jax.random.normal(key_noise, audio.shape) * jnp.sqrt(power) * 10 ** (-level / 20)
    return audio + jnp.where(real, noise, 0.0)


@dataclass(frozen=True, kw_only=True)
class WaveView:
    """A random view of a recording: a window of it, its sign, its gain, noise.

    (key, {"audio": [T], "length": int}) -> the same with "audio" [size].
    """

    size: int | None = None
    """Samples; None: all of a row."""
    sign: bool = False
    """Turn the sign of half of the recordings at random, which nobody hears."""
    gain: float = 0.0
    """Decibels up or down; 0 is off."""
    snr: tuple[float, float] | None = None
    """Decibels of the recording over the noise, from and to; None: no noise."""

    def __call__(self, key: jax.Array, example: dict[str, jax.Array]) -> dict[str, jax.Array]:
        audio, length = example["audio"], example["length"]
        keys = jax.random.split(key, 4)
        if self.size is not None:
            audio, length = random_window(keys[0], audio, length, size=self.size)
        if self.sign:
            audio = flip_sign(keys[1], audio)
        if self.gain:
            audio = random_gain(keys[2], audio, decibels=self.gain)
        if self.snr is not None:
            audio = add_noise(keys[3], audio, length, snr=self.snr)
        return {"audio": audio, "length": length}

    def batch(self, key: jax.Array, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """A view of each row of {"audio": [B, T], "length": [B]}."""
        rows = {name: batch[name] for name in ("audio", "length")}
        return jax.vmap(self)(jax.random.split(key, len(rows["audio"])), rows)


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Bands of time and of frequency set to the mean of the real frames (Park et al. 2019,
    arXiv:1904.08779, without time warping): (key, [F, M], length) -> [F, M].

    Widths are drawn evenly from 0 up to the largest; the defaults are the paper's LibriSpeech
    double.
    """

    bands: int = 2
    """Masks of frequency."""
    width: int = 27
    """Widest of them, in bands."""
    times: int = 2
    """Masks of time."""
    frames: int = 100
    """Longest of them, in frames."""
    share: float = 1.0
    """Longest of them, as a share of the real frames."""

    def __call__(self, key: jax.Array, mel: jax.Array, length: jax.Array) -> jax.Array:
        f, m = mel.shape
        key_bands, key_times = jax.random.split(key)
        real = jnp.arange(f) < length
        mean = jnp.sum(jnp.where(real[:, None], mel, 0.0)) / jnp.maximum(length * m, 1)
        longest = jnp.minimum(self.frames, jnp.floor(self.share * length).astype(jnp.int32))
        hidden = _stripes(key_bands, self.bands, self.width, m, m)[None]
        hidden = hidden | _stripes(key_times, self.times, longest, length, f)[:, None]
        return jnp.where(hidden & real[:, None], mean, mel)


def _stripes(
    key: jax.Array, count: int, widest: jax.Array | int, size: jax.Array | int, room: int
) -> jax.Array:
    """bool [room], true in `count` stripes inside the first `size` places."""
    key_width, key_start = jax.random.split(key)
    width = jax.random.randint(key_width, (count, 1), 0, jnp.minimum(widest, size) + 1)
    start = jax.random.randint(key_start, (count, 1), 0, jnp.maximum(size - width, 0) + 1)
    at = jnp.arange(room)
    return jnp.any((at >= start) & (at < start + width), axis=0)


def span_mask(
    key: jax.Array,
    length: jax.Array,
    *,
    frames: int,
    prob: float,
    span: int,
    least: int = 2,
) -> jax.Array:
    """Which frames of a recording are hidden, bool [frames] (wav2vec 2.0, appendix A of Baevski et
    al. 2020, arXiv:2006.11477, by the rule of the authors' code).

    floor(prob n / span + u) spans, u uniform in [0, 1), but at least `least`, start at different
    frames out of those where they fit into the n real ones, and may overlap: prob 0.65 hides about
    half. A recording of fewer than two spans gets shorter ones, of half of it.

    Args:
      length: frames that are real, n.
    """
    key_count, key_start = jax.random.split(key)
    width = jnp.clip(length // 2, 1, span)
    drawn = jnp.floor(prob * length / width + jax.random.uniform(key_count, ()))
    at = jnp.arange(frames)
    allowed = at <= length - width
    noise = jnp.where(allowed, jax.random.uniform(key_start, (frames,)), 2.0)
    starts = (jnp.argsort(jnp.argsort(noise)) < jnp.maximum(drawn, least)) & allowed
    last = jax.lax.cummax(jnp.where(starts, at, -frames))
    return (at - last < width) & (at < length)


class Hidden(NamedTuple):
    """Hidden frames: mask bool [B, T]; positions int [B, P] of the hidden ones, which come first;
    weight float32 [B, P], 1 for those and 0 for entries that only fill up.
    """

    mask: jax.Array
    positions: jax.Array
    weight: jax.Array


def hide_frames(
    keys: jax.Array, length: jax.Array, *, frames: int, prob: float, span: int
) -> Hidden:
    """`span_mask` for each row. keys: [B]. length: frames that are real [B], of `frames`."""
    hide = partial(span_mask, frames=frames, prob=prob, span=span)
    mask = jax.vmap(hide)(keys, length)
    most = most_hidden(frames, prob=prob, span=span)
    positions = jnp.argsort(~mask, axis=1, stable=True)[:, :most]
    weight = jnp.take_along_axis(mask, positions, axis=1).astype(jnp.float32)
    return Hidden(mask, positions, weight)


def most_hidden(frames: int, *, prob: float, span: int, least: int = 2) -> int:
    """Frames that `span_mask` hides of a recording at most, with room for any draw."""
    return min(frames, max(least, int(prob * frames / span + 1)) * span)
