"""Sound from frames, against loops in float64 and SciPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from ssljax.views import LogMel, amplitudes, from_spectrum, griffin_lim, sound_of, spectrogram

MEL = LogMel(rate=8000, window=24, hop=6, mels=8)
HANN = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 24) for n in range(24)])
RNG = np.random.default_rng(0)
TONES = np.sin(0.5 * np.arange(150)) + 0.5 * np.sin(1.3 * np.arange(150))


def frames_of(x):
    """[F, N / 2 + 1], a frame after the other."""
    starts = range(0, len(x) - 24 + 1, 6)
    return np.array([np.fft.rfft(x[s : s + 24] * HANN, 32) for s in starts])


def samples_of(spectrum):
    """Overlapping frames added, sample by sample."""
    total, weight = np.zeros((len(spectrum) - 1) * 6 + 24), np.zeros((len(spectrum) - 1) * 6 + 24)
    for t, row in enumerate(spectrum):
        frame = np.fft.irfft(row, 32)
        for n in range(24):
            total[6 * t + n] += HANN[n] * frame[n]
            weight[6 * t + n] += HANN[n] ** 2
    return total / np.maximum(weight, 1e-2)


def test_frames_become_the_samples_that_they_were():
    back = np.asarray(from_spectrum(MEL.spectrum(jnp.asarray(TONES)), MEL))
    np.testing.assert_allclose(back[6:-6], TONES[6:-6], atol=1e-5)
    other = RNG.normal(size=(22, 17)) + 1j * RNG.normal(size=(22, 17))  # of no sound at all
    np.testing.assert_allclose(from_spectrum(jnp.asarray(other), MEL), samples_of(other), atol=1e-5)


def test_phases_are_those_of_a_loop():
    key, wanted = jax.random.key(3), np.abs(frames_of(TONES))
    turn = np.float64(jax.random.uniform(key, wanted.shape, maxval=2 * math.pi))
    for alpha in (0.0, 0.99):
        c, before = wanted * np.exp(1j * turn), np.zeros(wanted.shape)
        for _ in range(4):
            t = frames_of(samples_of(c))
            u = t + alpha * (t - before)
            c, before = wanted * u / np.abs(u), t
        made = griffin_lim(jnp.asarray(wanted), key, MEL, steps=4, alpha=alpha)
        np.testing.assert_allclose(made, samples_of(c), atol=2e-4)


def test_steps_bring_amplitudes_nearer():
    wanted = np.abs(frames_of(TONES))

    def off(steps):
        made = griffin_lim(jnp.asarray(wanted), jax.random.key(0), MEL, steps=steps)
        return np.linalg.norm(np.abs(frames_of(np.float64(made))) - wanted) / np.linalg.norm(wanted)

    assert off(100) < 0.15 < 0.4 < off(0)


def test_amplitudes_are_the_nearest_that_bands_allow():
    bands = np.array(MEL.bands())
    power = RNG.gamma(0.5, size=(3, 17)) + 1e-3
    for mel in (power @ bands, RNG.gamma(0.5, size=(3, 8))):  # the second of no spectrum, maybe
        found = np.float64(amplitudes(jnp.log(jnp.asarray(mel) + 1e-6), MEL, steps=3000)) ** 2
        for p, m in zip(found, mel, strict=True):
            _, least = nnls(bands.T, m)
            assert np.linalg.norm(p @ bands - m) <= least + 5e-3 * np.linalg.norm(m)


def test_sound_ends_after_its_frames():
    log_mel = MEL(jnp.asarray(TONES))
    made = np.asarray(sound_of(log_mel, jnp.int32(10), jax.random.key(0), MEL))
    assert made.shape == (150,) and np.abs(made).max() <= 1
    assert not made[9 * 6 + 24 :].any() and np.abs(made[: 9 * 6]).max() > 0.3
    assert not np.asarray(sound_of(log_mel, jnp.int32(0), jax.random.key(0), MEL)).any()


def test_spectrograms_have_low_tones_at_the_bottom():
    log_mel = jnp.full((1, 5, 8), -12.0).at[0, 1, 0].set(4.0).at[0, 4, 3].set(4.0)
    picture = np.asarray(spectrogram(log_mel, jnp.array([3])))[0, :, :, 0]
    dark = np.ones((16, 5))
    dark[14:, 1] = 0  # what comes after the third frame is not there
    np.testing.assert_array_equal(picture, dark)
