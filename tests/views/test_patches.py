"""Tiles, patches around each other, and what hides cues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.views import one_channel, patches, standardize, tiles, without_green

# Each pixel says where it is.
PLACES = jnp.stack(jnp.meshgrid(jnp.arange(12.0), jnp.arange(12.0), indexing="ij"), axis=-1)


def corners(pieces):
    """(top, left) of each piece, after checking that it is a contiguous square."""
    found = np.asarray(pieces)
    size = found.shape[1]
    offset = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1)
    np.testing.assert_array_equal(found, found[:, :1, :1] + offset)
    return found[:, 0, 0]


def test_tiles():
    middle = corners(tiles(PLACES, grid=3, size=2))
    np.testing.assert_array_equal(
        middle, [[1 + 4 * r, 1 + 4 * c] for r in range(3) for c in range(3)]
    )
    seen = set()
    for seed in range(30):
        at = corners(tiles(PLACES, grid=3, size=2, key=jax.random.key(seed)))
        offset = at - 4 * np.stack(np.divmod(np.arange(9), 3), -1)
        assert offset.min() >= 0
        assert offset.max() <= 2
        seen |= set(map(tuple, offset))
    assert len(seen) == 9  # every place in a cell, each tile by itself
    with pytest.raises(ValueError, match="do not fit"):
        tiles(PLACES, grid=3, size=5)


def test_patches():
    np.testing.assert_array_equal(
        corners(patches(PLACES, size=2, gap=1, jitter=1)),
        [[2 + 3 * r, 2 + 3 * c] for r in range(3) for c in range(3)],
    )
    still, moved = [], []
    for seed in range(40):
        key = jax.random.key(seed)
        still.append(corners(patches(PLACES, size=2, gap=1, jitter=0, key=key)))
        moved.append(corners(patches(PLACES, size=2, gap=1, jitter=1, key=key)))
    still, moved = np.stack(still), np.stack(moved)
    grid = 3 * np.stack(np.divmod(np.arange(9), 3), -1)
    np.testing.assert_array_equal(still - still[:, :1], np.broadcast_to(grid, still.shape))
    assert set(still[:, 0].ravel()) == {0, 1, 2, 3, 4}  # the nine lie anywhere
    assert set((moved - still).ravel()) == {-1, 0, 1}
    assert moved.min() == 0
    assert moved.max() == 10
    with pytest.raises(ValueError, match="too small"):
        patches(PLACES, size=4, gap=1, jitter=0)


def test_standardize():
    x = standardize(3 + 2 * np.random.default_rng(0).normal(size=(2, 5, 6, 6, 3)))
    np.testing.assert_allclose(x.mean((-3, -2, -1)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((-3, -2, -1)), 1, atol=1e-4)
    assert not np.any(standardize(np.ones((4, 4, 3), np.float32)))


def test_one_channel():
    x = np.random.default_rng(0).random((6, 6, 3), np.float32)
    kept = set()
    for seed in range(20):
        y = np.asarray(one_channel(jax.random.key(seed), jnp.asarray(x)))
        strong = np.abs(y).max((0, 1)) > 0.01
        assert strong.sum() == 1
        (channel,) = np.flatnonzero(strong)
        np.testing.assert_allclose(
            y[..., channel], x[..., channel] - x[..., channel].mean(), atol=1e-6
        )
        kept.add(int(channel))
    assert kept == {0, 1, 2}
    np.testing.assert_array_equal(one_channel(jax.random.key(0), x[..., :1]), x[..., :1])


def test_without_green():
    """The paper's matrix I - a a^T / |a|^2 with a = (-1, 2, -1); greys stay."""
    x = np.random.default_rng(0).random((4, 4, 3), np.float32)
    a = np.array([-1.0, 2, -1])
    np.testing.assert_allclose(without_green(x), x @ (np.eye(3) - np.outer(a, a) / 6), atol=1e-6)
    grey = np.full((2, 2, 3), 0.3, np.float32)
    np.testing.assert_allclose(without_green(grey), grey, atol=1e-6)
