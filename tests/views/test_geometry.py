"""Resampling, blur and crops against torch, PIL and a plain version of the rejection rule."""

import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ssljax import views

SHAPES = [((8, 8), 8), ((32, 32), 13), ((17, 31), 24), ((5, 9), 20), ((40, 11), 7), ((1, 3), 4)]


def pixels(shape=(9, 7, 3), seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def planes(torch, x):
    return torch.from_numpy(np.moveaxis(x, -1, 0)[None].copy())


def torch_resize(x, size):
    torch = pytest.importorskip("torch")
    out = torch.nn.functional.interpolate(
        planes(torch, x), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return np.moveaxis(out[0].numpy(), 0, -1)


@pytest.mark.turns
@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_matches_torch(shape, size, channels):
    x = pixels((*shape, channels))
    got = views.resize(jnp.asarray(x), size=size)
    np.testing.assert_allclose(got, torch_resize(x, size), atol=1e-5)
    both = views.resize(jnp.asarray(np.stack([x, x[::-1]])), size=size)  # leading axes
    np.testing.assert_allclose(both[1], torch_resize(x[::-1], size), atol=1e-5)


@pytest.mark.parametrize("box", [(0, 0, 23, 19), (3, 5, 11, 7), (22, 0, 1, 19), (4, 18, 9, 1)])
@pytest.mark.parametrize("size", [6, 16])
def test_crop_and_resize_sees_the_box_only(box, size):
    x = pixels((23, 19, 3))
    top, left, h, w = box
    want = torch_resize(x[top : top + h, left : left + w], size)
    got = jax.jit(lambda x, box: views.crop_and_resize(x, box, size=size))(x, box)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_crop_and_resize_matches_pil():
    x = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    got = views.crop_and_resize(jnp.asarray(x), (4, 6, 31, 22), size=12)
    crop = Image.fromarray(x).crop((6, 4, 28, 35))
    want = np.asarray(crop.resize((12, 12), Image.Resampling.BILINEAR)) / 255.0
    np.testing.assert_allclose(got, want, atol=1.5 / 255)


def rejection_rule(rng, height, width, scale, ratio):
    """torchvision's rule, one try after the other, as plain Python."""
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, height - h), rng.randint(0, width - w), h, w
    w, h = width, height
    if width / height < ratio[0]:
        h = round(w / ratio[0])
    elif width / height > ratio[1]:
        w = round(h * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def ks_distance(a, b):
    at = np.sort(np.concatenate([a, b]))
    ranks = [np.searchsorted(np.sort(c), at, side="right") / len(c) for c in (a, b)]
    return np.abs(ranks[0] - ranks[1]).max()


@pytest.mark.parametrize(
    ("shape", "scale", "ratio"),
    [
        ((32, 32), (0.08, 1.0), (3 / 4, 4 / 3)),
        ((48, 96), (0.4, 1.0), (3 / 4, 4 / 3)),  # often does not fit at first
        ((20, 100), (0.9, 1.0), (3 / 4, 4 / 3)),  # never fits
        ((90, 30), (0.05, 0.4), (1.0, 2.0)),
    ],
)
def test_crops_are_distributed_as_the_rejection_rule(shape, scale, ratio):
    n = 4000
    sample = jax.jit(
        jax.vmap(lambda k: views.sample_crop(k, (*shape, 3), scale=scale, ratio=ratio))
    )
    got = np.stack(sample(jax.random.split(jax.random.key(0), n)), axis=1)
    rng = random.Random(0)
    want = np.array([rejection_rule(rng, *shape, scale, ratio) for _ in range(n)])
    top, left, h, w = got.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (h > 0).all()
    assert (w > 0).all()
    assert (top + h <= shape[0]).all()
    assert (left + w <= shape[1]).all()
    quantities = [lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 3] / b[:, 2]]
    quantities += [lambda b, i=i: b[:, i] for i in range(4)]
    for quantity in quantities:  # two-sample Kolmogorov-Smirnov at the 0.001 level
        assert ks_distance(quantity(got), quantity(want)) < 1.95 * math.sqrt(2 / n)


def test_fallback_of_the_crop():
    ratio = (3 / 4, 4 / 3)
    assert views.centre_box((20, 100, 3), ratio=ratio) == (0, 36, 20, 27)
    assert views.centre_box((100, 20, 3), ratio=ratio) == (36, 0, 27, 20)
    assert views.centre_box((20, 22, 3), ratio=ratio) == (0, 0, 20, 22)
    box = views.sample_crop(jax.random.key(0), (20, 100, 3), scale=(1.0, 1.0), ratio=ratio)
    assert tuple(map(int, box)) == (0, 36, 20, 27)


def test_random_resized_crop_is_its_two_halves():
    x, key = jnp.asarray(pixels((20, 16, 3))), jax.random.key(5)
    box = views.sample_crop(key, x.shape, scale=(0.2, 0.5))
    want = views.crop_and_resize(x, box, size=9)
    got = views.random_resized_crop(key, x, size=9, scale=(0.2, 0.5))
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_flip_mirrors():
    x = pixels((5, 6, 3))
    np.testing.assert_array_equal(views.random_flip(jax.random.key(0), x, p=1.0), x[:, ::-1])


@pytest.mark.turns
@pytest.mark.parametrize(
    ("shape", "radius"), [((8, 8), 1), ((32, 32), 1), ((45, 60), 2), ((64, 96), 3)]
)
@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_blur_matches_a_torch_convolution(shape, radius, sigma):
    torch = pytest.importorskip("torch")
    x = pixels((*shape, 3))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    weight = torch.from_numpy(np.tile(kernel, (3, 1, 1, 1)).transpose(0, 1, 2, 3)).float()
    padded = torch.nn.functional.pad(planes(torch, x), (radius,) * 4, mode="reflect")
    want = torch.nn.functional.conv2d(padded, weight.reshape(3, 1, *kernel.shape), groups=3)
    got = views.apply_blur(jnp.asarray(x), sigma)
    np.testing.assert_allclose(got, np.moveaxis(want[0].numpy(), 0, -1), atol=1e-5)


def naive_matrix(shape, angle, move, zoom, shear):
    """Output to input, by inverting the product of 3x3 matrices in float64."""
    c, s = math.cos(angle), math.sin(angle)
    forward = np.array([[1, 0, move[0]], [0, 1, move[1]], [0, 0, 1.0]])
    forward = forward @ np.diag([zoom, zoom, 1]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    forward = forward @ np.array([[1, math.tan(shear), 0], [0, 1, 0], [0, 0, 1.0]])
    return np.linalg.inv(forward)[:2]


@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 10, 3)])
def test_warp_matches_torch_grid_sample(shape):
    torch = pytest.importorskip("torch")
    x = pixels(shape)
    h, w = shape[:2]
    matrix = naive_matrix(shape, 0.4, (1.3, -0.8), 1.2, 0.15)
    # grid_sample wants the map between coordinates in [-1, 1], the edges of the image.
    theta = matrix * np.array([[1, h / w, 2 / w], [w / h, 1, 2 / h]])
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(theta)[None].float(), (1, shape[2], h, w), align_corners=False
    )
    want = torch.nn.functional.grid_sample(
        planes(torch, x), grid, padding_mode="zeros", align_corners=False
    )
    got = views.warp(jnp.asarray(x), jnp.asarray(matrix, jnp.float32))
    np.testing.assert_allclose(got, np.moveaxis(want[0].numpy(), 0, -1), atol=1e-5)


def test_warp_turns_and_moves_the_way_it_says():
    x = pixels((6, 6, 1))
    quarter = jnp.asarray(naive_matrix(x.shape, math.pi / 2, (0, 0), 1, 0), jnp.float32)
    np.testing.assert_allclose(views.warp(x, quarter), np.rot90(x, -1), atol=1e-5)
    right = jnp.asarray(naive_matrix(x.shape, 0, (2, 0), 1, 0), jnp.float32)
    np.testing.assert_allclose(views.warp(x, right)[:, 2:], x[:, :-2], atol=1e-6)
    np.testing.assert_array_equal(views.warp(x, right)[:, :2], 0)


def test_affine_matrices_are_those_of_the_product_and_fill_their_ranges():
    shape, n = (10, 20, 3), 2000
    sample = jax.jit(
        jax.vmap(
            lambda k: views.sample_affine(
                k, shape, degrees=30, translate=0.2, scale=(0.8, 1.5), shear=60
            )
        )
    )
    drawn = np.asarray(sample(jax.random.split(jax.random.key(0), n)), np.float64)
    square = np.concatenate([drawn, np.broadcast_to([[[0, 0, 1.0]]], (n, 1, 3))], axis=1)
    forward = np.linalg.inv(square)
    angle = np.arctan2(forward[:, 1, 0], forward[:, 0, 0])
    zoom = np.hypot(forward[:, 0, 0], forward[:, 1, 0])
    shear = np.arctan(
        (forward[:, 0, 0] * forward[:, 0, 1] + forward[:, 1, 0] * forward[:, 1, 1]) / zoom**2
    )
    move = forward[:, :2, 2]
    again = [naive_matrix(shape, *row) for row in zip(angle, move, zoom, shear)]
    np.testing.assert_allclose(drawn, again, atol=1e-4)
    ranges = [(np.rad2deg(angle), -30, 30), (np.rad2deg(shear), -60, 60), (zoom, 0.8, 1.5)]
    ranges += [(move[:, 0], -4, 4), (move[:, 1], -2, 2)]
    for value, low, high in ranges:
        u = np.sort((value - low) / (high - low))
        assert np.abs(u - np.arange(n) / n).max() < 1.95 / math.sqrt(n)


def test_affine_that_is_off_is_the_identity():
    x = pixels((7, 9, 3))
    np.testing.assert_allclose(views.random_affine(jax.random.key(0), x), x, atol=1e-6)
