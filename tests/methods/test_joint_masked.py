"""The joint masked model: what is hidden stays hidden, and each kind of input helps the other."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_pairs import CASES, captioned
from laws import VIEW

from ssljax.losses.masked import patchify

METHOD = CASES["joint_masked"].method
BATCH = captioned(4)
KEY = jax.random.key(0)
X = VIEW.plain(jnp.asarray(BATCH["image"]))
HIDDEN = np.array([[True, True, True, False]] * 4)


@pytest.fixture(scope="module")
def run():
    params, _ = METHOD.init(KEY, BATCH)
    # The class token and all else start near zero, where one thing hardly depends on another.
    params["encoder"] = jax.tree.map(lambda p: 10 * p if p.ndim > 1 else p, params["encoder"])

    @jax.jit
    def predict(x, tokens):
        rows = BATCH | {"tokens": tokens}
        return METHOD._predict(params, x, HIDDEN, rows, jax.random.split(KEY, 4))

    return params, predict


def test_hidden_pixels_do_not_leak_and_seen_ones_help_the_words(run):
    _, predict = run
    patches = patchify(X, 4)
    noise = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    below = jnp.arange(8)[:, None] >= 4
    seen = below & below.T  # the last of four patches
    drawn, logits, *_ = predict(X, BATCH["tokens"])
    assert drawn.shape == patches.shape
    for other, changes in ((jnp.where(seen[..., None], X, noise), False), (noise, True)):
        drawn_too, logits_too, *_ = predict(other, BATCH["tokens"])
        assert bool(jnp.allclose(drawn, drawn_too, atol=1e-5)) is not changes
        assert bool(jnp.allclose(logits, logits_too, atol=1e-5)) is not changes


def test_hidden_words_do_not_leak_and_seen_ones_help_to_draw(run):
    _, predict = run
    drawn, logits, target, weight = predict(X, BATCH["tokens"])
    able = (BATCH["segments"] > 0) & (BATCH["tokens"] > 3)
    expected = [max(1, round(0.75 * n)) if n else 0 for n in able.sum(1)]
    assert weight.sum(1).tolist() == expected
    row = int(np.argmax((able.sum(1) > weight.sum(1)).astype(int)))
    seen = sorted(
        set(BATCH["tokens"][row][able[row]]) - set(np.asarray(target)[row][weight[row] > 0])
    )
    swapped = BATCH["tokens"].copy()
    swapped[row][swapped[row] == seen[0]] = 5 if seen[0] != 5 else 6
    other = predict(X, swapped)
    assert not np.allclose(drawn[row], other[0][row], atol=1e-5)
    hidden = BATCH["tokens"].copy()
    first = np.asarray(target)[row][0]
    hidden[row][(hidden[row] == first) & able[row]] = 7 if first != 7 else 8
    other = predict(X, hidden)
    np.testing.assert_allclose(drawn[row], other[0][row], atol=1e-5)
    np.testing.assert_allclose(logits[row], other[1][row], atol=1e-5)


def test_jointmasked_reference(run):
    params, _ = run
    method = METHOD
    key_view, key_patch, key_text = jax.random.split(KEY, 3)
    value, (_, metrics) = method.loss(params, {"stats": {"encoder": {}}}, BATCH, KEY)
    x = jax.vmap(VIEW)(
        jnp.stack([jax.random.fold_in(key_view, i) for i in range(4)]), BATCH["image"]
    )
    hidden = method._hidden(key_patch, x)
    assert hidden.sum(1).tolist() == [3] * 4
    keys = jax.random.split(key_text, 4)
    drawn, logits, target, weight = method._predict(params, x, hidden, BATCH, keys)
    drawn, logits, truth = (np.asarray(a, np.float64) for a in (drawn, logits, patchify(x, 4)))
    image = [
        ((drawn[i, j] - truth[i, j]) ** 2).mean()
        for i in range(4)
        for j in range(4)
        if hidden[i, j]
    ]
    words = []
    for i in range(4):
        for j in range(logits.shape[1]):
            if weight[i, j]:
                z = logits[i, j]
                words.append(math.log(np.exp(z).sum()) - z[target[i, j]])
    assert float(value) == pytest.approx(np.mean(image) + 0.1 * np.mean(words), rel=1e-5)
    assert float(metrics["text_loss"]) == pytest.approx(np.mean(words), rel=1e-5)


def test_an_image_alone_has_features():
    method = METHOD
    params, stats = method.init(KEY, BATCH)
    with pytest.raises(ValueError, match="an image, tokens, or both"):
        method.encoder.apply({"params": params["encoder"]}, {})
    alone = method.encoder.apply({"params": params["encoder"]}, X)
    named = method.encoder.apply({"params": params["encoder"]}, {"image": X})
    np.testing.assert_array_equal(alone, named)
    assert alone.shape == (4, 12) and stats == {"stats": {"encoder": {}}}
