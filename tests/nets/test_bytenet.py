"""ByteNet equals loops over tokens in float64, sees its neighbourhood alone, and learns as BERT."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.methods import BERT
from ssljax.nets import ByteNet, apply, init

NET = ByteNet(vocab=11, width=6, depth=3, kernel=3, dilations=2)
TOKENS = np.array([[2, 5, 6, 7, 3, 0, 0], [2, 8, 9, 10, 5, 6, 3]], np.int32)
ROWS = {"tokens": TOKENS, "segments": (TOKENS > 0).astype(np.int32)}


@pytest.fixture(scope="module")
def params():
    params, _ = jax.jit(lambda key: init(NET, key, ROWS))(jax.random.key(0))
    # norms and biases other than at their start, so that none of them could be left out
    leaves, tree = jax.tree.flatten(jax.device_get(params))
    rng = np.random.default_rng(0)
    return tree.unflatten([x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves])


def ready(h, p):
    mean = h.mean(-1, keepdims=True)
    h = (h - mean) / np.sqrt(((h - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
    h = h * p["scale"] + p["bias"]
    return 0.5 * h * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))


def test_tokens_are_those_of_loops(params):
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    h = p["embeddings"]["word_embeddings"]["embedding"][TOKENS]
    for i, dilation in enumerate((1, 2, 1)):
        b = p[f"block_{i}"]
        y = ready(ready(h, b["norm1"]) @ b["down"]["kernel"] + b["down"]["bias"], b["norm2"])
        y = y * (TOKENS > 0)[..., None]
        out = np.zeros_like(y) + b["conv"]["bias"]
        for at in range(TOKENS.shape[1]):
            for k in range(3):
                source = at + (k - 1) * dilation
                if 0 <= source < TOKENS.shape[1]:
                    out[:, at] += y[:, source] @ b["conv"]["kernel"][k]
        h = h + ready(out, b["norm3"]) @ b["up"]["kernel"] + b["up"]["bias"]
    mean = h.mean(-1, keepdims=True)
    h = (h - mean) / np.sqrt(((h - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
    h = h * p["norm"]["scale"] + p["norm"]["bias"]
    found, _ = jax.jit(lambda p: apply(NET, p, {}, ROWS, train=False, method="tokens"))(params)
    np.testing.assert_allclose(found, h, rtol=1e-5, atol=1e-5)
    features, _ = apply(NET, params, {}, ROWS, train=False)
    np.testing.assert_allclose(features[0], h[0, :5].mean(0), rtol=1e-5, atol=1e-5)


def test_padding_and_far_tokens_change_nothing(params):
    see = jax.jit(lambda x: apply(NET, params, {}, x, train=False, method="tokens")[0])
    first = see(ROWS)
    other = ROWS | {"tokens": np.where(TOKENS == 0, 4, TOKENS)}
    np.testing.assert_array_equal(first[0, :5], see(other)[0, :5])
    last = see(ROWS | {"tokens": TOKENS[:, [0, 1, 2, 3, 4, 5, 4]] * 1})
    # one place to each side in blocks of dilation 1, two in that of dilation 2: four in all
    np.testing.assert_array_equal(first[1, :2], last[1, :2])
    assert np.abs(first[1, 2:] - last[1, 2:]).max(-1).min() > 0


def test_bert_trains_it_and_wrong_input_is_named():
    method = BERT(encoder=NET).build(optax.adam(3e-2), updates=30)
    state = jax.jit(method.init)(jax.random.key(0), ROWS)
    step, losses = jax.jit(method.step), []
    for i in range(30):
        state, metrics = step(state, ROWS, jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.3
    with pytest.raises(ValueError, match="odd number"):
        init(NET.clone(kernel=4), jax.random.key(0), ROWS)
    with pytest.raises(ValueError, match="integer tokens"):
        init(NET, jax.random.key(0), {"tokens": jnp.zeros((2, 3))})
