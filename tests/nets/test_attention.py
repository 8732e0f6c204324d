"""Attention against a loop over positions in float64, and its kernels against each other."""

import re
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ssljax.mesh import ANY, devices, within
from ssljax.nets import attention
from ssljax.nets.attention import attend, plain_attention
from ssljax.training.sharding import Parallel

B, T, H, D = 2, 7, 3, 4
KEY = jax.random.key(0)


def arrays(length=T, width=D):
    return [jax.random.normal(k, (B, length, H, width)) for k in jax.random.split(KEY, 3)]


def loop(q, k, v, *, sees, scale, bias=None):
    """sees(b, i, j): whether position i of row b sees position j."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    out = np.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            for i in range(q.shape[1]):
                js = [j for j in range(k.shape[1]) if sees(b, i, j)]
                logits = np.array([q[b, i, h] @ k[b, j, h] * scale for j in js])
                if bias is not None:
                    logits = logits + np.array([bias[h, i, j] for j in js])
                w = np.exp(logits - logits.max())
                out[b, i, h] = (w / w.sum()) @ v[b, js, h]
    return out


SEGMENTS = np.array([[1, 1, 1, 2, 2, 3, 0], [1, 1, 2, 2, 2, 0, 0]])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("segments", [None, SEGMENTS])
def test_agrees_with_a_loop(causal, segments):
    q, k, v = arrays()

    def sees(b, i, j):
        same = segments is None or segments[b, i] == segments[b, j]
        return same and (j <= i or not causal)

    given = None if segments is None else jnp.asarray(segments)
    with jax.default_matmul_precision("highest"):
        y = attend(q, k, v, causal=causal, segments=given)
        plain = attend(q, k, v, causal=causal, segments=given, dropout=1e-9, key=KEY)
    want = loop(q, k, v, sees=sees, scale=D**-0.5)
    np.testing.assert_allclose(y, want, atol=2e-6)
    np.testing.assert_allclose(plain, want, atol=2e-6)


def test_bias_scale_and_seen():
    q, k, v = arrays()
    bias = jax.random.normal(KEY, (1, H, T, T))
    seen = jnp.asarray(SEGMENTS > 0)
    y = attend(q, k, v, bias=bias, scale=1.0, seen=seen)
    want = loop(
        q, k, v, sees=lambda b, i, j: SEGMENTS[b, j] > 0, scale=1.0, bias=np.asarray(bias[0])
    )
    np.testing.assert_allclose(y, want, atol=5e-6)


def test_dropout_keeps_the_mean_and_drops_its_share():
    q = jnp.zeros((1, 1, 1, D))
    k, v = jnp.zeros((1, 4000, 1, D)), jnp.ones((1, 4000, 1, D))
    y = plain_attention(q, k, v, scale=1.0, dropout=(0.25, KEY))
    np.testing.assert_allclose(y, 1.0, atol=0.05)
    other = plain_attention(q, k, v, scale=1.0, dropout=(0.25, jax.random.key(1)))
    assert not np.array_equal(y, other)


ROWS = np.repeat([[1, 2, 2, 0], [1, 1, 1, 2], [1, 1, 1, 1], [1, 2, 3, 0]], 32, axis=1)
MASKS = {
    "all": {},
    "causal": {"causal": True},
    "documents": {"causal": True, "segments": ROWS},
    "words": {"segments": ROWS},
    "padding": {"seen": ROWS > 0},
}


def standing_in(q, k, v, segments, *, causal, scale):
    """What `_splash` promises, in the plain form, of what one device has."""
    assert q.shape[0] in (1, 4) and q.shape[2] in (1, 2, 3), "not the share of a device"
    mask = attention._mask(q, k, causal, segments, None)
    return plain_attention(q, k, v, mask=mask, scale=scale)


@pytest.mark.parametrize(
    ("masks", "split", "heads", "interpreted"),
    [
        ("documents", None, 2, True),
        ("words", (4, 1), 1, True),
        *((masks, (4, 2), 2, False) for masks in MASKS),
        ("documents", (4, 2), 3, False),  # heads that two devices cannot share
    ],
)
def test_the_kernel_of_tpus_equals_the_plain_form(monkeypatch, masks, split, heads, interpreted):
    """Values and gradients, on one device and on several, by the path that a TPU takes: with Pallas
    interpreting the kernel, or another kernel in its place."""
    kernel = partial(attention._splash, interpret=True) if interpreted else standing_in
    monkeypatch.setattr(attention, "_splash", kernel)
    chips = jax.devices()[: int(np.prod(split or 1))]
    mesh = Parallel(model=1 if split is None else split[1]).mesh(chips)
    monkeypatch.setattr(attention, "devices", lambda: devices()._replace(platform="tpu"))
    q, k, v = (jax.random.normal(x, (4, 128, heads, 64)) for x in jax.random.split(KEY, 3))
    masks = {name: m if m is True else jnp.asarray(m) for name, m in MASKS[masks].items()}
    mask = attention._mask(q, k, masks.get("causal"), masks.get("segments"), masks.get("seen"))

    def loss(fn, *arrays):
        y = fn(*arrays)
        return jnp.sum(jnp.sin(y)), y

    def total(fn):
        return jax.jit(jax.value_and_grad(partial(loss, fn), argnums=(0, 1, 2), has_aux=True))

    put = partial(jax.device_put, device=NamedSharding(mesh, P("data")))
    with jax.default_matmul_precision("highest"):
        (_, y), grads = total(within(mesh)(partial(attend, **masks)))(put(q), put(k), put(v))
        (_, want), want_grads = total(partial(plain_attention, mask=mask, scale=0.125))(q, k, v)
    np.testing.assert_allclose(y, want, atol=1e-5)
    for a, b in zip(grads, want_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def calls(mesh, platform, *, batch=8, length=128, dtype=jnp.bfloat16, **options):
    """Names of the kernels in the gradient of attention, lowered for devices that are not here."""
    x = jax.ShapeDtypeStruct((batch, length, 4, 64), dtype, sharding=NamedSharding(mesh, P()))

    def loss(q, k, v):
        return jnp.sum(attend(q, k, v, **options).astype(jnp.float32))

    gradient = jax.jit(within(mesh)(jax.grad(loss, argnums=(0, 1, 2))))
    text = gradient.trace(x, x, x).lower(lowering_platforms=(platform,)).as_text()
    return set(re.findall(r"custom_call @([\w.$]+)", text)) - {"Sharding"}


def test_kernels_are_chosen_for_the_platform_of_the_program(monkeypatch):
    """A TPU that is only described gets its kernel, whatever this machine has."""
    axes = ("data", "model"), (AxisType.Auto, AxisType.Auto)
    tpu = AbstractMesh((4, 2), *axes, abstract_device=AbstractDevice("TPU v5 lite", 1, "tpu"))
    assert calls(tpu, "tpu", causal=True) == {"tpu_custom_call"}
    assert not calls(tpu, "tpu", seen=jnp.ones((8, 128), bool))
    assert not calls(tpu, "tpu", batch=6), "XLA cannot split the kernel over 4 devices"
    assert not calls(tpu, "tpu", length=64)
    assert not calls(tpu, "tpu", bias=jnp.ones((1, 4, 128, 128)))
    assert not calls(ANY, "tpu"), "what is exported must run everywhere"
    # Nobody says which of the eight devices here it is for.
    monkeypatch.setattr(attention, "devices", lambda: devices()._replace(platform="tpu", mesh=None))
    assert not calls(tpu, "tpu")


def test_cudnn_is_chosen_where_it_takes_the_arrays(monkeypatch):
    from jax._src.cudnn import fused_attention_stablehlo as cudnn

    forward = "__cudnn$fmhaSoftmax"
    there = SimpleNamespace(cudnn_get_version=lambda: 91002)
    monkeypatch.setattr(cudnn, "cuda_versions", there)
    monkeypatch.setattr(attention, "devices", lambda: devices()._replace(platform="gpu"))
    mesh = Parallel(model=2).mesh()
    assert not calls(mesh, "cuda"), "before Ampere, and on other makes"
    monkeypatch.setattr(attention, "_capability", lambda: 8.0)
    assert calls(mesh, "cuda", causal=True) == {forward, forward + "Backward"}
    seen = jnp.ones((8, 128), bool)
    assert any("Bias" in name for name in calls(mesh, "cuda", seen=seen))
    assert calls(mesh, "cuda", length=197) == {forward, forward + "Backward"}  # a ViT
    assert not calls(mesh, "cuda", length=197, seen=jnp.ones((8, 197), bool))
    assert not calls(mesh, "cuda", dtype=jnp.float32)
