"""FCN and InceptionTime beside their transcription in torch, and what padding must not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import FCN, InceptionTime

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
SERIES, STEPS = RNG.normal(size=(3, 12, 2)).astype(np.float32), np.ones((3, 12), bool)
SMALL = {
    "fcn": FCN(widths=(3, 4, 5), kernels=(8, 5, 3)),
    "inception": InceptionTime(width=2, depth=3, kernels=(6, 5, 4)),
}


def started(name):
    """(net, params, stats) whose norms have other statistics than fresh ones."""
    net = SMALL[name]
    arrays = nets.init(net, jax.random.key(0), (SERIES, STEPS))
    rng = np.random.default_rng(1)
    other = jax.tree.map(lambda x: x + rng.uniform(0, 0.5, x.shape).astype(np.float32), arrays)
    return net, *other


def convolution(p, x):
    """x [B, C, T]."""
    kernel = torch.tensor(np.asarray(p["conv"]["kernel"])).permute(2, 1, 0)
    return torch.nn.functional.conv1d(x, kernel, padding="same")


def norm(p, s, x, train):
    p, s = p["norm"], s["norm"]
    mean, var, scale, bias = (
        torch.tensor(np.array(v)) for v in (s["mean"], s["var"], p["scale"], p["bias"])
    )
    return torch.nn.functional.batch_norm(x, mean, var, scale, bias, training=train, eps=1e-5)


def fcn(p, s, x, train):
    for i in range(3):
        x = torch.relu(norm(p[f"norm{i}"], s[f"norm{i}"], convolution(p[f"conv{i}"], x), train))
    return x.mean(-1)


def inception(p, s, x, train):
    before = x
    for i in range(3):
        narrow = convolution(p[f"bottleneck{i}"], x)
        parts = [convolution(p[f"conv{i}_{k}"], narrow) for k in (6, 5, 4)]
        pooled = torch.nn.functional.max_pool1d(x, 3, stride=1, padding=1)
        parts.append(convolution(p[f"pooled{i}"], pooled))
        x = torch.relu(norm(p[f"norm{i}"], s[f"norm{i}"], torch.cat(parts, 1), train))
    shortcut = convolution(p["shortcut2"], before)
    return torch.relu(x + norm(p["shortcut_norm2"], s["shortcut_norm2"], shortcut, train)).mean(-1)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_a_net_is_that_of_torch(name, train):
    net, params, stats = started(name)
    theirs = {"fcn": fcn, "inception": inception}[name]
    with jax.default_matmul_precision("highest"):
        found, moved = nets.apply(net, params, stats, (SERIES, STEPS), train=train)
    with torch.no_grad():
        want = theirs(params, stats, torch.tensor(SERIES).permute(0, 2, 1), train)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), moved, stats)
    assert all(jax.tree.leaves(same)) is not train


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_padding_changes_nothing(name, train):
    net, params, stats = started(name)
    longer = np.concatenate([SERIES, np.full((3, 5, 2), 7.0, np.float32)], axis=1)
    real = np.concatenate([STEPS, np.zeros((3, 5), bool)], axis=1)
    found = nets.apply(net, params, stats, (longer, real), train=train)
    want = nets.apply(net, params, stats, (SERIES, STEPS), train=train)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_sizes_and_refused_input():
    def count(net, channels):
        x = (jnp.zeros((1, 50, channels)), jnp.ones((1, 50), bool))
        params, _ = jax.eval_shape(lambda k: nets.init(net, k, x), jax.random.key(0))
        return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(params))

    # Wang et al. with one channel, without biases and classifier: 8 128 + 5 128 256 + 3 256 128
    # weights and two numbers a channel of the norms.
    assert count(FCN(), 1) == 8 * 128 + 5 * 128 * 256 + 3 * 256 * 128 + 2 * (128 + 256 + 128)
    # A module: bottleneck 128 32 (of more than one channel), branches 70 32 32, pooled C 32, norms.
    first, later = 70 * 32 + 32 + 256, 128 * 32 + 70 * 32 * 32 + 128 * 32 + 256
    shortcuts = 128 + 128 * 128 + 2 * 256
    assert count(InceptionTime(), 1) == first + 5 * later + shortcuts
    for net in SMALL.values():
        with pytest.raises(ValueError, match=r"series \[B, T, C\] and steps"):
            nets.init(net, jax.random.key(0), (SERIES, STEPS[:, :-1]))
