"""Log-mel, cepstra and slopes against loops in double precision, and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.data.audio import log_mel
from ssljax.views import LogMel, cepstra, mfcc, slopes

AUDIO = np.random.default_rng(0).normal(size=900).astype(np.float32) * 0.1


def by_loop(audio, view):
    """The definition, a frame and a band at a time."""
    n, window = view.n, view.window
    high = view.rate / 2 if view.high is None else view.high
    if view.scale == "htk":
        mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
        back = lambda m: 700 * (10 ** (m / 2595) - 1)  # noqa: E731
    else:
        step = np.log(6.4) / 27
        mel = lambda f: 3 * f / 200 if f < 1000 else 15 + np.log(f / 1000) / step  # noqa: E731
        back = lambda m: 200 * m / 3 if m < 15 else 1000 * np.exp(step * (m - 15))  # noqa: E731
    edges = [back(m) for m in np.linspace(mel(view.low), mel(high), view.mels + 2)]
    rows = []
    for start in range(0, len(audio) - window + 1, view.hop):
        x = audio[start : start + window].astype(np.float64)
        x = x * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))
        power = [
            abs(np.sum(x * np.exp(-2j * np.pi * f * np.arange(window) / n))) ** 2
            for f in range(n // 2 + 1)
        ]
        row = []
        for a, b, c in zip(edges, edges[1:], edges[2:]):
            total = 0.0
            for f, p in enumerate(power):
                hertz = f * view.rate / n
                if a < hertz < c:
                    w = (hertz - a) / (b - a) if hertz < b else (c - hertz) / (c - b)
                    total += p * w * (2 / (c - a) if view.scale == "slaney" else 1)
            row.append(np.log(total + 1e-6))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_equals_a_loop(scale):
    view = LogMel(rate=8000, window=200, hop=90, mels=20, scale=scale)
    found = jax.jit(view)(AUDIO)
    want = by_loop(AUDIO, view)
    assert found.shape == want.shape == (int(view.frames(900)), 20)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)


def test_spectrum_equals_torch():
    torch = pytest.importorskip("torch")
    view = LogMel(rate=8000, window=256, hop=90)
    want = torch.stft(
        torch.tensor(AUDIO),
        n_fft=256,
        hop_length=90,
        window=torch.hann_window(256),
        center=False,
        return_complex=True,
    )
    np.testing.assert_allclose(view.spectrum(AUDIO), want.numpy().T, atol=1e-5)


def test_equals_what_the_reader_takes_for_plain_features():
    view = LogMel(rate=8000, window=200, hop=80, mels=40)
    np.testing.assert_allclose(view(AUDIO), log_mel(AUDIO, 8000), rtol=1e-5, atol=1e-5)


def test_frames_are_those_of_a_convolution():
    view = LogMel(window=40, hop=17)
    for n in (39, 40, 56, 57, 200):
        assert int(view.frames(n)) == max(0, len(range(0, n - 40 + 1, 17)))
    with pytest.raises(ValueError, match="less than a frame"):
        view(jnp.zeros(39))


def test_cepstra_equal_a_loop_and_are_orthonormal():
    mel = np.random.default_rng(1).normal(size=(3, 20))
    want = np.zeros((3, 20))
    for t in range(3):
        for k in range(20):
            total = sum(mel[t, j] * np.cos(np.pi * k * (j + 0.5) / 20) for j in range(20))
            want[t, k] = total * np.sqrt((1 if k == 0 else 2) / 20)
    found = cepstra(jnp.asarray(mel), 20)
    np.testing.assert_allclose(found, want, atol=1e-5)
    np.testing.assert_allclose(np.sum(np.square(found), 1), np.sum(mel**2, 1), rtol=1e-5)
    np.testing.assert_allclose(cepstra(jnp.asarray(mel), 5), want[:, :5], atol=1e-5)


def test_slopes_of_a_line_and_at_its_ends():
    line = 3.0 * jnp.arange(9.0)[:, None]
    d = np.asarray(slopes(line, jnp.int32(9)))[:, 0]
    np.testing.assert_allclose(d[2:7], 3.0, rtol=1e-6)
    np.testing.assert_allclose(d[0], 3 * (1 + 2 * 2) / 10, rtol=1e-6)
    short = slopes(line.at[6:].set(1e3), jnp.int32(6))  # what is beyond the end does not count
    np.testing.assert_allclose(short[:6], slopes(line[:6], jnp.int32(6)), rtol=1e-6)


def test_mfcc_of_the_real_frames_ignore_the_padding():
    view = LogMel(rate=8000, window=200, hop=80, mels=23)
    whole = mfcc(jnp.asarray(AUDIO[:600]), jnp.int32(600), view)
    padded = mfcc(jnp.zeros(900).at[:600].set(AUDIO[:600]), jnp.int32(600), view)
    assert whole.shape == (6, 39)
    np.testing.assert_allclose(padded[:6], whole, atol=1e-5)
