"""Lab against its definition in float64, and against colours whose Lab is known."""

import jax
import numpy as np
import pytest

from ssljax.views import GreyView, ab_bins, lab_to_rgb, plain_only, rgb_to_lab

MATRIX = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)


def exact(rgb):
    """As scikit-image: D65, 2 degrees."""
    rgb = np.asarray(rgb, np.float64)
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ MATRIX.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_rgb_to_lab():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    image[:4] //= 32  # dark ones, where the formula has another branch
    np.testing.assert_allclose(rgb_to_lab(image), exact(image / 255), atol=5e-3)
    float_image = image.astype(np.float32) / 255
    np.testing.assert_allclose(rgb_to_lab(float_image), rgb_to_lab(image), atol=1e-5)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # published values of the primaries
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_known_colours(rgb, lab):
    np.testing.assert_allclose(rgb_to_lab(np.array(rgb, np.uint8)), lab, atol=0.02)


def test_there_and_back():
    rgb = np.random.default_rng(0).random((500, 3), np.float32)
    rgb[:50] *= 0.03
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-5)
    gradient = jax.grad(lambda x: rgb_to_lab(x).sum())(np.zeros(3, np.float32))
    assert np.isfinite(gradient).all()


def test_every_colour_has_a_bin():
    """The nearest multiple of 10 of any colour is one of them, and each is that of some colour."""
    bins = set(ab_bins())
    steps = np.linspace(0, 1, 64)
    ab = exact(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3))[:, 1:]
    seen = {(float(a), float(b)) for a, b in 10 * np.unique(np.round(ab / 10), axis=0)}
    assert seen <= bins
    assert len(bins) - len(seen) < 5
    assert len(bins) == 261
    assert list(ab_bins()) == sorted(bins)


def test_grey_view_sees_no_colour():
    view = GreyView(view=plain_only(size=4, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)))
    image = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    lightness = exact(image / 255)[..., :1] / 100
    expected = (lightness - np.array([0.4, 0.5, 0.6])) / np.array([0.2, 0.25, 0.3])
    np.testing.assert_allclose(view.plain(image), expected, atol=1e-4)
    np.testing.assert_allclose(view(jax.random.key(0), image[0]), expected[0], atol=1e-4)
    with pytest.raises(ValueError, match="no colours"):
        view.plain(image[..., :1])
