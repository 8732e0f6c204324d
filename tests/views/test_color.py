"""Colour operations against PIL, colorsys and plain float64 loops."""

import colorsys
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ssljax import views

WEIGHTS = np.array([0.299, 0.587, 0.114])
FACTORS = [0.0, 0.3, 1.0, 1.7]


def pixels(shape=(9, 7, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def naive_grey(x):
    return x if x.shape[-1] == 1 else (x @ WEIGHTS)[..., None]


def naive_brightness(x, f):
    return np.clip(x * f, 0, 1)


def naive_contrast(x, f):
    return np.clip(f * x + (1 - f) * naive_grey(x).mean(), 0, 1)


def naive_saturation(x, f):
    return np.clip(f * x + (1 - f) * naive_grey(x), 0, 1)


def naive_hue(x, f):
    if x.shape[-1] == 1:
        return x
    out = np.empty_like(x)
    for i in np.ndindex(x.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*x[i])
        out[i] = colorsys.hsv_to_rgb((h + f) % 1.0, s, v)
    return out


NAIVE = (naive_brightness, naive_contrast, naive_saturation, naive_hue)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_blends_match_naive_float64(name, channels):
    x = pixels((9, 7, channels)) / 255.0
    for f in FACTORS:
        got = getattr(views, f"adjust_{name}")(jnp.asarray(x, jnp.float32), f)
        np.testing.assert_allclose(got, globals()[f"naive_{name}"](x, f), atol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_blends_match_pil(name):
    image = pixels((16, 12, 3))
    enhance = {"saturation": "Color"}.get(name, name.title())
    for f in FACTORS:
        want = getattr(ImageEnhance, enhance)(Image.fromarray(image)).enhance(f)
        got = getattr(views, f"adjust_{name}")(views.to_float(jnp.asarray(image)), f)
        np.testing.assert_allclose(got, np.asarray(want) / 255.0, atol=1.5 / 255)


@pytest.mark.parametrize("f", [-0.5, -0.13, 0.0, 0.1, 0.37, 0.5])
def test_hue_matches_colorsys(f):
    x = pixels((16, 16, 3)) / 255.0
    # Ties between channels, greys, black, white and the primaries are where branches go wrong.
    x[0, :8] = [
        [0, 0, 0],
        [1, 1, 1],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 1, 0],
        [0, 1, 1],
        [1, 0, 1],
    ]
    x[1, :4] = [[0.5, 0.5, 0.5], [0.3, 0.3, 0.1], [0.1, 0.3, 0.3], [0.3, 0.1, 0.3]]
    got = views.adjust_hue(jnp.asarray(x, jnp.float32), f)
    np.testing.assert_allclose(got, naive_hue(x, f), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_24_orders_match_one_after_the_other(channels):
    x = pixels((6, 5, channels)) / 255.0
    factors = (1.35, 0.7, 1.5, 0.21)
    apply = jax.jit(lambda x, turns: views.apply_jitter(x, factors, turns))
    results = []
    for order in permutations(range(4)):
        want = x
        for k in order:
            want = NAIVE[k](want, factors[k])
        turns = np.argsort(order).astype(np.int32)
        results.append(np.asarray(apply(jnp.asarray(x, jnp.float32), turns)))
        np.testing.assert_allclose(results[-1], want, atol=1e-5)
    if channels == 3:  # the orders must be told apart, or the comparison says nothing
        assert len(np.unique(np.round(np.stack(results), 3), axis=0)) >= 12


@pytest.mark.parametrize("off", range(4))
def test_operations_of_strength_zero_are_left_out(off):
    x = pixels((6, 5, 3)) / 255.0
    factors = tuple(None if k == off else f for k, f in enumerate((1.35, 0.7, 1.5, 0.21)))
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        want = x
        for k in order:
            want = want if k == off else NAIVE[k](want, factors[k])
        turns = jnp.asarray(np.argsort(order))
        got = views.apply_jitter(jnp.asarray(x, jnp.float32), factors, turns)
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_jitter_orders_and_factors_are_uniform():
    n = 4800
    factors, turns = jax.vmap(
        lambda k: views.sample_jitter(k, brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1)
    )(jax.random.split(jax.random.key(0), n))
    _, counts = np.unique(np.asarray(turns), axis=0, return_counts=True)
    assert len(counts) == 24
    assert np.sum((counts - n / 24) ** 2 / (n / 24)) < 49.7  # chi squared, 23 degrees, p = 0.001
    for drawn, (low, high) in zip(factors, [(0.6, 1.4), (0, 2.5), (0.8, 1.2), (-0.1, 0.1)]):
        u = np.sort((np.asarray(drawn) - low) / (high - low))
        assert np.abs(u - np.arange(n) / n).max() < 1.95 / np.sqrt(n)  # Kolmogorov-Smirnov, 0.001
    only = views.sample_jitter(jax.random.key(0), brightness=0, contrast=1, saturation=0, hue=0)[0]
    assert [factor is None for factor in only] == [True, False, True, True]
    with pytest.raises(ValueError, match="half the circle"):
        views.sample_jitter(jax.random.key(0), brightness=0, contrast=0, saturation=0, hue=0.6)


RANDOM = {
    "jitter": lambda k, x, p: views.color_jitter(
        k, x, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, p=p
    ),
    "grayscale": lambda k, x, p: views.random_grayscale(k, x, p=p),
    "solarize": lambda k, x, p: views.solarize(k, x, p=p),
    "blur": lambda k, x, p: views.gaussian_blur(k, x, sigma=(1.0, 2.0), p=p),
    "flip": lambda k, x, p: views.random_flip(k, x, p=p),
}


@pytest.mark.parametrize("name", RANDOM)
def test_probabilities(name):
    x = views.to_float(jnp.asarray(pixels((8, 8, 3))))
    keys = jax.random.split(jax.random.key(1), 400)
    for p in (0.0, 0.3, 1.0):
        out = jax.jit(jax.vmap(lambda k: RANDOM[name](k, x, p)))(keys)  # noqa: B023
        share = np.mean(np.any(np.abs(np.asarray(out) - np.asarray(x)) > 1e-4, axis=(1, 2, 3)))
        assert abs(share - p) < (0.1 if 0 < p < 1 else 1e-9), (p, share)


@pytest.mark.turns
@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0, 255, 77])
def test_constant_images_stay_finite_and_in_range(name, channels, value):
    x = jnp.full((8, 8, channels), value, jnp.uint8)
    out = jax.vmap(lambda k: RANDOM[name](k, x, 1.0))(jax.random.split(jax.random.key(2), 8))
    assert out.dtype == jnp.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-6
    np.testing.assert_allclose(out, np.broadcast_to(out[:, :1, :1], out.shape), atol=1e-6)


def test_grayscale_matches_pil_and_grey_images_pass():
    image = pixels((10, 10, 3))
    got = views.random_grayscale(jax.random.key(0), jnp.asarray(image), p=1.0)
    want = np.asarray(Image.fromarray(image).convert("L"))[..., None] / 255.0
    np.testing.assert_allclose(got, np.repeat(want, 3, -1), atol=1.5 / 255)
    grey = views.to_float(jnp.asarray(image[..., :1]))
    np.testing.assert_array_equal(views.random_grayscale(jax.random.key(0), grey, p=1.0), grey)


def test_solarize_matches_pil():
    image = pixels((10, 10, 3))
    got = views.solarize(jax.random.key(0), jnp.asarray(image), p=1.0)
    want = np.asarray(ImageOps.solarize(Image.fromarray(image), threshold=128)) / 255.0
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_to_float_and_normalize():
    image = jnp.asarray(pixels((4, 4, 3)))
    np.testing.assert_allclose(views.to_float(image), np.asarray(image) / 255.0, atol=1e-7)
    with pytest.raises(ValueError, match="int32"):
        views.to_float(image.astype(jnp.int32))
    x = views.to_float(image)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    want = (np.asarray(x) - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(views.normalize(x, mean=mean, std=std), want, atol=1e-6)
    want = (np.asarray(x) - 0.1) / 0.5
    np.testing.assert_allclose(views.normalize(x, mean=(0.1,), std=(0.5,)), want, atol=1e-6)
    with pytest.raises(ValueError, match="std has 2 values but the image has 3"):
        views.normalize(x, mean=(0.1,), std=(0.5, 0.5))
    with pytest.raises(ValueError, match="mean has 3 values but the image has 1"):
        views.normalize(x[..., :1], mean=mean, std=(0.5,))
