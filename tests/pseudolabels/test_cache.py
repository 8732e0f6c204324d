"""The cache of labels that are made anew, one example at a time beside a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.pseudolabels import cache

SHAPES = jax.ShapeDtypeStruct((2, 4), jnp.int32), jax.ShapeDtypeStruct((2,), jnp.float32)
KEY = jax.random.key(0)


def test_places_fill_as_by_a_loop():
    rng, now = np.random.default_rng(0), cache.empty(6, SHAPES)
    labels: dict[int, tuple] = {}
    for step in range(12):
        index = rng.choice(6, 3)  # one may be there twice
        given = index == 0
        text = np.stack([np.full(2, 1 + i) for i in index])  # shorter than those of the network
        weight = np.full(3, 0.5)
        found, w = cache.learnt(now, index, jnp.asarray(text), jnp.asarray(weight))
        for row, i in enumerate(index):
            want, sure = labels.get(i, ([1 + i, 1 + i, 0, 0], 0.5))
            assert found[row].tolist() == list(want) and w[row] == sure
        key = jax.random.fold_in(KEY, step)
        guess = np.stack([np.full(4, 10 * step + i) for i in index])
        sure = (index != 1) * 0.7  # 1 abstains
        now = cache.renew(now, key, index, (guess, sure), given=jnp.asarray(given), prob=0.5)
        for row, i in enumerate(index):
            drawn = jax.random.bernoulli(jax.random.fold_in(key, int(i)), 0.5)
            if drawn and i != 0:
                labels[i] = guess[row].tolist(), float(i != 1)
    assert len(labels) > 2 and 0 not in labels
    assert np.flatnonzero(now.renewed).tolist() == sorted(labels)


def test_what_cannot_be_renewed():
    now = cache.empty(6, SHAPES)
    for text in (jnp.ones((3, 5), int), jnp.ones(3, int)):
        with pytest.raises(ValueError, match="nothing to renew"):
            cache.learnt(now, np.arange(3), text, jnp.ones(3))
    parts = jax.ShapeDtypeStruct((2, 4), jnp.float32)
    with pytest.raises(ValueError, match="not parts"):
        cache.empty(6, (SHAPES[0], parts))
