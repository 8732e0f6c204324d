"""Histograms of oriented gradients against loops over pixels."""

import jax
import numpy as np
import pytest

from ssljax.nets import HOG, R3D, ConvEncoder, apply, hog, init


def unit(x):
    return x / np.sqrt(np.sum(x * x) + 1e-6)


def naive(image, cell, bins):
    """One image [H, W, C] float64, pixel by pixel."""
    height, width, _ = image.shape
    cells = np.zeros((height // cell, width // cell, bins))
    for i in range(height):
        for j in range(width):
            up, low = image[max(i - 1, 0), j], image[min(i + 1, height - 1), j]
            left, right = image[i, max(j - 1, 0)], image[i, min(j + 1, width - 1)]
            c = np.argmax((low - up) ** 2 + (right - left) ** 2)
            dy, dx = (low - up)[c], (right - left)[c]
            at = np.degrees(np.arctan2(dy, dx)) % 180 / 180 * bins
            below = int(at)
            share = at - below
            length = np.sqrt(dx * dx + dy * dy)
            cells[i // cell, j // cell, below % bins] += length * (1 - share)
            cells[i // cell, j // cell, (below + 1) % bins] += length * share
    rows = []
    for i in range(cells.shape[0] - 1):
        for j in range(cells.shape[1] - 1):
            four = cells[i, j], cells[i, j + 1], cells[i + 1, j], cells[i + 1, j + 1]
            rows.append(unit(np.minimum(unit(np.concatenate(four)), 0.2)))
    return np.stack(rows).reshape(cells.shape[0] - 1, cells.shape[1] - 1, 4 * bins)


@pytest.mark.parametrize(("cell", "bins"), [(4, 9), (2, 6)])
def test_hog_equals_loops(cell, bins):
    images = np.random.default_rng(0).normal(size=(3, 8, 12, 3))
    expected = np.stack([naive(x, cell, bins) for x in images])
    found = hog(images.astype(np.float32), cell=cell, bins=bins)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_light_and_contrast_change_nothing():
    x = np.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(hog(3 * x - 2), hog(x), atol=1e-4)
    flat = hog(np.full((1, 8, 8, 1), 0.5, np.float32))
    assert not np.any(flat)


def test_a_body_learns_from_it():
    x = np.random.default_rng(2).normal(size=(2, 16, 16, 3)).astype(np.float32)
    net = HOG(body=ConvEncoder(widths=(5,)))
    params, stats = init(net, jax.random.key(0), x)
    y, _ = apply(net, params, stats, x, train=False)
    assert y.shape == (2, 3 * 3 * 5)
    clips = np.stack([x, x[::-1]], axis=1)
    net = HOG(body=R3D(depth=10, width=2), cell=2)
    params, stats = init(net, jax.random.key(0), clips)
    y, _ = apply(net, params, stats, clips, train=False)
    frames = np.stack([hog(clips[:, t], cell=2) for t in range(2)], axis=1)
    body, _ = apply(net.body, params["body"], stats["body"], frames, train=False)
    np.testing.assert_allclose(y, body, atol=1e-6)
    row, _ = apply(HOG(), {}, {}, x, train=False)
    np.testing.assert_array_equal(row, np.asarray(hog(x)).reshape(2, -1))


def test_other_input_is_refused():
    with pytest.raises(ValueError, match="cells of 4"):
        hog(np.zeros((1, 8, 10, 3), np.float32))
    with pytest.raises(ValueError, match="two cells"):
        hog(np.zeros((1, 8, 4, 3), np.float32))
    with pytest.raises(ValueError, match="divide by 255"):
        hog(np.zeros((1, 8, 8, 3), np.uint8))
