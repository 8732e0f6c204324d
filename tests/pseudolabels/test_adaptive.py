"""Adaptive thresholds and alignment against loops in float64 that keep their own state."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.pseudolabels.adaptive import (
    adamatch,
    fixed,
    flexmatch,
    flexmatch_start,
    freematch,
    freematch_start,
    softmatch,
    softmatch_start,
)
from ssljax.pseudolabels.alignment import align, alignment_start

K, B, N, STEPS = 4, 12, 30, 6


def predictions(steps=STEPS, rows=B, seed=0):
    """Confident enough that every threshold divides them, with classes of unequal frequency."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(steps, rows, K)) * 3 + np.array([1.5, 0.5, 0, -0.5])
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


def test_fixed():
    p = predictions()[0]
    expected = [float(max(row) >= 0.8) for row in p]
    assert 0 < sum(expected) < B
    np.testing.assert_array_equal(fixed(p, threshold=0.8), expected)


@pytest.mark.parametrize("warmup", [True, False])
def test_flexmatch(warmup):
    """Masks with the counts of the steps before, then marks what passes the full threshold."""
    rng, state, step = (
        np.random.default_rng(1),
        flexmatch_start(N),
        jax.jit(flexmatch, static_argnames=("threshold", "warmup")),
    )
    mine, seen = [-1] * N, set()
    for p in predictions(8):
        index = rng.permutation(N)[:B]
        counts = Counter(mine)
        most = max(n for k, n in counts.items() if warmup or k >= 0) if set(mine) != {-1} else N
        expected = []
        for row in p.astype(np.float64):
            beta = counts[int(row.argmax())] / most
            expected.append(float(row.max() >= 0.9 * beta / (2 - beta)))
        for i, row in zip(index, p.astype(np.float64), strict=True):
            if row.max() >= 0.9:
                mine[i] = int(row.argmax())
        weight, state = step(p, index, state, threshold=0.9, warmup=warmup)
        np.testing.assert_array_equal(weight, expected)
        np.testing.assert_array_equal(state, mine)
        seen |= set(expected)
    assert seen == {0.0, 1.0}


def test_flexmatch_begins_with_all_examples():
    weight, _ = flexmatch(predictions()[0], np.arange(B), flexmatch_start(N))
    np.testing.assert_array_equal(weight, 1)


def test_freematch():
    """The batch counts before it is judged."""
    state, decay = freematch_start(K), 0.9
    threshold, prior, histogram = 1 / K, np.full(K, 1 / K), np.full(K, 1 / K)
    total = 0
    for p in predictions():
        q = p.astype(np.float64)
        threshold = decay * threshold + (1 - decay) * q.max(1).mean()
        prior = decay * prior + (1 - decay) * q.mean(0)
        histogram = decay * histogram + (1 - decay) * np.bincount(q.argmax(1), minlength=K) / B
        limits = threshold * prior / prior.max()
        expected = [float(row.max() >= limits[row.argmax()]) for row in q]
        weight, state = freematch(p, state, decay=decay)
        np.testing.assert_array_equal(weight, expected)
        np.testing.assert_allclose(state.threshold, threshold, rtol=1e-6)
        np.testing.assert_allclose(state.prior, prior, rtol=1e-5)
        np.testing.assert_allclose(state.histogram, histogram, rtol=1e-5)
        total += sum(expected)
    assert 0 < total < STEPS * B


def test_softmatch():
    state, decay = softmatch_start(K), 0.5
    mean, variance = 1 / K, 1.0
    for p in predictions():
        m = p.astype(np.float64).max(1)
        mean = decay * mean + (1 - decay) * m.mean()
        variance = decay * variance + (1 - decay) * ((m - m.mean()) ** 2).sum() / (B - 1)
        expected = [
            1.0 if x >= mean else np.exp(-((x - mean) ** 2) / (2 * variance / 2**2)) for x in m
        ]
        weight, state = softmatch(p, state, decay=decay)
        np.testing.assert_allclose(weight, expected, rtol=1e-5)
        np.testing.assert_allclose(state, (mean, variance), rtol=1e-5)
    assert min(expected) < 0.9


def test_softmatch_of_equal_predictions_and_of_one():
    """No variance is no reason for NaN, and one example has none at all."""
    state = softmatch_start(K)
    for _ in range(3):
        weight, state = softmatch(jnp.full((3, K), 1 / K), state, decay=0.0)
    np.testing.assert_array_equal(weight, 1)
    with pytest.raises(ValueError, match="two unlabelled examples"):
        softmatch(predictions()[0][:1], state)


def test_adamatch():
    p, labelled = predictions()[0], predictions(rows=5, seed=2)[0]
    limit = 0.95 * np.mean([max(row) for row in labelled.astype(np.float64)])
    expected = [float(max(row) >= limit) for row in p]
    assert 0 < sum(expected) < B
    np.testing.assert_array_equal(adamatch(p, labelled), expected)


@pytest.mark.parametrize("with_labels", [True, False])
def test_alignment(with_labels):
    """As USB: the average on the pool begins with its first batch, the target at its start; both
    count a batch before they align it."""
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    state, decay = alignment_start(K, prior=prior), 0.7
    model, target = None, prior
    for p, labelled in zip(predictions(), predictions(rows=5, seed=2), strict=True):
        q = p.astype(np.float64)
        model = q.mean(0) if model is None else decay * model + (1 - decay) * q.mean(0)
        if with_labels:
            mean = labelled.astype(np.float64).mean(0)
            target = decay * target + (1 - decay) * mean
        expected = q * (target + 1e-6) / (model + 1e-6)
        expected /= expected.sum(1, keepdims=True)
        aligned, state = align(p, state, labelled=labelled if with_labels else None, decay=decay)
        np.testing.assert_allclose(aligned, expected, rtol=1e-5)
    np.testing.assert_allclose(state.target, target, rtol=1e-5)


def test_no_gradient_flows():
    def total(p):
        q, _ = align(p, alignment_start(K))
        weights = [fixed(q), freematch(q, freematch_start(K))[0]]
        return jnp.sum(softmatch(q, softmatch_start(K))[0]) + sum(map(jnp.sum, weights))

    np.testing.assert_array_equal(jax.grad(total)(predictions()[0]), 0)


def test_a_prior_must_fit():
    with pytest.raises(ValueError, match="sum to one"):
        alignment_start(3, prior=np.array([0.5, 0.6, 0.1]))
