"""BYOL's and SimSiam's regression: ends of the range, torch parity, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.normalize import l2_normalize
from ssljax.losses.siamese import byol_regression, negative_cosine


@pytest.fixture
def pair():
    return np.random.default_rng(0).normal(size=(2, 9, 5)).astype(np.float32)


def test_value(pair):
    p, z = pair.astype(np.float64)
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(p, z, strict=True)]
    np.testing.assert_allclose(byol_regression(*pair), np.mean(2 - 2 * np.array(cosines)), 1e-6)


def test_ends_of_the_range(pair):
    p = pair[0]
    np.testing.assert_allclose(byol_regression(p, 3 * p), 0, atol=1e-6)
    np.testing.assert_allclose(byol_regression(p, -p), 4, rtol=1e-6)


def test_gradients_equal_torch(pair):
    torch = pytest.importorskip("torch")
    p = torch.tensor(pair[0], dtype=torch.float64, requires_grad=True)
    z = torch.tensor(pair[1], dtype=torch.float64)
    (2 - 2 * torch.nn.functional.cosine_similarity(p, z)).mean().backward()
    to_p, to_z = jax.grad(byol_regression, (0, 1))(*pair)
    np.testing.assert_allclose(to_p, p.grad, atol=1e-6)
    np.testing.assert_array_equal(to_z, 0)


def test_half_precision_is_computed_in_float32(pair):
    half = jnp.asarray(pair, jnp.bfloat16)
    value = byol_regression(*half)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, byol_regression(*half.astype(jnp.float32)), rtol=1e-6)


def test_shapes_must_agree(pair):
    with pytest.raises(AssertionError):
        byol_regression(pair[0], pair[1][:, :1])


@pytest.mark.parametrize("scale", [0.0, 1e-25, 1e-13, 1.0, 1e15])
def test_l2_normalize_and_its_gradient(scale):
    x = np.array([[3.0, 4.0], [1.0, 0.0]], np.float32) * np.float32(scale)
    expected = x / np.maximum(np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(l2_normalize(x), expected, rtol=1e-6)
    assert np.isfinite(jax.grad(lambda v: l2_normalize(v).sum())(x)).all()
    assert np.isfinite(jax.grad(lambda v: byol_regression(v, jnp.ones((2, 2))))(x)).all()


def test_negative_cosine(pair):
    p, z = pair.astype(np.float64)
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(p, z, strict=True)]
    value = negative_cosine(*pair)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, -np.mean(cosines), rtol=1e-5)
    np.testing.assert_allclose(negative_cosine(pair[0], 3 * pair[0]), -1, rtol=1e-6)
    np.testing.assert_allclose(negative_cosine(pair[0], -pair[0]), 1, rtol=1e-6)
    # the gradient pulls p towards z; an earlier library of this name had the sign wrong
    step = pair[0] - 0.1 * jax.grad(negative_cosine)(*pair)
    assert negative_cosine(step, pair[1]) < value


def test_negative_cosine_gradient_equals_torch(pair):
    torch = pytest.importorskip("torch")
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in pair]
    (-torch.nn.functional.cosine_similarity(*t)).mean().backward()
    for grad, reference in zip(jax.grad(negative_cosine, (0, 1))(*pair), t, strict=True):
        np.testing.assert_allclose(grad, reference.grad, atol=1e-6)
