"""Views as wholes: shapes, determinism, what is and is not in the program, presets, grey images."""

import json
from dataclasses import asdict, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import views

OFF = {"flip": 0.0, "jitter": 0.0, "grayscale": 0.0, "blur": 0.0, "solarize": 0.0}
EVERYTHING = views.ImageView(size=8, solarize=0.5, degrees=10.0, translate=0.1, zoom=(0.9, 1.1))


def images(n=4, shape=(12, 10, 3), seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_is_finite_float32_of_its_size(channels):
    x = images(shape=(12, 10, channels))
    out = jax.jit(lambda k, x: views.view_batch(EVERYTHING, k, x))(jax.random.key(0), x)
    assert out.shape == (4, 8, 8, channels)
    assert out.dtype == jnp.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-6


@pytest.mark.turns
def test_float_and_uint8_images_give_the_same_view():
    x = images()
    a = views.view_batch(EVERYTHING, jax.random.key(0), x)
    b = views.view_batch(EVERYTHING, jax.random.key(0), x / 255.0)
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.turns
def test_an_example_does_not_see_its_batch():
    x, key = images(6), jax.random.key(3)
    run = jax.jit(lambda k, x: views.view_batch(EVERYTHING, k, x))
    all_six = run(key, x)
    np.testing.assert_allclose(run(key, x[:4]), all_six[:4], atol=1e-6)
    np.testing.assert_array_equal(run(key, x), all_six)
    one = EVERYTHING(jax.random.fold_in(key, 5), x[5])
    np.testing.assert_allclose(one, all_six[5], atol=1e-5)
    same = run(key, jnp.stack([x[0]] * 4))  # the same image, yet another view in each place
    assert np.abs(same[0] - same[1]).max() > 1e-2
    assert np.abs(run(jax.random.key(4), x) - all_six).max() > 1e-2


def test_a_view_with_everything_off_is_plain():
    view = views.ImageView(size=8, scale=(1.0, 1.0), mean=(0.2,), std=(0.5,), **OFF)
    x = images(1, (12, 12, 3))[0]
    np.testing.assert_allclose(view(jax.random.key(0), x), view.plain(x), atol=1e-6)
    want = (np.asarray(views.resize(x, size=8)) - 0.2) / 0.5
    np.testing.assert_allclose(view.plain(x), want, atol=1e-6)


def test_plain_crops_the_centre_and_leaves_the_right_size_alone():
    view = views.ImageView(size=8)
    x = images(2, (8, 8, 3))
    np.testing.assert_array_equal(view.plain(x), views.to_float(x))
    wide = images(2, (10, 17, 3))
    want = views.resize(wide[:, :, 3:13], size=8)
    np.testing.assert_allclose(view.plain(wide), want, atol=1e-6)
    np.testing.assert_allclose(view.plain(wide[0]), want[0], atol=1e-6)


def operations(view, channels=3):
    x = jnp.zeros((8, 8, channels))
    jaxpr = str(jax.make_jaxpr(view)(jax.random.key(0), x))
    return {name for name in ("dot_general", "scan", "gather", "floor", "rev[") if name in jaxpr}


def test_what_is_off_is_not_in_the_program():
    none = views.ImageView(size=8, scale=(1.0, 1.0), **OFF)
    assert operations(none) == set()
    assert operations(replace(none, blur=0.5)) == {"dot_general"}
    assert operations(replace(none, jitter=0.5, hue=0.0)) == {"scan"}
    assert operations(replace(none, jitter=0.5)) == {"scan", "floor"}
    assert operations(replace(none, jitter=0.5), channels=1) == {"scan"}
    assert {"gather"} <= operations(replace(none, degrees=5.0)) <= {"gather", "floor"}
    assert (
        {"dot_general"} <= operations(replace(none, scale=(0.5, 1.0))) <= {"dot_general", "floor"}
    )


def test_the_order_is_crop_flip_jitter_grayscale_blur_solarize_normalise():
    view = views.ImageView(size=8, flip=1.0, jitter=1.0, grayscale=1.0, blur=1.0, solarize=1.0)
    x, key = images(1)[0], jax.random.key(7)
    keys = jax.random.split(key, 7)
    want = views.random_resized_crop(keys[1], x, size=8)[:, ::-1]
    want = views.color_jitter(
        keys[3], want, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, p=1.0
    )
    want = views.gaussian_blur(keys[5], jnp.repeat(views.to_grey(want), 3, -1), p=1.0)
    want = jnp.where(want >= 0.5, 1 - want, want)
    got = replace(view, mean=(0.1, 0.2, 0.3), std=(0.5,))(key, x)
    np.testing.assert_allclose(got, (want - np.array([0.1, 0.2, 0.3])) / 0.5, atol=1e-5)


def test_views_survive_json_and_hash():
    for view in (EVERYTHING, views.simclr_cifar(), *views.byol_views()):
        again = views.ImageView(**json.loads(json.dumps(asdict(view))))
        assert again == view
        assert hash(again) == hash(view)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"size": 0}, "size"),
        ({"flip": 1.5}, "probability"),
        ({"blur": -0.1}, "probability"),
        ({"scale": (0.5, 1.2)}, "fraction"),
        ({"ratio": (2.0, 1.0)}, "ratio"),
        ({"hue": 0.7}, "hue"),
        ({"std": (0.0,)}, "std"),
    ],
)
def test_bad_hyperparameters_say_so(bad, word):
    with pytest.raises(ValueError, match=word):
        views.ImageView(**bad)


def test_bad_images_say_so():
    with pytest.raises(ValueError, match="batch"):
        EVERYTHING(jax.random.key(0), images())
    with pytest.raises(ValueError, match="1 or 3 channels"):
        EVERYTHING(jax.random.key(0), jnp.zeros((8, 8, 4)))
    with pytest.raises(ValueError, match="mean has 3 values but the image has 1"):
        views.simclr_cifar()(jax.random.key(0), jnp.zeros((8, 8, 1)))


def test_presets_have_the_values_of_the_papers():
    def strengths(view):
        return view.brightness, view.contrast, view.saturation, view.hue

    cifar, imagenet = views.simclr_cifar(), views.simclr_imagenet()
    assert (cifar.size, *strengths(cifar), cifar.blur) == (32, 0.4, 0.4, 0.4, 0.1, 0.0)
    assert (imagenet.size, *strengths(imagenet), imagenet.blur) == (224, 0.8, 0.8, 0.8, 0.2, 0.5)
    first, second = views.byol_views()
    assert strengths(first) == strengths(second) == (0.4, 0.4, 0.2, 0.1)
    assert (first.blur, second.blur, first.solarize, second.solarize) == (1.0, 0.1, 0.0, 0.2)
    dino = views.dino_crops()
    assert [v.scale for v in dino.views] == [(0.4, 1.0)] * 2
    assert (dino.local.size, dino.local.scale, dino.local.blur) == (96, (0.05, 0.4), 0.5)
    assert dino.local_crops == 8
    for view in (cifar, imagenet, first, second, dino.local):
        assert (view.jitter, view.grayscale, view.flip) == (0.8, 0.2, 0.5)


@pytest.mark.turns
def test_multi_crop():
    crops = views.dino_crops(size=8, local_size=5, local_crops=3)
    x, key = images(2), jax.random.key(0)
    large, small = jax.jit(lambda k, x: views.view_batch(crops, k, x))(key, x)
    assert large.shape == (2, 2, 8, 8, 3)
    assert small.shape == (2, 3, 5, 5, 3)
    assert np.abs(small[:, 0] - small[:, 1]).max() > 1e-2
    assert np.abs(large[:, 0] - large[:, 1]).max() > 1e-2
    keys = jax.random.split(jax.random.fold_in(key, 1), 5)
    np.testing.assert_allclose(large[1, 1], crops.views[1](keys[1], x[1]), atol=1e-5)
    np.testing.assert_allclose(small[1, 2], crops.local(keys[4], x[1]), atol=1e-5)
    np.testing.assert_array_equal(crops.plain(x), crops.views[0].plain(x))
    with pytest.raises(ValueError, match="one size"):
        views.MultiCrop(views=(crops.views[0], crops.local), local=crops.local)
    with pytest.raises(ValueError, match="local_crops"):
        replace(crops, local_crops=0)
    shown = views.show_crops(crops, key, x)["views"]
    assert shown.shape == (2, 5, 8, 8, 3)
    expected = views.resize(crops.local.denormalize(small), size=8)
    np.testing.assert_allclose(shown[:, 2:], expected, atol=1e-5)


def test_multi_crop_without_local_crops():
    crops = views.MultiCrop(views=views.byol_views(size=8))
    x, key = images(2), jax.random.key(0)
    large, small = views.view_batch(crops, key, x)
    assert large.shape == (2, 2, 8, 8, 3)
    assert small.shape == (2, 0, 8, 8, 3)
    assert views.show_crops(crops, key, x)["views"].shape == (2, 2, 8, 8, 3)


def test_multi_crop_splits_the_image_sizes():
    swav = views.multi_crop(views.simclr_imagenet(), split=0.14)
    assert [v.scale for v in swav.views] == [(0.14, 1.0)] * 2
    assert (swav.local.size, swav.local.scale, swav.local_crops) == (96, (0.05, 0.14), 6)
    dino = views.dino_crops(split=0.32, local_crops=10)
    assert [v.scale for v in dino.views] == [(0.32, 1.0)] * 2
    assert (dino.local.scale, dino.local_crops) == ((0.05, 0.32), 10)
