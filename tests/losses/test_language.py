"""Losses on tokens against loops in float64 and torch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.language import (
    count_tokens,
    replaced_bce,
    row_sums,
    token_nll,
    unigram,
    weighted_mean,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 5, 7)) * 3
TARGET = RNG.integers(0, 7, (2, 5))
WEIGHT = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 1, 1.0]])


def loop():
    nll = np.zeros((2, 5))
    for b in range(2):
        for t in range(5):
            z = LOGITS[b, t]
            nll[b, t] = math.log(sum(math.exp(v) for v in z)) - z[TARGET[b, t]]
    return nll


def test_token_nll_agrees_with_a_loop_and_torch():
    ours = token_nll(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(TARGET))
    np.testing.assert_allclose(ours, loop(), rtol=1e-5, atol=1e-6)
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS[WEIGHT > 0]), torch.tensor(TARGET[WEIGHT > 0])
    )
    np.testing.assert_allclose(weighted_mean(ours, jnp.asarray(WEIGHT)), theirs, rtol=1e-6)
    assert token_nll(jnp.zeros((1, 7), jnp.bfloat16), jnp.zeros(1, int)).dtype == jnp.float32


def test_one_ratio_for_the_batch_and_nothing_chosen_gives_zero():
    nll = jnp.asarray(loop())
    sums, counts = row_sums(nll, jnp.asarray(WEIGHT))
    np.testing.assert_allclose(sums.sum() / counts.sum(), weighted_mean(nll, jnp.asarray(WEIGHT)))
    rows = sums / counts
    assert abs(rows.mean() - sums.sum() / counts.sum()) > 1e-3  # a mean of means is another number
    assert weighted_mean(nll, jnp.zeros((2, 5))) == 0
    grad = jax.grad(lambda z: weighted_mean(token_nll(z, jnp.asarray(TARGET)), jnp.asarray(WEIGHT)))
    g = grad(jnp.asarray(LOGITS, jnp.float32))
    assert not g[WEIGHT == 0].any() and g[WEIGHT > 0].any()


def test_replaced_bce_agrees_with_torch():
    torch = pytest.importorskip("torch")
    logits, replaced = RNG.normal(size=(2, 5)) * 4, RNG.random((2, 5)) < 0.3
    ours = replaced_bce(
        jnp.asarray(logits, jnp.float32), jnp.asarray(replaced), jnp.asarray(WEIGHT, jnp.float32)
    )
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(replaced, dtype=torch.float64), reduction="none"
    ).numpy()
    np.testing.assert_allclose(ours, (theirs * WEIGHT).sum() / WEIGHT.sum(), rtol=1e-6)


def test_the_unigram_floor_is_the_entropy_of_the_text():
    p = np.array([0.5, 0.25, 0.125, 0.125])
    text = np.repeat([0, 1, 2, 3], (p * 4000).astype(int))
    counts = count_tokens(jnp.zeros(4), jnp.asarray(text), jnp.ones(4000))
    nll, right = unigram(counts, jnp.asarray(text))
    np.testing.assert_allclose(nll.mean(), -(p * np.log(p)).sum(), rtol=1e-4)
    assert right.mean() == 0.5
    nll, _ = unigram(jnp.zeros(4), jnp.asarray(text))  # nothing seen yet: uniform
    np.testing.assert_allclose(nll, math.log(4), rtol=1e-6)
    ignored = count_tokens(counts, jnp.zeros(5, int), jnp.zeros(5), decay=1.0)
    np.testing.assert_array_equal(ignored, counts)
