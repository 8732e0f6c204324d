"""CLIP and SigLIP: a naive loop agrees, all forms agree, and memory is bounded by the chunk."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ssljax.losses import pairs

B, D = 16, 6
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, B, D)).astype(np.float32)
T, BIAS = np.float32(1.7), np.float32(-3.0)
LOSSES = {
    "clip": (pairs.clip, pairs.clip_chunked, pairs.clip_ring, (X, Y, T)),
    "siglip": (pairs.siglip, pairs.siglip_chunked, pairs.siglip_ring, (X, Y, T, BIAS)),
}
each = pytest.mark.parametrize("name", LOSSES)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def naive(name):
    """Loops in float64, from the definitions."""
    x, y = (a.astype(np.float64) / np.linalg.norm(a, axis=1, keepdims=True) for a in (X, Y))
    total = 0.0
    for i in range(B):
        s = [math.exp(T) * float(x[i] @ y[j]) for j in range(B)]
        if name == "clip":
            back = [math.exp(T) * float(x[j] @ y[i]) for j in range(B)]
            for row in (s, back):
                total -= 0.5 * math.log(math.exp(row[i]) / sum(map(math.exp, row)))
        else:
            for j in range(B):
                sign = 1 if i == j else -1
                total -= math.log(1 / (1 + math.exp(-sign * (s[j] + BIAS))))
    return total / B


def mesh(devices):
    return jax.make_mesh(
        (devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
    )


def with_gradients(loss, arguments):
    argnums = tuple(range(len(arguments)))
    return jax.jit(jax.value_and_grad(loss, argnums=argnums))(*arguments)


def assert_same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@each
def test_a_loop_agrees(name):
    full, _, _, arguments = LOSSES[name]
    assert float(full(*arguments)) == pytest.approx(naive(name), rel=1e-6)


def test_known_values():
    """All rows equal gives ln B; SigLIP at cosine 0 as computed by hand in its paper's terms."""
    same = np.ones((B, D), np.float32)
    assert float(pairs.clip(same, same, T)) == pytest.approx(math.log(B), rel=1e-5)
    x, y = np.zeros((2, B, 2 * B), np.float32)
    x[np.arange(B), np.arange(B)] = y[np.arange(B), B + np.arange(B)] = 1
    expected = math.log1p(math.exp(10)) + (B - 1) * math.log1p(math.exp(-10))
    found = float(pairs.siglip(x, y, math.log(10), -10.0))
    assert found == pytest.approx(expected, rel=1e-6)


@each
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_chunks_change_nothing(name, chunk):
    full, chunked, _, arguments = LOSSES[name]
    found = with_gradients(lambda *a: chunked(*a, chunk=chunk), arguments)
    assert_same(found, with_gradients(full, arguments))


@each
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_a_ring_changes_nothing(name, devices):
    full, _, ring, arguments = LOSSES[name]
    ours = mesh(devices)
    rows = NamedSharding(ours, P("data"))
    split = [jax.device_put(a, rows) for a in arguments[:2]] + list(arguments[2:])
    chunk = None if devices == 4 else B // devices // 2
    found = with_gradients(lambda *a: ring(*a, mesh=ours, chunk=chunk), split)
    assert found[1][0].sharding.spec == P("data")
    assert_same(found, with_gradients(full, arguments))


@each
def test_memory_is_bounded_by_the_chunk(name):
    """Of value and gradients, compiled for B = 2048: the full form holds [B, B], the others not."""
    full, chunked, ring, arguments = LOSSES[name]
    b, chunk, ours = 2048, 32, mesh(8)
    rows = NamedSharding(ours, P("data"))

    def temporary(loss, sharding=None):
        x = jax.ShapeDtypeStruct((b, D), jnp.float32, sharding=sharding)
        scalars = [jax.ShapeDtypeStruct((), jnp.float32)] * (len(arguments) - 2)
        run = jax.jit(jax.value_and_grad(loss, argnums=tuple(range(len(arguments)))))
        return run.lower(x, x, *scalars).compile().memory_analysis().temp_size_in_bytes

    embeddings = 40 * b * D * 4  # a few copies of what is [B, D]
    assert temporary(full) > b * b * 4
    assert temporary(lambda *a: chunked(*a, chunk=chunk)) < 6 * chunk * b * 4 + embeddings
    on_each = temporary(lambda *a: ring(*a, mesh=ours, chunk=chunk), rows)
    assert on_each < (6 * chunk * b * 4 + embeddings) / 8


@each
def test_bad_chunks(name):
    _, chunked, ring, arguments = LOSSES[name]
    with pytest.raises(ValueError, match="does not divide the 16 rows"):
        chunked(*arguments, chunk=5)
    with pytest.raises(ValueError, match="does not divide the 4 rows"):
        ring(*arguments, mesh=mesh(4), chunk=3)


def test_rank_accuracy():
    assert float(pairs.rank_accuracy(X, X)) == 1
    assert float(pairs.rank_accuracy(X, np.roll(X, 1, axis=0))) == 0
