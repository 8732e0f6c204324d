"""From log-mel frames back to sound: amplitudes by non-negative least squares, phases by iteration.

Griffin, Lim, "Signal Estimation from Modified Short-Time Fourier Transform", 1984, in the fast
variant of Perraudin, Balazs, Soendergaard, "A Fast Griffin-Lim Algorithm", WASPAA 2013:

    t_n = stft(istft(c_{n-1})),   u_n = t_n + alpha (t_n - t_{n-1}),   c_n = A u_n / |u_n|

with amplitudes A; alpha = 0 is Griffin's and Lim's own. The power p >= 0 of a frame comes from its
bands m = B p by multiplicative updates (Lee, Seung 2001):  p <- p (B' m) / (B' B p).

All are pure functions of one recording, for `jax.vmap`; frames lie as those of `LogMel`.
"""

import math

import jax
import jax.numpy as jnp

from ssljax.views.mel import LogMel

_LEAST = 1e-2  # of the squared windows over a sample: at both ends there are next to none
_TINY = 1e-12
_FLOOR = 1e-6  # what LogMel adds to the power of a band


def from_spectrum(spectrum: jax.Array, mel: LogMel) -> jax.Array:
    """The samples [(F - 1) hop + window] whose frames are nearest to a spectrum
    [F, N / 2 + 1] (least squares; the first and last few samples are fainter).
    """
    turn = 2 * math.pi / mel.window
    window = jnp.asarray([0.5 - 0.5 * math.cos(turn * n) for n in range(mel.window)], jnp.float32)
    frames = jnp.fft.irfft(spectrum, mel.n)[:, : mel.window] * window
    at = mel.hop * jnp.arange(len(frames))[:, None] + jnp.arange(mel.window)
    silence = jnp.zeros((len(frames) - 1) * mel.hop + mel.window)
    weight = silence.at[at].add(jnp.broadcast_to(window**2, at.shape))
    return silence.at[at].add(frames) / jnp.maximum(weight, _LEAST)


def griffin_lim(
    amplitude: jax.Array, key: jax.Array, mel: LogMel, *, steps: int = 60, alpha: float = 0.99
) -> jax.Array:
    """Samples [(F - 1) hop + window] with these amplitudes [F, N / 2 + 1], from random phases."""
    turn = jax.random.uniform(key, amplitude.shape, maxval=2 * math.pi)
    first = amplitude * jnp.exp(1j * turn)

    def step(_: int, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        c, before = now
        t = mel.spectrum(from_spectrum(c, mel))
        u = t + alpha * (t - before)
        return amplitude * u / jnp.maximum(jnp.abs(u), _TINY), t

    c, _ = jax.lax.fori_loop(0, steps, step, (first, jnp.zeros_like(first)))
    return from_spectrum(c, mel)


def amplitudes(log_mel: jax.Array, mel: LogMel, *, steps: int = 200) -> jax.Array:
    """Amplitudes [F, N / 2 + 1] whose bands are nearest to log-mel frames [F, M]."""
    bands = jnp.asarray(mel.bands(), jnp.float32)
    m = jnp.maximum(jnp.exp(log_mel) - _FLOOR, 0.0)
    back = m @ bands.T
    both = bands @ bands.T

    def step(_: int, p: jax.Array) -> jax.Array:
        return p * back / jnp.maximum(p @ both, _TINY)

    return jnp.sqrt(jax.lax.fori_loop(0, steps, step, back))


def sound_of(log_mel: jax.Array, count: jax.Array, key: jax.Array, mel: LogMel) -> jax.Array:
    """Samples [(F - 1) hop + window] of log-mel frames [F, M], silent after the first `count`."""
    real = (jnp.arange(len(log_mel)) < count)[:, None]
    audio = griffin_lim(jnp.where(real, amplitudes(log_mel, mel), 0.0), key, mel)
    end = jnp.where(count > 0, (count - 1) * mel.hop + mel.window, 0)
    return jnp.clip(jnp.where(jnp.arange(len(audio)) < end, audio, 0.0), -1.0, 1.0)
