"""Sinkhorn-Knopp against the authors' order of operations in a float64 loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.sinkhorn import sinkhorn


def loop(scores, iterations=3):
    """With all the factors of the paper, on [K, B]."""
    q = np.exp(np.asarray(scores, np.float64)).T
    k, b = q.shape
    q /= q.sum()
    for _ in range(iterations):
        q = q / q.sum(1, keepdims=True) / k
        q = q / q.sum(0, keepdims=True) / b
    return (q * b).T


@pytest.fixture
def scores():
    return np.random.default_rng(0).uniform(-1, 1, (12, 5)).astype(np.float32) / 0.05


@pytest.mark.parametrize("iterations", [1, 3])
def test_against_a_loop(scores, iterations):
    q = sinkhorn(scores, iterations=iterations)
    np.testing.assert_allclose(q, loop(scores, iterations), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(q.sum(1), 1, rtol=1e-6)


def test_prototypes_are_used_alike(scores):
    """Columns converge to B / K each; the rows of a softmax would pile up on a few."""
    q = sinkhorn(scores / 10, iterations=50)
    np.testing.assert_allclose(q.sum(0), 12 / 5, rtol=1e-4)
    assert np.asarray(jax.nn.softmax(scores / 10, axis=1).sum(0)).std() > 0.1


def test_masked_rows_take_no_part(scores):
    mask = np.array([True, False, True] * 4)
    loud = np.where(mask[:, None], scores, 100.0 * np.arange(5))
    q = sinkhorn(loud, mask=jnp.asarray(mask))
    np.testing.assert_allclose(q[mask], loop(scores[mask]), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(q[~mask], 0)
    np.testing.assert_array_equal(sinkhorn(scores, mask=jnp.zeros(12, bool)), 0)


def test_samples_may_have_several_axes(scores):
    q = sinkhorn(scores.reshape(3, 4, 5))
    np.testing.assert_allclose(q.reshape(12, 5), loop(scores), rtol=1e-4, atol=1e-7)


def test_survives_scores_whose_exp_overflows(scores):
    """exp(700) and exp(-700) have no place in float32; the result must not notice."""
    np.testing.assert_allclose(sinkhorn(scores + 700), sinkhorn(scores), rtol=1e-3, atol=1e-6)
    far = np.array([[0.0, -400.0], [0.0, -500.0]], np.float32)  # nobody is near prototype 1
    assert np.isfinite(sinkhorn(far)).all()


def test_no_gradient_and_float32(scores):
    assert not np.any(jax.grad(lambda s: (sinkhorn(s) ** 2).sum())(jnp.asarray(scores)))
    assert sinkhorn(jnp.asarray(scores, jnp.bfloat16)).dtype == jnp.float32
    with pytest.raises(ValueError, match="prototypes"):
        sinkhorn(scores[0])
