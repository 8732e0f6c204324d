"""ViT: sizes, positions, tokens, masks and refused input. Parity with torch: tests/export."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import ViT, resize_positions, sincos_positions, vit

SMALL = ViT(patch=4, width=24, depth=2, heads=3)
X = jax.random.normal(jax.random.key(1), (2, 8, 12, 3))


# Published sizes less the classifier: 5,717,416 - 193,000 and so on.
@pytest.mark.parametrize(
    ("size", "expected"),
    [("tiny", 5_524_416), ("small", 21_665_664), ("base", 85_798_656), ("large", 303_301_632)],
)
def test_number_of_parameters(size, expected):
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    params, stats = jax.eval_shape(lambda key: nets.init(vit(size), key, image), jax.random.key(0))
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params)) == expected
    assert stats == {}


@pytest.mark.parametrize(("height", "width", "dim"), [(3, 5, 8), (14, 14, 192)])
def test_sincos_positions(height, width, dim):
    expected = np.zeros((height * width, dim))
    quarter = dim // 4
    for row in range(height):
        for column in range(width):
            for i in range(quarter):
                frequency = 1 / 10000 ** (i / quarter)
                place = expected[row * width + column]
                place[i] = math.sin(column * frequency)
                place[quarter + i] = math.cos(column * frequency)
                place[2 * quarter + i] = math.sin(row * frequency)
                place[3 * quarter + i] = math.cos(row * frequency)
    np.testing.assert_allclose(sincos_positions(height, width, dim), expected, atol=5e-6)


def test_tokens_and_pools():
    params, stats = nets.init(SMALL, jax.random.key(0), X)
    tokens, _ = nets.apply(SMALL, params, stats, X, train=False, method="tokens")
    assert tokens.shape == (2, 1 + 2 * 3, 24)
    cls, _ = nets.apply(SMALL, params, stats, X, train=False)
    mean, _ = nets.apply(SMALL.clone(pool="mean"), params, stats, X, train=True)
    np.testing.assert_allclose(cls, tokens[:, 0], atol=1e-6)
    np.testing.assert_allclose(mean, tokens[:, 1:].mean(1), atol=1e-6)
    assert cls.dtype == mean.dtype == tokens.dtype == jnp.float32


def test_starts():
    """timm's deviation of 0.02, or Xavier's bound of each kernel, that of patches as a matrix."""
    spread = {}
    for start in ("normal", "xavier"):
        module = ViT(patch=4, width=64, depth=1, heads=2, start=start)
        params, _ = nets.init(module, jax.random.key(0), X)
        spread[start] = params
    for path, kernel in jax.tree_util.tree_leaves_with_path(spread["xavier"]):
        if path[-1].key == "kernel":
            rows = math.prod(kernel.shape[:-1])
            bound = math.sqrt(6 / (rows + kernel.shape[-1]))
            assert 0.98 * bound < jnp.abs(kernel).max() <= bound
    fc1 = spread["normal"]["blocks_0"]["mlp"]["fc1"]["kernel"]
    np.testing.assert_allclose(fc1.std(), 0.02, rtol=0.02)
    with pytest.raises(ValueError, match="'normal' or 'xavier'"):
        nets.init(SMALL.clone(start="zeros"), jax.random.key(0), X)


def test_positions_matter_and_sincos_fits_any_size():
    module = SMALL.clone(positions="sincos", pool="mean")
    params, stats = nets.init(module, jax.random.key(0), X)
    assert "pos_embed" not in params
    y, _ = nets.apply(module, params, stats, X, train=False)
    flipped, _ = nets.apply(module, params, stats, X[:, ::-1], train=False)
    larger, _ = nets.apply(module, params, stats, jnp.tile(X, (1, 2, 2, 1)), train=False)
    assert larger.shape == y.shape
    assert np.abs(np.asarray(y - flipped)).max() > 1e-4


def test_bfloat16_is_near_float32():
    params, stats = nets.init(SMALL, jax.random.key(0), X)
    exact, _ = nets.apply(SMALL, params, stats, X, train=False)
    half, _ = nets.apply(SMALL.clone(dtype="bfloat16"), params, stats, X, train=False)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, exact, atol=0.05)


def test_refused_input_and_fields():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"\[B, H, W, C\]"):
        nets.init(SMALL, key, X[0])
    with pytest.raises(ValueError, match="smaller than a patch"):
        nets.init(ViT(), key, X)
    with pytest.raises(ValueError, match="not divisible into patches"):
        nets.init(SMALL.clone(patch=5), key, X)
    with pytest.raises(ValueError, match="heads"):
        nets.init(SMALL.clone(heads=5), key, X)
    with pytest.raises(ValueError, match="positions"):
        nets.init(SMALL.clone(positions="rotary"), key, X)
    with pytest.raises(ValueError, match="divisible by 4"):
        nets.init(SMALL.clone(positions="sincos", width=6), key, X)
    with pytest.raises(ValueError, match="pool"):
        nets.init(SMALL.clone(pool="max"), key, X)
    with pytest.raises(ValueError, match="tiny, small, base, large, huge"):
        vit("giant")
    assert vit("tiny", patch=8, pool="mean") == ViT(patch=8, pool="mean")


MASKED = SMALL.clone(mask_token=True)


def test_masked_patches_are_not_seen():
    """What lies in a masked patch does not matter; its place does, and so do the others."""
    params, stats = nets.init(MASKED, jax.random.key(0), X)
    mask = jnp.array([[True, False, False, True, False, False], [False] * 6])

    def run(x, mask):
        return nets.apply(MASKED, params, stats, x, train=False, method="tokens", mask=mask)[0]

    y = run(X, mask)
    other = X.at[:, :4, :4].set(7.0)  # patch 0, masked in the first image only
    moved = np.abs(np.asarray(run(other, mask) - y)).max((1, 2))
    assert moved[0] == 0
    assert moved[1] > 1e-2
    assert np.abs(np.asarray(run(X, jnp.roll(mask, 1, axis=1)) - y)[0]).max() > 1e-3
    plain = {k: v for k, v in params.items() if k != "mask_token"}
    unmasked, _ = nets.apply(SMALL, plain, stats, X, train=False, method="tokens")
    np.testing.assert_array_equal(run(X, mask)[1], unmasked[1])
    # features need no token, and a network without one refuses a mask
    nets.apply(MASKED, plain, stats, X, train=False)
    with pytest.raises(ValueError, match="mask_token=True"):
        nets.apply(SMALL, plain, stats, X, train=False, mask=mask)


def test_kept_patches():
    """All patches in another order give the same tokens in that order; the rest is not seen."""
    params, stats = nets.init(SMALL, jax.random.key(0), X)

    def run(x, **masks):
        return nets.apply(SMALL, params, stats, x, train=False, method="tokens", **masks)[0]

    everything = run(X)
    order = jnp.array([[5, 0, 3, 1, 4, 2], [0, 1, 2, 3, 4, 5]])
    moved = run(X, keep=order)
    np.testing.assert_allclose(moved[:, 0], everything[:, 0], atol=1e-5)
    for i in range(2):
        np.testing.assert_allclose(moved[i, 1:], everything[i, 1:][order[i]], atol=1e-5)
    few = run(X, keep=order[:, :3])
    assert few.shape == (2, 4, 24)
    unseen = X.at[0, :4, 4:8].set(7.0).at[1, 4:].set(7.0)  # patch 1 of the first, 3-5 of the second
    np.testing.assert_array_equal(run(unseen, keep=order[:, :3]), few)
    # entries that only fill up are not attended to
    valid = jnp.arange(6) < 3
    filled = run(X, keep=order, valid=jnp.broadcast_to(valid, (2, 6)))
    np.testing.assert_allclose(filled[:, :4], few, atol=1e-5)
    assert np.abs(np.asarray(moved[:, :4] - few)).max() > 1e-2


def test_layers_and_attention():
    params, stats = nets.init(SMALL, jax.random.key(0), X)

    def run(params, method, module=SMALL, **masks):
        return nets.apply(module, params, stats, X, train=False, method=method, **masks)[0]

    layers = run(params, "layers")
    assert layers.shape == (2, 2, 7, 24)
    last = layers[-1] - layers[-1].mean(-1, keepdims=True)
    last /= np.sqrt((last**2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(last, run(params, "tokens"), atol=1e-5)
    first = SMALL.clone(depth=1)
    fewer = {k: v for k, v in params.items() if k != "blocks_1"}
    np.testing.assert_array_equal(run(fewer, "layers", first)[0], layers[0])
    keep = jnp.array([[2, 4]] * 2)
    assert run(params, "layers", keep=keep).shape == (2, 2, 3, 24)

    maps = run(params, "attention")
    assert maps.shape == (2, 3, 7, 7)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-6)
    # the last block with these maps written out
    attn = params["blocks_1"]["attn"]
    x = layers[0] - layers[0].mean(-1, keepdims=True)
    x /= np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    v = (x @ attn["qkv"]["kernel"] + attn["qkv"]["bias"])[..., 48:].reshape(2, 7, 3, 8)
    y = jnp.einsum("bhqk,bkhd->bqhd", maps, v).reshape(2, 7, 24)
    y = layers[0] + y @ attn["proj"]["kernel"] + attn["proj"]["bias"]
    silent = jax.tree.map(jnp.zeros_like, params["blocks_1"]["mlp"])
    alone = params | {"blocks_1": params["blocks_1"] | {"mlp": silent}}
    np.testing.assert_allclose(run(alone, "layers")[1], y, atol=1e-5)


@pytest.mark.parametrize("grid", [(2, 2), (7, 5), (6, 9)])
def test_positions_are_resized_as_torch_does(grid):
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).normal(size=(1, 4, 4, 6)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(table).permute(0, 3, 1, 2), size=grid, mode="bicubic"
    )
    ours = resize_positions(table.reshape(1, 16, 6), *grid)
    np.testing.assert_allclose(ours, expected.permute(0, 2, 3, 1).reshape(1, -1, 6), atol=1e-5)
    same = resize_positions(table.reshape(1, 16, 6), 4, 4)
    np.testing.assert_allclose(same, table.reshape(1, 16, 6), atol=1e-6)


def test_any_size():
    small = SMALL.clone(depth=1)
    module = small.clone(any_size=True)
    square, wide = X[:, :, :8], jnp.tile(X, (1, 2, 1, 1))
    params, stats = nets.init(module, jax.random.key(0), square)
    fixed, _ = nets.init(small, jax.random.key(0), square)
    jax.tree.map(np.testing.assert_array_equal, params, fixed)
    same, _ = nets.apply(module, params, stats, square, train=False, method="tokens")
    usual, _ = nets.apply(small, params, stats, square, train=False, method="tokens")
    np.testing.assert_array_equal(same, usual)
    other, _ = nets.apply(module, params, stats, wide, train=False, method="tokens")
    table = jnp.concatenate(
        [params["pos_embed"][:, :1], resize_positions(params["pos_embed"][:, 1:], 4, 3)], axis=1
    )
    whole, _ = nets.apply(
        small, params | {"pos_embed": table}, stats, wide, train=False, method="tokens"
    )
    np.testing.assert_array_equal(other, whole)
    # 1 x 4 patches are as many as 2 x 2, and yet another grid
    long, _ = nets.apply(module, params, stats, jnp.tile(X, (1, 1, 2, 1))[:, :4, :16], train=False)
    assert long.shape == (2, 24)
    with pytest.raises(ValueError, match="square"):
        nets.init(module, jax.random.key(0), X)
    with pytest.raises(ValueError, match="do not fit"):
        nets.apply(small, params, stats, wide, train=False)
