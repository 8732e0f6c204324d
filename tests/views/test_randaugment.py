"""Every operation of RandAugment against Pillow, and the views as wholes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ssljax import views
from ssljax.views import randaugment as ra

AFFINE = Image.Transform.AFFINE
PILLOW = {
    "autocontrast": lambda im, v: ImageOps.autocontrast(im),
    "brightness": lambda im, v: ImageEnhance.Brightness(im).enhance(v),
    "color": lambda im, v: ImageEnhance.Color(im).enhance(v),
    "contrast": lambda im, v: ImageEnhance.Contrast(im).enhance(v),
    "equalize": lambda im, v: ImageOps.equalize(im),
    "identity": lambda im, v: im,
    "posterize": lambda im, v: ImageOps.posterize(im, int(v)),
    "rotate": lambda im, v: im.rotate(v),
    "sharpness": lambda im, v: ImageEnhance.Sharpness(im).enhance(v),
    "shear_x": lambda im, v: im.transform(im.size, AFFINE, (1, v, 0, 0, 1, 0)),
    "shear_y": lambda im, v: im.transform(im.size, AFFINE, (1, 0, 0, v, 1, 0)),
    "solarize": lambda im, v: ImageOps.solarize(im, v),
    "translate_x": lambda im, v: im.transform(im.size, AFFINE, (1, 0, v * im.size[0], 0, 1, 0)),
    "translate_y": lambda im, v: im.transform(im.size, AFFINE, (1, 0, 0, 0, 1, v * im.size[1])),
}


def picture(channels, seed=0, shape=(24, 20)):
    """Smooth enough that histograms are uneven, with noise on it; values 30 to 200."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    base = [90 + 50 * np.sin(x / (3 + c)) + 30 * np.cos(y / (2 + c)) for c in range(channels)]
    noisy = np.stack(base, -1) + rng.integers(-20, 20, (*shape, channels))
    return noisy.clip(30, 200).astype(np.uint8)


def pillow(name, image, v):
    im = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.asarray(PILLOW[name](im, v)).reshape(image.shape)


@pytest.mark.parametrize("name", ra.OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_operations_are_those_of_pillow(name, channels):
    run, bounds = ra.OPERATIONS[name]
    strengths = [0.0] if bounds is None else np.linspace(*bounds, 9)[:-1] + 0.013
    run, changed = jax.jit(run), []
    for seed, v in enumerate(strengths):
        image = picture(channels, seed)
        got = run(jnp.asarray(image, jnp.float32), *([] if bounds is None else [float(v)]))
        want = pillow(name, image, float(v))
        assert np.all(got == np.round(got))
        if name == "rotate" or name.startswith(("shear", "translate")):
            # Pillow computes in fixed point: a pixel on the edge of two may fall on the other side
            assert np.mean(np.any(np.asarray(got) != want, axis=-1)) < 0.01
        else:
            np.testing.assert_allclose(got, want, atol=1 if name == "autocontrast" else 0)
        changed.append(np.mean(want != image))
    if name != "identity" and (name, channels) != ("color", 1):
        assert max(changed) > 0.2  # the operation did something


@pytest.mark.parametrize("value", [0, 77])
@pytest.mark.parametrize("name", ["autocontrast", "equalize", "contrast"])
def test_one_value_alone(name, value):
    """No histogram to stretch, nothing to divide by."""
    image = np.full((6, 6, 1), value, np.uint8)
    run, bounds = ra.OPERATIONS[name]
    got = run(jnp.asarray(image, jnp.float32), *([] if bounds is None else [0.5]))
    np.testing.assert_array_equal(got, pillow(name, image, 0.5))


def test_table_12_is_complete():
    assert set(PILLOW) == set(ra.OPERATIONS)
    assert len(ra.OPERATIONS) == 14


def test_cutout():
    x = jnp.ones((9, 9, 2))
    cut = np.asarray(ra.cutout(x, jnp.array([4.5, 4.5]), jnp.asarray(3.0)))
    assert (cut[3:6, 3:6] == 127).all()
    assert (cut == 127).sum() == 18
    corner = np.asarray(ra.cutout(x, jnp.array([0.0, 9.0]), jnp.asarray(4.0)))
    assert (corner[:2, 7:] == 127).all()
    assert (corner == 127).sum() == 8
    assert (ra.cutout(x, jnp.array([4.5, 4.5]), jnp.asarray(0.0)) == 1).all()


def test_the_weak_view_is_a_reflected_shift_and_a_flip():
    view = views.ShiftFlip(size=16, mean=(0.0,), std=(1.0,))
    image = picture(3, shape=(16, 16))
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect") / 255
    flipped = np.pad(image[:, ::-1], ((2, 2), (2, 2), (0, 0)), mode="reflect") / 255
    places = set()
    run = jax.jit(view)
    for i in range(120):
        got = np.asarray(run(jax.random.key(i), image))
        found = [
            (flip, y, x)
            for flip, source in enumerate((padded, flipped))
            for y in range(5)
            for x in range(5)
            if np.allclose(got, source[y : y + 16, x : x + 16], atol=1e-5)
        ]
        assert len(found) == 1
        places |= set(found)
    assert len(places) > 35  # of 50
    still = views.ShiftFlip(size=16, flip=0.0, shift=0.0, mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(still(jax.random.key(0), image), still.plain(image), atol=1e-6)
    np.testing.assert_allclose(still.denormalize(still.plain(image)), image / 255, atol=1e-6)


def test_the_strong_view_draws_operations_for_each_image():
    view = views.RandAugment(
        size=16, flip=0.0, shift=0.0, mean=(0.0,), std=(1.0,), cutout=0.0, count=1,
        operations=("identity", "translate_x"),
    )  # fmt: skip
    image = np.repeat(picture(1, shape=(16, 16))[None], 200, axis=0)
    out = np.asarray(jax.jit(lambda k, x: views.view_batch(view, k, x))(jax.random.key(0), image))
    same = np.all(np.abs(out - image / 255) < 1e-5, axis=(1, 2, 3))
    # half of them, and of the other half those that move by less than one pixel
    assert 0.4 < same.mean() < 0.75
    assert len(np.unique(out.reshape(200, -1), axis=0)) > 8


def test_a_strong_view_without_anything_is_weak():
    weak = views.ShiftFlip(size=16)
    strong = views.RandAugment(size=16, count=0, cutout=0.0)
    image = picture(3, shape=(16, 16))
    key = jax.random.key(3)
    # the first key is that of the weak view
    np.testing.assert_allclose(strong(key, image), weak(jax.random.split(key)[0], image), atol=1e-5)


def test_all_operations_in_a_batch():
    view = views.RandAugment(size=12)
    image = np.stack([picture(3, seed=i) for i in range(32)])
    run = jax.jit(lambda k, x: views.view_batch(view, k, x))
    out = run(jax.random.key(0), image)
    assert out.shape == (32, 12, 12, 3) and out.dtype == jnp.float32
    assert np.isfinite(out).all()
    shown = view.denormalize(out)
    assert shown.min() >= 0 and shown.max() <= 1
    np.testing.assert_array_equal(out, run(jax.random.key(0), image))
    assert np.abs(out - run(jax.random.key(1), image)).max() > 0.1
    # grey squares: Cutout is in it
    assert np.mean(np.abs(shown - 127 / 255) < 1e-3) > 0.01


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"operations": ("rotat",)}, "no operation rotat"),
        ({"operations": ()}, "to draw from"),
        ({"cutout": 1.5}, "cutout"),
        ({"count": -1}, "count -1"),
        ({"flip": 2.0}, "probability"),
        ({"size": 0}, "at least 1 pixel"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        views.RandAugment(**fields)
