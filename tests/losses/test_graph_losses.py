"""Losses of graphs against loops in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.losses import graph as losses
from ssljax.nets.graph import edge_list

RNG = np.random.default_rng(0)
NODE = np.array([1, 1, 0, 1, 1, 1, 0], bool)


def rows(width=4):
    return RNG.normal(size=(len(NODE), width)).astype(np.float32)


def unit(x):
    x = np.float64(x)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def test_link_reconstruction_is_the_sum_over_all_pairs():
    """norm * mean over N^2 of the weighted cross-entropy, with the nodes themselves as edges."""
    z = np.where(NODE[:, None], rows(), 0).astype(np.float32)
    edges = np.array([[0, 1], [1, 0], [3, 4], [4, 3], [5, 5]])
    packed = np.full((7, 1, 2), -1, np.int32)
    packed[[6, 2, 0, 1, 4], 0] = edges
    real = np.flatnonzero(NODE)
    a = np.zeros((7, 7))
    a[edges[:4, 0], edges[:4, 1]] = 1
    a = a[np.ix_(real, real)]
    n, e = len(real), a.sum()
    pos, norm = (n**2 - e) / e, n**2 / (2 * (n**2 - e))
    s = np.float64(z[real]) @ np.float64(z[real]).T
    y = a + np.eye(n)
    expected = norm * np.mean(pos * y * softplus(-s) + (1 - y) * softplus(s))
    listed = edge_list({"features": z, "edges": jnp.asarray(packed)}, loops=False)
    found = losses.link_reconstruction(z, *listed, NODE)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_infomax():
    real, fake = RNG.normal(size=7), RNG.normal(size=7)
    expected = np.mean(softplus(-real[NODE]) + softplus(fake[NODE])) / 2
    np.testing.assert_allclose(losses.infomax(real, fake, NODE), expected, rtol=1e-5)
    # A discriminator that says nothing.
    zero = jnp.zeros(7)
    np.testing.assert_allclose(losses.infomax(zero, zero, NODE), np.log(2), rtol=1e-6)


def test_grace_has_all_nodes_of_both_views_as_negatives():
    u, v, t = rows(), rows(), 0.4
    a, b = unit(u[NODE]), unit(v[NODE])

    def one(a, b, i):
        def e(x, y):
            return np.exp(x @ y / t)

        other = sum(e(a[i], a[j]) for j in range(len(a)) if j != i)
        return -np.log(e(a[i], b[i]) / (sum(e(a[i], y) for y in b) + other))

    expected = np.mean([(one(a, b, i) + one(b, a, i)) / 2 for i in range(len(a))])
    np.testing.assert_allclose(losses.grace(u, v, NODE, temperature=t), expected, rtol=1e-5)
    same = np.ones((7, 3), np.float32)
    found = losses.grace(same, same, np.ones(7, bool), temperature=t)
    np.testing.assert_allclose(found, np.log(2 * 7 - 1), rtol=1e-6)
    assert np.isfinite(jax.grad(lambda u: losses.grace(u, u, NODE, temperature=t))(same)).all()


def test_scaled_cosine_error():
    guess, truth = rows(), rows()
    cosine = (unit(guess) * unit(truth)).sum(-1)
    expected = np.mean((1 - cosine[NODE]) ** 3)
    found = losses.scaled_cosine_error(guess, truth, NODE, power=3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    scaled = losses.scaled_cosine_error(2.5 * truth, truth, NODE, power=3.0)
    np.testing.assert_allclose(scaled, 0, atol=1e-6)
    opposite = losses.scaled_cosine_error(-truth, truth, NODE, power=3.0)
    np.testing.assert_allclose(opposite, 2.0**3, rtol=1e-5)
