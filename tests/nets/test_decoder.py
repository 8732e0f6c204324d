"""The decoder sees a set of tokens with places; MAE's start values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import Decoder, ViT

KEY = jax.random.key(0)
MODULE = Decoder(width=8, depth=2, heads=2)
TOKENS = jax.random.normal(jax.random.key(1), (2, 5, 12))
PLACES = jax.random.normal(jax.random.key(2), (2, 5, 8))
WANTED = jax.random.normal(jax.random.key(3), (2, 3, 8))
PARAMS, _ = nets.init(MODULE, KEY, TOKENS, places=PLACES, wanted=WANTED)
APPLY = jax.jit(functools.partial(nets.apply, MODULE, train=True))  # op by op compiles each op


def run(tokens, places, wanted, **inputs):
    inputs |= {"places": places, "wanted": wanted}
    return np.asarray(APPLY(PARAMS, {}, tokens, **inputs)[0])


def test_order_does_not_matter_and_places_do():
    y = run(TOKENS, PLACES, WANTED)
    assert y.shape == (2, 3, 8)
    order = jnp.array([3, 1, 4, 0, 2])
    np.testing.assert_allclose(run(TOKENS[:, order], PLACES[:, order], WANTED), y, atol=1e-5)
    np.testing.assert_allclose(run(TOKENS, PLACES, WANTED[:, ::-1]), y[:, ::-1], atol=1e-5)
    assert np.abs(run(TOKENS, PLACES[:, order], WANTED) - y).max() > 1e-4
    # wanted patches see each other, as in both papers
    assert np.abs(run(TOKENS, PLACES, WANTED[:, :1]) - y[:, :1]).max() > 1e-5


def test_what_only_fills_up_is_not_seen():
    y = run(TOKENS[:, :3], PLACES[:, :3], WANTED[:, :2])
    valid = jnp.array([[True, True, True, False, False, True, True, False]] * 2)
    filled = run(TOKENS.at[:, 3:].set(9.0), PLACES, WANTED, valid=valid)
    np.testing.assert_allclose(filled[:, :2], y, atol=1e-5)
    assert np.abs(run(TOKENS, PLACES, WANTED)[:, :2] - y).max() > 1e-5


def test_refused_heads():
    with pytest.raises(ValueError, match="heads"):
        nets.init(MODULE.clone(heads=3), KEY, TOKENS, places=PLACES, wanted=WANTED)


def test_xavier():
    module = ViT(patch=4, width=96, depth=1, heads=3)
    before, _ = nets.init(module, KEY, jnp.zeros((1, 8, 8, 3)))
    after = nets.xavier(KEY, before)
    block = after["blocks_0"]
    for kernel, inputs, outputs in (
        (after["patch_embed"]["kernel"], 4 * 4 * 3, 96),  # as a linear layer
        (block["attn"]["qkv"]["kernel"], 96, 3 * 96),  # as one layer, not three
        (block["mlp"]["fc2"]["kernel"], 4 * 96, 96),
    ):
        bound = (6 / (inputs + outputs)) ** 0.5
        assert 0.98 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_allclose(np.std(kernel), bound / 3**0.5, rtol=0.03)
    leaves = jax.tree_util.tree_leaves_with_path(before)
    for (path, old), new in zip(leaves, jax.tree.leaves(after), strict=True):
        assert np.array_equal(old, new) == (path[-1].key != "kernel"), path


def test_by_depth():
    """What block l adds, from 1 on, is divided by sqrt(2 l); nothing else changes."""
    module = ViT(patch=4, width=12, depth=2, heads=3)
    before, _ = nets.init(module, KEY, jnp.zeros((1, 8, 8, 3)))
    after = nets.by_depth(before)
    for l in (1, 2):
        for part, layer in (("attn", "proj"), ("mlp", "fc2")):
            old, new = (tree[f"blocks_{l - 1}"][part].pop(layer) for tree in (before, after))
            np.testing.assert_allclose(new["kernel"], old["kernel"] / (2 * l) ** 0.5, rtol=1e-6)
            np.testing.assert_array_equal(new["bias"], old["bias"])
    jax.tree.map(np.testing.assert_array_equal, before, after)
