"""Spectra of sound on the device: log-mel bands, cepstra and their slopes.

    X_tf = |sum_n w_n x_{t hop + n} exp(-2 pi i f n / N)|^2,     S_tm = ln(sum_f B_fm X_tf + 1e-6)

w is a periodic Hann window and B has triangles evenly spaced in mel, each with peak 1 (HTK) or area
1 (Slaney): O'Shaughnessy 1987 as in HTK, mel = 2595 log10(1 + f / 700), or Slaney's Auditory
Toolbox (1998), 3 f / 200 below 1000 Hz and a logarithm above. Frames start at 0 and lie wholly
inside the recording, so frame t of `LogMel` sees the samples that frame t of a convolution with
that window and hop sees.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

_FLOOR = 1e-6
_STEP = math.log(6.4) / 27  # Slaney's logarithm: 27 mel from 1000 to 6400 Hz


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """Logarithms of mel bands: samples [T] -> [frames, mels] float32."""

    rate: int = 16_000
    """Samples a second."""
    window: int = 400
    """Samples of a frame; the FFT has the next power of two."""
    hop: int = 160
    """Samples from one frame to the next."""
    mels: int = 80
    """Bands."""
    low: float = 20.0
    """Hertz where the bands begin."""
    high: float | None = None
    """Hertz where they end; None: half the rate."""
    scale: Literal["htk", "slaney"] = "htk"
    """The formula of the mel scale."""

    def __call__(self, audio: jax.Array) -> jax.Array:
        """Raises: ValueError where the recording is shorter than a frame."""
        power = jnp.square(jnp.abs(self.spectrum(audio)))
        bands = jnp.asarray(self.bands(), jnp.float32)
        return jnp.log(jnp.dot(power, bands, precision=jax.lax.Precision.HIGHEST) + _FLOOR)

    def spectrum(self, audio: jax.Array) -> jax.Array:
        """The short-time Fourier transform [frames, N / 2 + 1], complex."""
        count = self.frames(audio.shape[0])
        if count < 1:
            raise ValueError(f"{audio.shape[0]} samples are less than a frame of {self.window}")
        at = self.hop * jnp.arange(count)[:, None] + jnp.arange(self.window)
        turn = 2 * math.pi / self.window
        hann = [0.5 - 0.5 * math.cos(turn * n) for n in range(self.window)]
        return jnp.fft.rfft(audio.astype(jnp.float32)[at] * jnp.asarray(hann, jnp.float32), self.n)

    def frames(self, samples: Any) -> Any:
        """Frames of that many samples, an int or an array of them."""
        count = 1 + (samples - self.window) // self.hop
        return max(0, count) if isinstance(count, int) else jnp.maximum(0, count)

    @property
    def n(self) -> int:
        """Points of the FFT."""
        return 2 ** math.ceil(math.log2(self.window))

    def bands(self) -> tuple[tuple[float, ...], ...]:
        """The triangles B, [N / 2 + 1, mels]."""
        high = self.rate / 2 if self.high is None else self.high
        return _bands(self.rate, self.n, self.mels, self.low, high, self.scale)


@functools.cache
def _bands(
    rate: int, n: int, mels: int, low: float, high: float, scale: str
) -> tuple[tuple[float, ...], ...]:
    """In double precision: narrow triangles would lose digits in single."""
    to_mel, to_hertz = {"htk": (_htk, _htk_hertz), "slaney": (_slaney, _slaney_hertz)}[scale]
    first, last = to_mel(low), to_mel(high)
    edges = [to_hertz(first + (last - first) * i / (mels + 1)) for i in range(mels + 2)]

    def weight(hertz: float, a: float, b: float, c: float) -> float:
        height = 2 / (c - a) if scale == "slaney" else 1.0
        return height * max(0.0, min((hertz - a) / (b - a), (c - hertz) / (c - b)))

    triples = list(zip(edges, edges[1:], edges[2:]))
    return tuple(tuple(weight(f * rate / n, *t) for t in triples) for f in range(n // 2 + 1))


def _htk(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _htk_hertz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


def _slaney(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / _STEP


def _slaney_hertz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp(_STEP * (mel - 15))


def cepstra(mel: jax.Array, count: int = 13) -> jax.Array:
    """The first cepstral coefficients of log-mel frames [F, M] -> [F, count]: an orthonormal
    DCT-II over the bands (Davis, Mermelstein 1980).
    """
    m = mel.shape[-1]

    def entry(k: int, j: int) -> float:
        return math.sqrt((2 if k else 1) / m) * math.cos(math.pi * k * (2 * j + 1) / (2 * m))

    table = jnp.asarray([[entry(k, j) for k in range(count)] for j in range(m)], jnp.float32)
    return jnp.dot(mel, table, precision=jax.lax.Precision.HIGHEST)


def slopes(x: jax.Array, length: jax.Array, reach: int = 2) -> jax.Array:
    """Regression slopes over time ("deltas"): x [F, D] -> [F, D].

        d_t = sum_n n (x_{t+n} - x_{t-n}) / (2 sum_n n^2),    n = 1 to reach

    length: frames that are real; beyond the ends the first and the last of them are repeated.
    """
    at, last = jnp.arange(x.shape[0]), jnp.maximum(length - 1, 0)
    steps = (
        n * (x[jnp.clip(at + n, 0, last)] - x[jnp.clip(at - n, 0, last)])
        for n in range(1, reach + 1)
    )
    total = jnp.asarray(sum(steps))
    return total / (2 * sum(n * n for n in range(1, reach + 1)))


def mfcc(audio: jax.Array, length: jax.Array, mel: LogMel) -> jax.Array:
    """13 cepstra of 40 or so bands, their slopes and the slopes of those: [frames, 39].

    length: samples of `audio` [T] that are real.
    """
    c = cepstra(mel(audio))
    real = mel.frames(length)
    d = slopes(c, real)
    return jnp.concatenate([c, d, slopes(d, real)], axis=-1)
