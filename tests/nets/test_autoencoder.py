"""The network of the document (28x28, conv 32 three times), its mirror, blends, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import ConvDecoder, ConvEncoder, StyleDecoder, StyleEncoder, VariationalEncoder

KEY = jax.random.key(0)


def shapes(module, x):
    params, _ = jax.eval_shape(lambda key: nets.init(module, key, x), KEY)
    return {name: layer["kernel"].shape for name, layer in params.items()}


def test_the_documented_network():
    x = jnp.zeros((2, 28, 28, 1))
    encoder, decoder = ConvEncoder(), ConvDecoder()
    assert shapes(encoder, x) == {
        "conv1": (3, 3, 1, 32),
        "conv2": (3, 3, 32, 32),
        "conv3": (3, 3, 32, 32),
    }
    assert shapes(decoder, jnp.zeros((2, 7 * 7 * 32))) == {
        "conv1": (3, 3, 32, 32),
        "conv2": (3, 3, 32, 32),
        "image": (3, 3, 32, 1),
    }
    chain = {"encoder": encoder, "decoder": decoder}
    params, stats = nets.init_chain(chain, KEY, x)
    assert nets.apply(encoder, params["encoder"], {}, x, train=False)[0].shape == (2, 1568)
    assert nets.apply_chain(chain, params, stats, x, train=False)[0].shape == (2, 28, 28, 1)


def test_the_grid_survives_flattening():
    """A pixel moved by four moves the code by one place: rows and columns are not mixed up."""
    module = ConvEncoder(widths=(3, 3, 3))
    x = np.zeros((2, 16, 16, 1), np.float32)
    x[0, 4, 8], x[1, 8, 8] = 1, 1
    params, _ = nets.init(module, KEY, x)
    a, b = nets.apply(module, params, {}, x, train=False)[0].reshape(2, 4, 4, 3)
    assert np.abs(a).max() > 0
    np.testing.assert_allclose(a[:3], b[1:], atol=1e-6)


def test_upsampling_repeats_pixels():
    module = ConvDecoder(size=4, channels=1, widths=(2,))
    params, _ = nets.init(module, KEY, jnp.zeros((1, 8)))
    identity = np.zeros((3, 3, 2, 2), np.float32)
    identity[1, 1] = np.eye(2)
    params["conv1"]["kernel"], params["image"]["kernel"] = identity, identity[..., :1]
    code = np.arange(8.0, dtype=np.float32)[None]
    image = nets.apply(module, params, {}, code, train=False)[0][0, :, :, 0]
    expected = [[0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 6, 6], [4, 4, 6, 6]]
    np.testing.assert_allclose(image, expected, atol=1e-5)


def test_variational_encoder_gives_its_mean():
    module = VariationalEncoder(widths=(4, 4), code=3)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    params, _ = nets.init(module, KEY, x)
    assert set(params) == {"body", "mean", "log_var"}
    (mean, log_var), _ = nets.apply(module, params, {}, x, train=False, method="posterior")
    np.testing.assert_array_equal(nets.apply(module, params, {}, x, train=False)[0], mean)
    assert log_var.shape == (2, 3)
    assert not np.allclose(mean, log_var)


def test_blends():
    codes = np.array([[0.0, 0], [4, 0], [0, 4]])
    np.testing.assert_allclose(nets.blend(codes, count=3)[0], [[1, 0], [2, 0], [3, 0]], rtol=1e-6)
    np.testing.assert_allclose(nets.blend(codes, count=1)[2], [[0, 2]], rtol=1e-6)
    ends = np.random.default_rng(0).normal(size=(2, 10_000))
    lengths = np.linalg.norm(nets.blend(ends, count=3, spherical=True), axis=-1)
    np.testing.assert_allclose(lengths, 100, rtol=0.03)  # a plain blend has 71 in the middle


def test_style_networks_fit_together():
    x = np.random.default_rng(0).normal(size=(2, 12, 8, 3)).astype(np.float32)
    encoder, decoder = StyleEncoder(widths=(4, 6, 8)), StyleDecoder(widths=(6, 4))
    params, _ = nets.init(encoder, KEY, x)
    levels, _ = nets.apply(encoder, params, {}, x, train=False, method="levels")
    assert [m.shape for m in levels] == [(2, 12, 8, 4), (2, 6, 4, 6), (2, 3, 2, 8)]
    assert nets.apply(encoder, params, {}, x, train=False)[0].shape == (2, 16)
    params, _ = nets.init(decoder, KEY, levels[-1])
    assert nets.apply(decoder, params, {}, levels[-1], train=False)[0].shape == x.shape
    # a flat image has flat maps up to the border, which zero padding would not give
    flat = jnp.ones((1, 8, 8, 3))
    params, _ = nets.init(encoder, KEY, flat)
    for level in nets.apply(encoder, params, {}, flat, train=False, method="levels")[0]:
        np.testing.assert_allclose(level, level[:, :1, :1] * np.ones_like(level), atol=1e-5)


def test_refused():
    with pytest.raises(ValueError, match="halves the image 2 times"):
        nets.init(ConvEncoder(), KEY, jnp.zeros((1, 30, 30, 1)))
    with pytest.raises(ValueError, match="halves the image 2 times"):
        nets.init(ConvDecoder(size=30), KEY, jnp.zeros((1, 1568)))
    with pytest.raises(ValueError, match="set `grid`"):
        nets.init(ConvDecoder(), KEY, jnp.zeros((1, 20)))
