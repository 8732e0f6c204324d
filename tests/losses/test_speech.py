"""wav2vec 2.0 and HuBERT against loops in double precision, and what collapse looks like."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.language import weighted_mean
from ssljax.losses.speech import (
    cluster_prediction,
    code_shares,
    contrastive,
    diversity,
    draw_negatives,
    feature_penalty,
    perplexity,
    regress_frames,
    time_targets,
)

rng = np.random.default_rng(0)
B, P, D, N = 3, 6, 5, 4
COUNTS = (6, 4, 1)
WEIGHT = (np.arange(P) < np.array(COUNTS)[:, None]).astype(np.float32)


def cos(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def negatives_of(seed, count):
    keys = jax.random.split(jax.random.key(seed), B)
    return jax.vmap(lambda key, weight: draw_negatives(key, weight, count))(keys, WEIGHT)


def test_negatives_are_other_hidden_frames_of_the_recording():
    drawn = np.asarray(negatives_of(0, 2000))
    for row, n in zip(drawn, COUNTS):
        for place in range(n if n > 1 else 0):
            share = np.bincount(row[place], minlength=n) / 2000
            assert share[place] == 0 and len(share) == n
            np.testing.assert_allclose(np.delete(share, place), 1 / (n - 1), atol=0.05)


def test_contrastive_equals_a_loop():
    c, q = rng.normal(size=(2, B, P, D)).astype(np.float32)
    codes = rng.integers(0, 2, (B, P, 2))
    q = np.where(codes[..., :1] > 0, q, q[:, :1])
    negatives = np.asarray(negatives_of(1, N))
    nll, right, weight = jax.jit(contrastive)(c, q, codes, WEIGHT, negatives)
    np.testing.assert_array_equal(weight.sum(1), [6, 4, 0])  # one hidden frame: nothing to tell
    for b in range(2):
        for t in range(COUNTS[b]):
            scores = [cos(c[b, t].astype(float), q[b, t].astype(float)) / 0.1]
            for j in negatives[b, t]:
                if (codes[b, j] != codes[b, t]).any():
                    scores.append(cos(c[b, t].astype(float), q[b, j].astype(float)) / 0.1)
            want = np.log(np.sum(np.exp(scores))) - scores[0]
            np.testing.assert_allclose(nll[b, t], want, rtol=1e-5, atol=1e-5)
            best = len(scores) > 1 and scores[0] > max(scores[1:])
            assert right[b, t] == best


@pytest.mark.turns
def test_collapse_costs_nothing_and_is_no_success():
    """One code for all frames: no negative is left, the loss is 0, and so is the accuracy."""
    same = np.ones((B, P, D), np.float32)
    negatives = negatives_of(1, N)

    def value(c):
        nll, right, weight = contrastive(c, same, np.zeros((B, P, 2), int), WEIGHT, negatives)
        return weighted_mean(nll, weight), weighted_mean(right, weight)

    (loss, right), grads = jax.value_and_grad(value, has_aux=True)(same)
    assert loss == 0 and right == 0 and not grads.any()


@pytest.mark.parametrize("v", [4, 320])
def test_diversity_of_even_codes_and_of_one_code(v):
    even = jnp.full((2, v), 1 / v)
    np.testing.assert_allclose(diversity(even), 0, atol=1e-4)
    one = jnp.zeros((2, v)).at[:, 1].set(1.0)
    np.testing.assert_allclose(diversity(one), 1 - 1 / v, atol=1e-6)  # 0.9969 for 320
    np.testing.assert_allclose(perplexity(one), 2.0, rtol=1e-5)
    # Each frame sure of its code, all codes in use: that is what is wanted.
    sure = 50 * jax.nn.one_hot(jnp.arange(v)[None, :, None].repeat(2, 2), v)
    np.testing.assert_allclose(diversity(code_shares(sure, jnp.ones((1, v)))), 0, atol=1e-4)


def test_shares_and_diversity_equal_a_loop_over_the_hidden_frames():
    logits = rng.normal(size=(B, P, 2, 5)).astype(np.float32)
    total = np.zeros((2, 5))
    for b in range(B):
        for t in range(COUNTS[b]):
            e = np.exp(logits[b, t].astype(float))
            total += e / e.sum(1, keepdims=True)
    p = total / sum(COUNTS)
    shares = code_shares(logits, WEIGHT)
    np.testing.assert_allclose(shares, p, rtol=1e-5)
    want = (10 - np.exp(-(p * np.log(p + 1e-7)).sum(1)).sum()) / 10
    np.testing.assert_allclose(diversity(shares), want, rtol=1e-5, atol=1e-6)


def test_penalty_is_the_mean_over_real_frames():
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    real = np.array([[1, 1, 0], [1, 0, 0]], bool)
    np.testing.assert_allclose(feature_penalty(x, real), np.mean(x[real] ** 2), rtol=1e-6)


def test_cluster_prediction_equals_a_loop():
    c = rng.normal(size=(B, P, D)).astype(np.float32)
    e = rng.normal(size=(7, D)).astype(np.float32)
    target = rng.integers(0, 7, (B, P))
    nll, right = cluster_prediction(c, e, target)
    for b in range(B):
        for t in range(P):
            s = np.array([cos(c[b, t].astype(float), k.astype(float)) / 0.1 for k in e])
            want = np.log(np.exp(s).sum()) - s[target[b, t]]
            np.testing.assert_allclose(nll[b, t], want, rtol=1e-5, atol=1e-5)
            assert right[b, t] == (s.argmax() == target[b, t])


def test_targets_of_data2vec_have_mean_0_over_time_in_every_channel():
    layers = rng.normal(2.0, 3.0, size=(2, 2, 7, 4)).astype(np.float32)
    real = np.arange(7) < np.array([[7], [5]])
    y = np.asarray(time_targets(layers, real))
    for b, n in enumerate((7, 5)):
        parts = layers[:, b, :n].astype(float)
        parts = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(y[b, :n], parts.mean(0), atol=1e-5)
        np.testing.assert_allclose(y[b, :n].mean(0), 0, atol=1e-5)
        assert (y[b, :n].std(0) < 0.99).any()  # not normalised once more


def test_regression_equals_a_loop_and_tells_collapse():
    x, y = rng.normal(size=(2, B, P, D)).astype(np.float32)
    rows = [(b, t) for b in range(B) for t in range(COUNTS[b])]
    want = np.mean([np.sum((x[r].astype(float) - y[r]) ** 2) / np.sqrt(D) for r in rows])
    value, (spread, _) = regress_frames(x, y, WEIGHT)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(spread, np.std([x[r] for r in rows], axis=0).mean(), rtol=1e-5)
    same = np.where(WEIGHT[..., None] > 0, 1.5, x)
    np.testing.assert_allclose(regress_frames(same, y, WEIGHT)[1][0], 0, atol=1e-6)
