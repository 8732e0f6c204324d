"""`init` and `apply`: plain trees, statistics, and networks that are fields of an experiment."""

import dataclasses
import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import MLP, ResNet, SmallConv, ViT
from ssljax.runs import record

MODULES = [ResNet(depth=50, width=8), SmallConv(widths=(4, 8)), MLP(widths=(8, 4)), ViT(patch=8)]
X = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))


def plain(tree):
    return type(tree) is dict and all(
        plain(v) if isinstance(v, dict) else isinstance(v, jax.Array) for v in tree.values()
    )


@pytest.mark.parametrize("norm", [True, False])
def test_statistics_move_in_training_only(norm):
    module, x = MLP(widths=(8, 4), norm=norm), X.reshape(4, -1)
    params, stats = nets.init(module, jax.random.key(0), x)
    assert plain(params)
    assert plain(stats)
    assert bool(stats) == norm
    y, same = nets.apply(module, params, stats, x, train=False)
    assert same is stats
    z, moved = nets.apply(module, params, stats, x, train=True)
    assert y.shape == z.shape == (4, 4)
    assert jax.tree.structure(moved) == jax.tree.structure(stats)
    assert plain(moved)
    if norm:
        assert not np.array_equal(moved["bn_0"]["mean"], stats["bn_0"]["mean"])
        assert not np.array_equal(y, z)


def test_init_reads_shapes_only():
    """The same parameters for any values and batch size, eagerly, jitted and from a shape."""
    module, key = SmallConv(widths=(4, 8)), jax.random.key(3)
    spec = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    first = nets.init(module, key, X)
    for other in (nets.init(module, key, spec), jax.jit(lambda k: nets.init(module, k, X))(key)):
        jax.tree.map(np.testing.assert_array_equal, first, other)
    different, _ = nets.init(module, jax.random.key(4), X)
    assert not np.array_equal(different["conv1"]["kernel"], first[0]["conv1"]["kernel"])


def test_init_is_cheap_under_eval_shape():
    spec = jax.ShapeDtypeStruct((4096, 224, 224, 3), jnp.float32)
    start = time.perf_counter()
    jax.eval_shape(lambda k: nets.init(ResNet(depth=101), k, spec), jax.random.key(0))
    assert time.perf_counter() - start < 20  # forty gigabytes of activations otherwise


def test_input_that_does_not_fit_the_parameters():
    for module, other in ((SmallConv(widths=(4,)), X[..., :1]), (ViT(patch=4, depth=1), X[:, :4])):
        params, stats = nets.init(module, jax.random.key(0), X)
        with pytest.raises(ValueError, match="do not fit"):
            nets.apply(module, params, stats, other, train=False)
    with pytest.raises(ValueError, match="do not fit"):
        nets.apply(ViT(patch=4, depth=2), params, stats, X, train=False)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_networks_are_plain_data(module):
    """An experiment writes them to config.json, compares them, and replaces their fields."""
    encoded = json.loads(json.dumps(record.encode(module)))
    assert record.decode(encoded) == module
    assert hash(module) == hash(record.decode(encoded))
    assert dataclasses.replace(module, dtype="bfloat16").dtype == "bfloat16"
