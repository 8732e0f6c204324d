"""PSNR and SSIM against float64 loops over windows, and the numbers that they must give."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.quality import psnr, ssim


def pair(shape=(2, 14, 13, 3), noise=0.2):
    rng = np.random.default_rng(0)
    a = rng.uniform(size=shape)
    return a.astype(np.float32), np.clip(a + noise * rng.normal(size=shape), 0, 1).astype(
        np.float32
    )


def slow_ssim(a, b):
    """One window after the other, in float64, from the definition."""
    offset = np.arange(-5, 6)
    weight = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    found = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            for c in range(a.shape[2]):
                x = a[i : i + 11, j : j + 11, c].astype(np.float64)
                y = b[i : i + 11, j : j + 11, c].astype(np.float64)
                mx, my = (weight * x).sum(), (weight * y).sum()
                vx, vy = (weight * (x - mx) ** 2).sum(), (weight * (y - my) ** 2).sum()
                xy = (weight * (x - mx) * (y - my)).sum()
                c1, c2 = 0.01**2, 0.03**2
                top = (2 * mx * my + c1) * (2 * xy + c2)
                found.append(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(found)


def test_ssim_against_a_loop():
    a, b = pair()
    expected = [slow_ssim(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(ssim(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(ssim(b, a), expected, rtol=1e-5)


def test_ssim_against_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pair(shape=(1, 32, 24, 3))
    expected = metrics.structural_similarity(
        *(x[0].astype(np.float64) for x in (a, b)),
        **{"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
        **{"data_range": 1.0, "channel_axis": -1},
    )
    np.testing.assert_allclose(ssim(a, b)[0], expected, rtol=1e-5)


def test_ends_of_the_range():
    a, _ = pair()
    np.testing.assert_allclose(ssim(a, a), 1.0, rtol=1e-5)
    np.testing.assert_allclose(psnr(a, a), 120.0, rtol=1e-6)
    assert (np.asarray(ssim(a, 1 - a)) < -0.5).all()


def test_psnr():
    a, b = pair(noise=0.05)
    error = [np.mean((x.astype(np.float64) - y) ** 2) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(psnr(a, b), [10 * np.log10(1 / e) for e in error], rtol=1e-5)
    # an error of a tenth everywhere is 20 dB
    np.testing.assert_allclose(psnr(np.zeros_like(a), np.full_like(a, 0.1)), 20.0, rtol=1e-5)


def test_refused():
    with pytest.raises(ValueError, match="11x11"):
        ssim(jnp.zeros((1, 10, 20, 1)), jnp.zeros((1, 10, 20, 1)))
    with pytest.raises(AssertionError):
        psnr(jnp.zeros((1, 12, 12, 1)), jnp.zeros((1, 12, 12, 3)))
