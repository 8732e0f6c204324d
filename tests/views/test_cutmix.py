"""Rectangles of CutMix, and what they cut."""

import jax
import numpy as np

from ssljax.views import cut_boxes, cut_in


def test_boxes_are_rectangles_of_such_areas_and_shapes():
    boxes = np.asarray(cut_boxes(jax.random.key(0), (600, 40, 60), p=0.7))
    drawn = boxes[boxes.any((1, 2))]
    assert 0.6 < len(drawn) / 600 < 0.8
    heights, widths = drawn.any(2).sum(1), drawn.any(1).sum(1)
    np.testing.assert_array_equal(drawn.sum((1, 2)), heights * widths)  # nothing is missing
    share = heights * widths / 2400
    assert 0.01 < share.min() < 0.05 and 0.35 < share.max() <= 0.4
    free = (heights < 40) & (widths < 60)
    form = heights[free] / widths[free]
    assert 0.2 < form.min() < 0.5 and 2.5 < form.max() < 4
    inside = drawn.mean(0)  # most often in the middle, and at every side
    assert 0.25 < inside[20, 30] < 0.5
    for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
        assert 0.002 < side.mean() < 0.15
    assert not np.asarray(cut_boxes(jax.random.key(0), (9, 8, 8), p=0.0)).any()


def test_the_same_box_cuts_pictures_and_labels():
    boxes = np.asarray(cut_boxes(jax.random.key(1), (5, 8, 8), p=1.0))
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(5, 8, 8, 3)), rng.integers(0, 9, (5, 8, 8))):
        want = x.copy()
        for i, row, column in np.ndindex(boxes.shape):
            if boxes[i, row, column]:
                want[i, row, column] = x[i - 1, row, column]
        np.testing.assert_array_equal(cut_in(boxes, x.astype(np.float32)), want.astype(np.float32))
