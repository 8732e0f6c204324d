"""The losses of colourisation against loops in float64."""

import jax
import numpy as np

from ssljax.losses.colour import annealed_mean, colour_classes, rebalance, soft_bins

rng = np.random.default_rng(0)
BINS = np.array([(a, b) for a in range(-20, 30, 10) for b in range(-20, 30, 10)], np.float32)


def test_soft_bins():
    ab = rng.uniform(-30, 30, (2, 3, 2)).astype(np.float32)
    found = soft_bins(ab, BINS, neighbors=5, sigma=5.0)
    for place in np.ndindex(2, 3):
        square = ((BINS.astype(np.float64) - ab[place]) ** 2).sum(1)
        near = np.argsort(square)[:5]
        expected = np.zeros(len(BINS))
        expected[near] = np.exp(-square[near] / 50)
        np.testing.assert_allclose(found[place], expected / expected.sum(), atol=1e-6)
    assert (np.count_nonzero(found, axis=-1) <= 5).all()
    # far from every bin the exponentials underflow, their ratios do not
    far = soft_bins(np.array([500.0, 3.0], np.float32), BINS, neighbors=5, sigma=5.0)
    np.testing.assert_allclose(far.sum(), 1, rtol=1e-6)


def test_rebalance():
    prior = rng.dirichlet(np.ones(6)).astype(np.float32)
    weight = rebalance(prior, mix=0.5)
    expected = 1 / (0.5 * prior.astype(np.float64) + 0.5 / 6)
    np.testing.assert_allclose(weight, expected / (prior * expected).sum(), rtol=1e-5)
    np.testing.assert_allclose((prior * weight).sum(), 1, rtol=1e-6)
    assert np.argmax(weight) == np.argmin(prior)
    np.testing.assert_allclose(rebalance(prior, mix=1.0), 1, rtol=1e-6)


def test_colour_classes():
    logits = rng.normal(size=(3, 2, 2, 4)).astype(np.float32)
    targets = rng.dirichlet(np.ones(4), (3, 2, 2)).astype(np.float32)
    weights, counted = np.array([1.0, 3, 0.5, 2], np.float32), np.array([True, False, True])
    total = 0.0
    for i, r, c in np.ndindex(3, 2, 2):
        x = logits[i, r, c].astype(np.float64)
        log_p = x - np.log(np.exp(x).sum())
        # the weight is that of the true colour's bin, not of the predicted one
        total -= counted[i] * weights[targets[i, r, c].argmax()] * (targets[i, r, c] * log_p).sum()
    np.testing.assert_allclose(
        colour_classes(logits, targets, weights, counted), total / 12, rtol=1e-5
    )
    gradient = jax.grad(colour_classes)(logits, targets, weights, counted)
    assert not np.any(gradient[1])
    assert np.any(gradient[0])


def test_annealed_mean():
    logits = np.array([0.0, 1.0, 0.9], np.float32)
    bins = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    p = np.exp(logits.astype(np.float64) / 0.38)
    np.testing.assert_allclose(
        annealed_mean(logits, bins, temperature=0.38), (p / p.sum()) @ bins, rtol=1e-5
    )
    np.testing.assert_allclose(annealed_mean(logits, bins, temperature=1e-3), [10, 0], atol=1e-4)
