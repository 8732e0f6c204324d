"""AdaIN, moments and Gram matrices against their definitions in float64 and against torch."""

import jax
import numpy as np
import pytest

from ssljax.losses import style


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    a = rng.normal(1.0, 2.0, size=(3, 4, 5, 6)).astype(np.float32)
    return a, rng.normal(-1.0, 0.5, size=(3, 7, 2, 6)).astype(np.float32)


def test_adain_takes_the_moments_of_the_style_in_each_image_and_channel(maps):
    content, other = maps
    t = np.asarray(style.adain(content, other), np.float64)
    np.testing.assert_allclose(t.mean((1, 2)), other.mean((1, 2)), atol=1e-5)
    np.testing.assert_allclose(t.std((1, 2)), other.std((1, 2)), rtol=1e-4)
    # the content is kept: an affine map of each channel, with positive slope
    for i in range(3):
        for c in range(6):
            r = np.corrcoef(t[i, :, :, c].ravel(), content[i, :, :, c].ravel())[0, 1]
            np.testing.assert_allclose(r, 1.0, atol=1e-5)
    np.testing.assert_allclose(style.adain(content, content), content, atol=1e-4)


def test_moment_distance_and_gradient_equal_torch(maps):
    torch = pytest.importorskip("torch")
    a, b = (torch.tensor(m).double() for m in maps)
    a.requires_grad_()

    def moments(x):
        return x.mean((1, 2)), (x.var((1, 2), unbiased=False) + 1e-5).sqrt()

    mse = torch.nn.functional.mse_loss
    expected = sum(mse(x, y) for x, y in zip(moments(a), moments(b), strict=True))
    expected.backward()
    value, grad = jax.value_and_grad(style.moment_distance)(*maps)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(grad, a.grad, rtol=1e-4, atol=1e-7)


def test_flat_maps_have_a_finite_gradient():
    flat = np.ones((2, 3, 3, 4), np.float32)
    assert np.isfinite(jax.grad(lambda x: style.adain(x, x).sum())(flat)).all()
    assert np.isfinite(jax.grad(style.moment_distance)(flat, 2 * flat)).all()


def test_gram_forgets_places(maps):
    x = maps[0].astype(np.float64)
    expected = np.zeros((3, 6, 6))
    for i in range(3):
        for row in x[i].reshape(-1, 6):
            expected[i] += np.outer(row, row) / (4 * 5 * 6)
    np.testing.assert_allclose(style.gram(maps[0]), expected, rtol=1e-5)
    shuffled = np.random.default_rng(1).permutation(maps[0].reshape(3, 20, 6), axis=1)
    np.testing.assert_allclose(style.gram(shuffled.reshape(3, 5, 4, 6)), expected, rtol=1e-5)
