"""Masks of patches: shapes, sizes, shares and independence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.views import block_mask, block_masks, hidden_first, random_keep, spread_counts

KEY = jax.random.key(0)


def test_blocks_hide_as_many_as_asked_or_fewer():
    counts = jnp.array([0, 4, 20, 49, 98, 98])
    run = jax.jit(lambda k: block_masks(k, counts, grid=(14, 14), smallest=4))
    masks = np.array([run(jax.random.key(i)) for i in range(20)])
    assert masks.shape == (20, 6, 196)
    hidden = masks.sum(-1)
    assert (hidden <= counts).all()
    assert (hidden[:, 0] == 0).all()
    assert (hidden[:, 2:].mean(0) > 0.9 * counts[2:]).all()
    assert (masks[0, 4] != masks[0, 5]).any()
    # they are blocks: most hidden patches have a hidden neighbour to the right or left
    grid = masks[:, 4].reshape(20, 14, 14)
    assert (grid[:, :, 1:] & grid[:, :, :-1]).sum() > 0.6 * grid.sum()
    # and every place is hidden at times
    assert grid.any(0).mean() > 0.95


def test_a_single_block_is_a_rectangle_of_the_right_size():
    """The first block of a mask: its area near the uniform draw, its sides not too unequal."""
    run = jax.jit(jax.vmap(lambda k: block_mask(k, jnp.float32(16), grid=(14, 14), smallest=16)))
    masks = np.array(run(jax.random.split(KEY, 64))).reshape(-1, 14, 14)
    whole = [m for m in masks if 14 <= m.sum() <= 16 and m[np.ix_(m.any(1), m.any(0))].all()]
    assert len(whole) > 16
    aspects = [m.any(1).sum() / m.any(0).sum() for m in whole]
    assert 0.25 <= min(aspects) < 0.7 < 1.4 < max(aspects) <= 4


def test_blocks_that_never_fit_end():
    """A grid of one patch has no block that is smaller than it."""
    assert not block_mask(KEY, jnp.int32(1), grid=(1, 1), smallest=1).any()


def test_counts_are_spread_over_a_share_of_the_images():
    counts = np.array(spread_counts(KEY, 40, patches=196, share=0.5, ratio=(0.1, 0.5)))
    assert (counts > 0).sum() == 20
    hidden = np.sort(counts[counts > 0])
    bounds = np.floor(196 * np.linspace(0.1, 0.5, 21))
    assert (hidden >= bounds[:-1]).all()
    assert (hidden <= bounds[1:]).all()
    assert (counts[:20] > 0).sum() not in (0, 20)  # in random order
    assert not spread_counts(KEY, 8, patches=4, share=0.0, ratio=(0.1, 0.5)).any()


def test_hidden_first():
    mask = jnp.array([[False, True, False, True], [False] * 4, [True, False, False, False]])
    index, hidden = hidden_first(mask, 2)
    np.testing.assert_array_equal(hidden, [[True, True], [False, False], [True, False]])
    np.testing.assert_array_equal(index[0], [1, 3])
    assert int(index[2, 0]) == 0
    assert len(set(index[2].tolist())) == 2


@pytest.mark.parametrize("keep", [1, 6])
def test_random_keep(keep):
    kept = np.array(random_keep(KEY, 50, patches=6, keep=keep))
    assert kept.shape == (50, keep)
    assert all(len(set(row)) == keep for row in kept)
    assert set(kept.ravel()) == set(range(6))
    assert (kept[0] != kept[1:]).any()
