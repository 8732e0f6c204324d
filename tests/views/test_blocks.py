"""Squares and blocks: counts, shapes, who overlaps whom, and what the batch shares."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.views import block_sizes, hide, jepa_blocks, square_masks

IMAGENET = {
    "grid": (14, 14),
    "targets": 4,
    "target_scale": (0.15, 0.2),
    "target_aspect": (0.75, 1.5),
    "context_scale": (0.85, 1.0),
    "smallest": 10,
    "most": 49,
}


@pytest.fixture(scope="module")
def drawn():
    """Blocks of 32 images for 12 keys."""
    draw = jax.jit(partial(jepa_blocks, images=32, **IMAGENET))
    return [jax.tree.map(np.asarray, draw(jax.random.key(i))) for i in range(12)]


def covered(index, valid, patches=196):
    """Masks [..., N] of the patches that are listed."""
    hits = (index[..., None] == np.arange(patches)) & valid[..., None]
    assert hits.sum(-2).max() <= 1  # no patch twice
    return hits.any(-2)


def test_square_masks():
    masks = np.asarray(square_masks(jax.random.key(0), 8, grid=(6, 8), square=2, ratio=0.6))
    assert masks.shape == (8, 48)
    squares = masks.reshape(8, 3, 2, 4, 2)
    assert (squares == squares[:, :, :1, :, :1]).all()
    np.testing.assert_array_equal(squares[:, :, 0, :, 0].sum((1, 2)), 8)  # ceil(0.6 * 12)
    assert len(np.unique(masks, axis=0)) > 6
    often = square_masks(jax.random.key(1), 4000, grid=(3, 4), square=1, ratio=0.6)
    np.testing.assert_allclose(np.mean(often, axis=0), 8 / 12, atol=0.04)
    with pytest.raises(ValueError, match="do not tile"):
        square_masks(jax.random.key(0), 8, grid=(6, 7), square=2, ratio=0.6)


def test_block_sizes_are_the_authors():
    """One draw for area and aspect: two of them would also give a flat (5, 7), among others."""
    sizes = block_sizes((14, 14), scale=(0.15, 0.2), aspect=(0.75, 1.5))
    assert sorted(set(sizes)) == [(5, 6), (6, 5), (6, 6), (7, 5), (8, 5)]
    assert sizes[0] == (5, 6)
    assert sizes[-1] == (8, 5)
    # a context never fills the grid
    assert set(block_sizes((14, 14), scale=(0.85, 1.0), aspect=(1.0, 1.0))) == {(13, 13)}


def test_targets_are_rectangles_of_one_size_in_places_of_their_own(drawn):
    shapes = set()
    for blocks in drawn:
        masks = covered(blocks.targets, blocks.targets_valid).reshape(128, 14, 14)
        heights, widths = masks.any(2).sum(1), masks.any(1).sum(1)
        shapes.add((heights[0], widths[0]))
        assert (heights == heights[0]).all()
        assert (widths == widths[0]).all()
        np.testing.assert_array_equal(masks.sum((1, 2)), heights * widths)
        assert len(np.unique(masks, axis=0)) > 40
        assert masks[:, -1].any()  # the last row and column are reached
        assert masks[:, :, -1].any()
    assert len(shapes) >= 3
    assert shapes <= {(5, 6), (6, 5), (6, 6), (7, 5), (8, 5)}


def test_contexts_avoid_all_targets(drawn):
    full = 0
    for blocks in drawn:
        assert blocks.context.shape == (32, 49)
        context = covered(blocks.context, blocks.context_valid)
        targets = covered(blocks.targets, blocks.targets_valid).any(1)
        assert not (context & targets).any()
        assert (context.sum(1) > 10).all()
        full += (context.sum(1) == 49).sum()
        # it ends where it is full, and what remains below is dropped
        rows = np.where(blocks.context_valid, blocks.context, -1)
        assert (np.diff(rows[rows[:, -1] >= 0], axis=1) > 0).all()
    assert full > 300  # of 384: about a quarter of the grid is what nearly every context has


def test_a_context_may_overlap_targets_only_where_nothing_else_is_left():
    crowded = IMAGENET | {"grid": (6, 6), "target_scale": (0.3, 0.5), "most": 25}
    blocks = jax.tree.map(np.asarray, jepa_blocks(jax.random.key(0), 64, **crowded))
    context = covered(blocks.context, blocks.context_valid, 36)
    targets = covered(blocks.targets, blocks.targets_valid, 36)
    assert (context.sum(1) > 10).all()
    overlap = (context[:, None] & targets).any(-1)
    assert overlap.any()
    # The last targets give way first: an overlap says that without it, too little was left.
    first = overlap.argmax(1)
    for i in np.flatnonzero(overlap.any(1)):
        free = ~targets[i, : first[i] + 1].any(0)
        best = max(
            free.reshape(6, 6)[top : top + 5, left : left + 5].sum()
            for top in range(2)
            for left in range(2)
        )
        # twenty tries find the best of four places with near certainty
        assert best <= 10, f"image {i} overlaps target {first[i]} although {best} were free"


def test_a_grid_that_is_too_small():
    with pytest.raises(ValueError, match="too small"):
        jepa_blocks(jax.random.key(0), 2, **IMAGENET | {"grid": (4, 4)})


def test_hide():
    images = jnp.ones((2, 4, 6, 3))
    mask = jnp.array([[True, False, False, False, False, True], [False] * 6])
    shown = np.asarray(hide(images, mask, patch=2))
    assert shown[0].sum() == 3 * (24 - 8)
    assert not shown[0, :2, :2].any()
    assert not shown[0, 2:, 4:].any()
    assert shown[1].all()
