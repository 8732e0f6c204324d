"""ResNet and SmallConv: sizes, precision, batch norm and refused input. Parity: tests/export."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import ResNet, SmallConv
from ssljax.nets.resnet import _pooled


def shapes(module, size=64, channels=3):
    image = jax.ShapeDtypeStruct((4, size, size, channels), jnp.float32)
    return jax.eval_shape(lambda key: nets.init(module, key, image), jax.random.key(0))


def count(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def output(module, size):
    arrays, x = shapes(module), jax.ShapeDtypeStruct((4, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda a, x: nets.apply(module, *a, x, train=False)[0], arrays, x)


# Published sizes less the classifier: 11,689,512 - 513,000 and so on.
@pytest.mark.parametrize(
    ("depth", "expected"),
    [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032), (101, 42_500_160)],
)
def test_number_of_parameters(depth, expected):
    assert count(shapes(ResNet(depth=depth))[0]) == expected


def test_stems_and_features():
    assert output(ResNet(depth=50), 64).shape == (4, 2048)
    assert output(ResNet(depth=18, width=16), 64).shape == (4, 128)
    assert output(ResNet(stem="cifar"), 32).dtype == jnp.float32
    assert shapes(ResNet())[0]["conv1"]["kernel"].shape == (7, 7, 3, 64)
    cifar = shapes(ResNet(stem="cifar"), channels=1)[0]
    assert cifar["conv1"]["kernel"].shape == (3, 3, 1, 64)


def test_pooling_is_that_of_flax():
    x = nn.relu(jax.random.normal(jax.random.key(0), (2, 9, 6, 3)))

    def theirs(x):
        return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))

    def ours(x):
        return _pooled(_pooled(x, axis=1), axis=2)

    (want, back), (found, again) = (jax.vjp(f, x) for f in (theirs, ours))
    np.testing.assert_array_equal(found, want)
    np.testing.assert_allclose(again(want)[0] * (x > 0), back(want)[0] * (x > 0), rtol=1e-6)


def last_block(**fields):
    """Fresh parameters and statistics of the last block alone, so that little is compiled."""
    x, module = jnp.zeros((2, 32, 32, 3)), ResNet(width=16, **fields)
    init = jax.jit(lambda key: [t["layer4_1"] for t in nets.init(module, key, x)])
    return init(jax.random.key(0))


def test_initialisation():
    block, stats = last_block()
    kernel = np.asarray(block["conv1"]["kernel"])
    # kaiming fan_out: variance 2 / (9 * 128)
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 128)), rtol=0.02)
    assert not np.any(block["bn2"]["scale"])
    assert np.all(block["bn1"]["scale"] == 1)
    assert np.all(stats["bn2"]["var"] == 1)
    block, _ = last_block(zero_init_residual=False)
    assert np.all(block["bn2"]["scale"] == 1)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32():
    x = jax.random.normal(jax.random.key(1), (8, 8, 8, 3))
    full, half = SmallConv(widths=(8, 16)), SmallConv(widths=(8, 16), dtype="bfloat16")
    params, stats = nets.init(half, jax.random.key(0), x)
    y, moved = nets.apply(half, params, stats, x, train=True)
    exact, exact_moved = nets.apply(full, params, stats, x, train=True)
    for leaf in jax.tree.leaves((params, stats, moved, y)):
        assert leaf.dtype == jnp.float32
    np.testing.assert_allclose(y, exact, atol=0.03)
    assert np.abs(np.asarray(y - exact)).max() > 1e-5
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.02), moved, exact_moved)


def test_batch_statistics_of_the_first_layer():
    """One convolution of one pixel: the statistics can be written down."""
    x = jax.random.normal(jax.random.key(1), (6, 4, 4, 3))
    module = SmallConv(widths=(5,))
    params, stats = nets.init(module, jax.random.key(0), x)
    _, moved = nets.apply(module, params, stats, x, train=True)
    with jax.default_matmul_precision("highest"):
        kernel = params["conv1"]["kernel"]
        padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        h = np.einsum("bhwcij,ijcd->bhwd", windows, np.asarray(kernel, np.float64))
    np.testing.assert_allclose(moved["bn1"]["mean"], 0.1 * h.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(moved["bn1"]["var"], 0.9 + 0.1 * h.var((0, 1, 2)), atol=1e-5)


def test_small_conv_halves_between_stages():
    assert output(SmallConv(), 8).shape == (4, 128)
    assert list(shapes(SmallConv())[0]) == ["bn1", "bn2", "bn3", "conv1", "conv2", "conv3"]


@pytest.mark.parametrize("module", [ResNet(), SmallConv()])
def test_refused_input(module):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"\[B, H, W, C\]"):
        nets.init(module, key, jnp.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match="uint8"):
        nets.init(module, key, jnp.zeros((2, 8, 8, 3), jnp.uint8))


def test_refused_fields():
    key, x = jax.random.key(0), jnp.zeros((2, 8, 8, 3))
    with pytest.raises(ValueError, match="depth 20"):
        nets.init(ResNet(depth=20), key, x)
    with pytest.raises(ValueError, match="stem"):
        nets.init(ResNet(stem="large"), key, x)
    with pytest.raises(ValueError, match="at least one stage"):
        nets.init(SmallConv(widths=()), key, x)
