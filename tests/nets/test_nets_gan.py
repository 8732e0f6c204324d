"""Spectral normalisation against torch and the SVD; the layers of SNGAN; what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import DiscriminatorHead, DiscriminatorTrunk, Generator
from ssljax.nets.gan import Deconv, SpectralKernel

X = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def normalised(kernel, u, v, *, train):
    variables = {"params": {"kernel": kernel}, "batch_stats": {"u": u, "v": v}}
    module = SpectralKernel(shape=kernel.shape)
    return module.apply(variables, train, mutable=["batch_stats"])


def test_spectral_norm_and_its_gradient_equal_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 3, 2, 4)).astype(np.float32)  # torch's order: O, I, H, W
    factor = rng.normal(size=weight.shape).astype(np.float32)
    conv = torch.nn.utils.spectral_norm(torch.nn.Conv2d(3, 5, (2, 4), bias=False))
    with torch.no_grad():
        conv.weight_orig[:] = torch.from_numpy(weight)
    # torch flattens I, H, W in that order and we H, W, I: v is the same vector in another order
    order = np.arange(24).reshape(3, 2, 4).transpose(1, 2, 0).ravel()
    u, v = conv.weight_u.numpy().copy(), conv.weight_v.numpy()[order].copy()
    kernel = jnp.asarray(weight.transpose(2, 3, 1, 0))
    for _ in range(2):
        conv(torch.zeros(1, 3, 2, 4))  # one iteration
        ours, state = normalised(kernel, u, v, train=True)
        u, v = state["batch_stats"]["u"], state["batch_stats"]["v"]
        np.testing.assert_allclose(ours, conv.weight.detach().permute(2, 3, 1, 0), atol=1e-5)
        np.testing.assert_allclose(u, conv.weight_u, atol=1e-5)
    (conv.weight * torch.from_numpy(factor)).sum().backward()
    before = normalised(kernel, u, v, train=False)[0]
    np.testing.assert_allclose(before, ours, atol=1e-5)  # evaluation iterates no further
    grad = jax.grad(
        lambda k: (normalised(k, u, v, train=False)[0] * factor.transpose(2, 3, 1, 0)).sum()
    )(kernel)
    np.testing.assert_allclose(grad, conv.weight_orig.grad.permute(2, 3, 1, 0), atol=1e-4)


def test_the_largest_singular_value_becomes_one():
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3, 4, 6)), jnp.float32)
    module = SpectralKernel(shape=kernel.shape)
    state = module.init(jax.random.key(0), False)["batch_stats"]
    u, v = state["u"], state["v"]
    np.testing.assert_allclose([jnp.linalg.norm(u), jnp.linalg.norm(v)], 1.0, rtol=1e-5)
    for _ in range(100):
        w, moved = normalised(kernel, u, v, train=True)
        u, v = moved["batch_stats"]["u"], moved["batch_stats"]["v"]
    largest = np.linalg.svd(np.asarray(w, np.float64).reshape(-1, 6), compute_uv=False)[0]
    np.testing.assert_allclose(largest, 1.0, rtol=1e-3)


def test_the_layers_of_sngan():
    """Table 3 of the paper for 32x32: kernels, strides and widths in order."""
    trunk, head = DiscriminatorTrunk(), DiscriminatorHead()
    chain = {"encoder": trunk, "head": head}
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    params, stats = jax.eval_shape(
        lambda key: nets.init_discriminator(chain, key, images), jax.random.key(0)
    )
    found = [
        layer["spectral"]["kernel"].shape
        for _, layer in sorted(params["encoder"].items())  # conv1_1, conv1_2, conv2_1, ...
    ]
    assert found == [
        *[(3, 3, 3, 64), (4, 4, 64, 64), (3, 3, 64, 128), (4, 4, 128, 128)],
        *[(3, 3, 128, 256), (4, 4, 256, 256), (3, 3, 256, 512)],
    ]
    assert params["head"]["score"]["spectral"]["kernel"].shape == (4 * 4 * 512, 1)
    assert jax.tree.structure(stats["encoder"]["conv1_1"]) == jax.tree.structure(
        {"spectral": {"u": 0, "v": 0}}
    )
    score, _ = jax.eval_shape(lambda p, s, x: nets.score(chain, p, s, x), params, stats, images)
    assert score.shape == (2,)


@pytest.mark.parametrize(
    ("norm", "names"),
    [
        ("spectral", {"conv1_1": {"spectral"}, "conv1_2": {"spectral"}, "conv2_1": {"spectral"}}),
        ("batch", {"conv1_2": {"bn"}, "conv2_1": {"bn"}}),  # none in the first layer: DCGAN
        ("none", {}),
    ],
)
def test_what_the_norms_keep_as_state(norm, names):
    trunk = DiscriminatorTrunk(widths=(4, 6), norm=norm)
    params, stats = nets.init(trunk, jax.random.key(0), X)
    assert {layer: set(kept) for layer, kept in stats.items()} == names
    y, moved = nets.apply(trunk, params, stats, X, train=True)
    assert y.shape == (4, 6)
    for layer, kept in stats.items():  # v starts as the first iteration leaves it
        pairs = zip(jax.tree.leaves(kept), jax.tree.leaves(moved[layer]), strict=True)
        assert not all(np.array_equal(a, b) for a, b in pairs)
    grid, _ = nets.apply(trunk, params, stats, X, train=False, method="grid")
    assert grid.shape == (4, 4, 4, 6)
    pooled = nets.apply(trunk, params, stats, X, train=False)[0]
    np.testing.assert_allclose(pooled, grid.mean((1, 2)), atol=1e-6)


def test_deconv_equals_flax_and_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    kernel = rng.normal(size=(4, 4, 4, 6)).astype(np.float32)
    flax = nn.ConvTranspose(6, (4, 4), strides=(2, 2), use_bias=False)
    ours = Deconv(features=6, dtype="float32")

    def value(module, kernel, x):
        return module.apply({"params": {"kernel": kernel}}, x)

    np.testing.assert_allclose(value(ours, kernel, x), value(flax, kernel, x), atol=1e-5)
    # torch convolves with the kernel mirrored, padding 1
    mirrored = torch.from_numpy(kernel[::-1, ::-1].transpose(2, 3, 0, 1).copy())
    peer = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), mirrored, stride=2, padding=1
    )
    np.testing.assert_allclose(value(ours, kernel, x), peer.permute(0, 2, 3, 1), atol=1e-5)
    grads = [
        jax.grad(lambda k, x, m=m: (value(m, k, x) ** 2).sum(), (0, 1))(kernel, x)
        for m in (ours, flax)
    ]
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_generator_and_half_precision():
    z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    module = Generator(size=28, channels=1, widths=(8, 4, 4))
    params, stats = nets.init(module, jax.random.key(0), z)
    x, _ = nets.apply(module, params, stats, z, train=True)
    assert x.shape == (3, 28, 28, 1)
    assert np.abs(x).max() <= 1
    np.testing.assert_allclose(nets.draw(module, params, stats, z[None])[0].shape, x.shape)
    half = Generator(size=28, channels=1, widths=(8, 4, 4), dtype="bfloat16")
    y, _ = nets.apply(half, params, stats, z, train=True)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(x, y, atol=0.05)
    with pytest.raises(ValueError, match="doublings"):
        nets.init(Generator(size=30, widths=(8, 4, 4)), jax.random.key(0), z)
