"""Methods on graphs against transcriptions of their equations, on given arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_graph import CASES, graph

from ssljax import nets
from ssljax.methods import GraphMAE
from ssljax.probes import with_online_probe
from ssljax.views import GraphView, hidden_nodes

KEY = jax.random.key(6)
BATCH = graph()
SEED = BATCH["seed"]


def start(name):
    method = CASES[name].method
    params, extra = method.init(jax.random.key(0), BATCH)
    value, (after, metrics) = jax.jit(method.loss)(params, extra, BATCH, KEY)
    return method, params, extra, float(value), after, metrics


def unit(x):
    x = np.float64(x)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def gcn(p, x, features, i=0):
    """One layer on the whole graph in float64, before its activation."""
    n = len(features)
    a = np.eye(n)
    for s, t in x["edges"].reshape(-1, 2):
        if s >= 0 and s != t:
            a[t, s] += 1
    d = a.sum(1)
    layer = jax.tree.map(np.float64, p[f"convs_{i}"])
    return (a / np.sqrt(np.outer(d, d))) @ features @ layer["lin"]["kernel"] + layer["bias"]


def test_dgi_reference():
    _, params, _, value, _, _ = start("dgi")
    order = np.asarray(nets.permuted(KEY, BATCH["node"]))
    assert not np.array_equal(order, np.arange(16))

    def encode(features):
        y = gcn(params["encoder"], BATCH, np.float64(features))
        return np.where(y >= 0, y, 0.25 * y)

    h, f = encode(BATCH["features"]), encode(BATCH["features"][order])
    s = 1 / (1 + np.exp(-h[SEED].mean(0)))
    w = np.float64(params["discriminator"]["kernel"])
    expected = np.mean(softplus(-(h @ w @ s))[SEED] + softplus(f @ w @ s)[SEED]) / 2
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_grace_reference():
    method, params, _, value, _, _ = start("grace")
    codes = []
    for view, key in zip(method.views, jax.random.split(KEY), strict=True):
        x = jax.device_get(view(key, BATCH))
        h = np.maximum(gcn(params["encoder"], x, np.float64(x["features"])), 0)
        h = np.maximum(gcn(params["encoder"], x, h, 1), 0)
        p = jax.tree.map(np.float64, params["projector"])
        h = h @ p["linear_0"]["kernel"] + p["linear_0"]["bias"]
        h = np.where(h > 0, h, np.expm1(h))
        codes.append(unit(h @ p["linear_1"]["kernel"] + p["linear_1"]["bias"])[SEED])
    u, v = codes
    n = len(u)

    def side(a, b):
        across, within = np.exp(a @ b.T / 0.4), np.exp(a @ a.T / 0.4)
        return -np.log(np.diag(across) / (across.sum(1) + within.sum(1) - np.diag(within)))

    assert n == 14
    np.testing.assert_allclose(value, np.mean((side(u, v) + side(v, u)) / 2), rtol=1e-5)


def test_bgrl_reference():
    """Two cosines across views; the target moves by 1 - tau, and has weights of its own."""
    method, params, extra, value, after, _ = start("bgrl")
    seen = [v(k, BATCH) for v, k in zip(method.views, jax.random.split(KEY), strict=True)]
    online, target = [], []
    stats, moving = extra["stats"], extra["target"]["stats"]
    for x in seen:
        h, s = nets.apply(method.encoder, params["encoder"], stats["encoder"], x, train=True)
        stats = stats | {"encoder": s}
        q, _ = nets.apply(method.predictor, params["predictor"], {}, h, train=True)
        online.append(unit(q))
        h, s = nets.apply(
            method.encoder, extra["target"]["params"]["encoder"], moving["encoder"], x, train=True
        )
        moving = {"encoder": s}
        target.append(unit(h))
    cos = (online[0] * target[1]).sum(-1) + (online[1] * target[0]).sum(-1)
    np.testing.assert_allclose(value, 2 - cos[SEED].mean(), rtol=1e-5)
    first = jax.tree.leaves(params["encoder"])[1], jax.tree.leaves(extra["target"]["params"])[1]
    assert not np.array_equal(*first)
    moved = method.after(params, after, jnp.asarray(5), updates=10)
    tau = 1 - (1 - method.tau) * (np.cos(np.pi / 2) + 1) / 2
    for now, old, new in zip(
        jax.tree.leaves(moved["target"]["params"]),
        jax.tree.leaves(extra["target"]["params"]),
        jax.tree.leaves({"encoder": params["encoder"]}),
        strict=True,
    ):
        np.testing.assert_allclose(now, tau * old + (1 - tau) * new, rtol=1e-5, atol=1e-7)


def test_graphmae_reference():
    """Codes of hidden nodes are hidden once more, and only hidden nodes are drawn."""
    method, params, _, value, _, _ = start("graphmae")
    to_hide, to_replace, to_draw, to_drop = jax.random.split(KEY, 4)
    hidden = np.asarray(hidden_nodes(to_hide, SEED, 0.5))
    assert hidden.sum() == 7
    assert not hidden[~SEED].any()
    swapped = np.asarray(hidden_nodes(to_replace, hidden, 0.05))
    x = BATCH["features"].copy()
    x[hidden] = np.asarray(params["token"])
    order = np.asarray(nets.permuted(to_draw, BATCH["node"]))
    x[swapped] = BATCH["features"][order][swapped]
    rngs = {"dropout": to_drop}
    plain = {k: BATCH[k] for k in ("edges", "node")}
    h, _ = nets.apply(
        method.encoder, params["encoder"], {}, plain | {"features": x}, train=True, rngs=rngs
    )
    h = np.array(h @ params["bridge"]["linear_0"]["kernel"])
    h[hidden] = 0
    decoder = nets.GAT(widths=(6,), heads=1, last=False)
    y, _ = nets.apply(decoder, params["decoder"], {}, plain | {"features": h}, train=True)
    cosine = (unit(y) * unit(BATCH["features"])).sum(-1)
    np.testing.assert_allclose(value, np.mean((1 - cosine[hidden]) ** 3), rtol=1e-5)


def test_vgae_reference():
    _, params, _, value, _, metrics = start("vgae")
    h = np.maximum(gcn(params["encoder"], BATCH, np.float64(BATCH["features"])), 0)
    mean, log_s = (gcn(params[k], BATCH, h) for k in ("mean", "log_std"))
    z = mean + np.exp(log_s) * np.float64(jax.random.normal(KEY, mean.shape))
    a = np.zeros((16, 16))
    for s, t in BATCH["edges"].reshape(-1, 2):
        if s >= 0 and s != t:
            a[s, t] = 1
    n, e = 16, a.sum()
    pos, norm = (n**2 - e) / e, n**2 / (2 * (n**2 - e))
    y, s = a + np.eye(n), z @ z.T
    nll = norm * np.mean(pos * y * softplus(-s) + (1 - y) * softplus(s))
    kl = -0.5 * np.mean(np.sum(1 + 2 * log_s - mean**2 - np.exp(2 * log_s), axis=1)) / n
    np.testing.assert_allclose(value, nll + kl, rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], kl * n, rtol=1e-5)


def test_views_leave_out_edges_and_columns():
    view = GraphView(edges=0.5, features=0.5)
    x = view(KEY, BATCH)
    kept = np.asarray(x["edges"])[..., 0] >= 0
    same = np.asarray(x["edges"])[kept] == BATCH["edges"][kept]
    assert same.all()
    assert 0 < kept.sum() < (BATCH["edges"][..., 0] >= 0).sum()
    column = np.asarray(x["features"]).any(0)
    assert 0 < column.sum() < 6
    np.testing.assert_array_equal(x["features"][:, column], BATCH["features"][:, column])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_are_hidden(share):
    found = np.asarray(hidden_nodes(KEY, jnp.asarray(SEED), share))
    np.testing.assert_array_equal(found, SEED if share else np.zeros(16, bool))


def test_graphmae_without_replacement_replaces_nothing():
    """round(0.05 * 7) is 0 nodes, not all of them."""
    assert not np.asarray(hidden_nodes(KEY, jnp.asarray(SEED), 0.03)).any()
    assert GraphMAE().replaced == 0.05


def test_codes_of_vgae_say_which_nodes_are_joined():
    """`links` gives the means, whole and through an online probe, whose own state is put aside."""
    recipe = CASES["vgae"].method
    method = recipe.build(optax.sgd(0.1), updates=10)
    state = method.init(KEY, BATCH)
    found = method.links(state, BATCH)
    (mean, _), _ = recipe.codes(state.params, state.extra["stats"], recipe.inputs(BATCH))
    np.testing.assert_array_equal(found, mean)
    assert found.shape == (len(BATCH["index"]), 3)
    probed = with_online_probe(method, classes=2)
    np.testing.assert_array_equal(probed.links(probed.init(KEY, BATCH), BATCH), found)
    none = CASES["dgi"].method.build(optax.sgd(0.1), updates=1)
    assert with_online_probe(none, classes=2).links is None


def test_methods_learn_from_a_step():
    """A step of each method lowers its loss under the same key."""
    for name in ("dgi", "grace", "vgae"):
        method = CASES[name].method.build(optax.adam(1e-2), updates=10)
        state = method.init(jax.random.key(0), BATCH)
        step = jax.jit(method.step)
        first = last = None
        for _ in range(5):
            state, metrics = step(state, BATCH, KEY)
            first, last = first or float(metrics["loss"]), float(metrics["loss"])
        assert last < first, name
