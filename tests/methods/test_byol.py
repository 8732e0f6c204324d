"""BYOL: both directions, the target's start, its average and its batch norm."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_first import CASES
from laws import Jitter

from ssljax import nets
from ssljax.methods import BYOL
from ssljax.nets import MLP, SmallConv
from ssljax.views import view_pair

KEY = jax.random.key(5)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module")
def start():
    method, rows = CASES["byol"].method, CASES["byol"].batch(16)
    params, extra = method.init(jax.random.key(0), rows)
    return method, rows, params, extra


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def test_byol_reference(start):
    """Both directions, added; each view through its own pass; the target in training mode."""
    method, rows, params, extra = start
    value, (after, _) = jax.jit(method.loss)(params, extra, rows, KEY)
    views = view_pair(method.views, KEY, rows["image"])
    target_chain = {"encoder": method.encoder, "projector": method.projector}
    chain = target_chain | {"predictor": method.predictor}
    target = extra["target"]

    def passes(chain, params, stats, train=True):
        run = jax.jit(lambda *trees: nets.apply_each(chain, *trees, train=train))
        return run(params, stats, views)

    p, stats = passes(chain, params, extra["stats"])
    z, target_stats = passes(target_chain, target["params"], target["stats"])
    p, z = [unit(x) for x in p], [unit(x) for x in z]
    directions = [np.mean(((p[i] - z[1 - i]) ** 2).sum(1)) for i in (0, 1)]
    np.testing.assert_allclose(value, sum(directions), rtol=1e-5)
    assert min(directions) > 0.1  # so half of it, or one direction, would differ
    own = [np.mean(((p[i] - z[i]) ** 2).sum(1)) for i in (0, 1)]
    assert abs(sum(own) - value) > 1e-3  # each view with its own target
    np.testing.assert_allclose(flat(after["stats"]), flat(stats), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        flat(after["target"]["stats"]), flat(target_stats), rtol=1e-4, atol=1e-6
    )
    evaluated, _ = passes(target_chain, target["params"], target["stats"], train=False)
    assert np.abs(unit(evaluated[0]) - z[0]).max() > 1e-2  # a target in evaluation mode


@dataclass(frozen=True)
class Still(Jitter):
    """The image itself: both views are equal."""

    def __call__(self, key, image):
        return self.plain(image)


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.0), (-1.0, 8.0)])
def test_ends_of_the_range(start, sign, expected):
    """0 where the prediction is the target, 8 where it is its opposite."""
    rows = start[1]
    method = BYOL(
        encoder=SmallConv(widths=(4,)),
        projector=MLP(widths=(5,), output_bias=False),
        predictor=MLP(widths=(5,), output_bias=False),
        views=(Still(), Still()),
    )
    params, extra = method.init(jax.random.key(0), rows)
    params = params | {"predictor": {"linear_0": {"kernel": sign * jnp.eye(5)}}}
    copied = {name: params[name] for name in ("encoder", "projector")}
    extra = extra | {"target": extra["target"] | {"params": copied}}
    value, _ = jax.jit(method.loss)(params, extra, rows, KEY)
    np.testing.assert_allclose(value, expected, atol=1e-5)


def test_the_target_starts_from_weights_of_its_own(start):
    _, _, params, extra = start
    for name in ("encoder", "projector"):
        online, target = params[name], extra["target"]["params"][name]
        assert jax.tree.structure(online) == jax.tree.structure(target)
        assert np.corrcoef(flat(online), flat(target))[0, 1] < 0.9
    assert "predictor" not in extra["target"]["params"]


@pytest.mark.parametrize(
    ("k", "tau"), [(0, 0.99), (25, 1 - 0.01 * (1 + np.cos(np.pi / 4)) / 2), (100, 1.0), (120, 1.0)]
)
def test_the_average(start, k, tau):
    """tau starts at tau_base and ends at 1; target = tau target + (1 - tau) online."""
    method, _, params, extra = start
    moved = replace(method, tau=0.99).after(params, extra, jnp.int32(k), updates=100)
    old, new = flat(extra["target"]["params"]), flat(moved["target"]["params"])
    online = flat({name: params[name] for name in ("encoder", "projector")})
    np.testing.assert_allclose(new, tau * old + (1 - tau) * online, rtol=1e-5, atol=1e-7)
    if tau == 1.0:
        np.testing.assert_array_equal(new, old)
    # running statistics are the target's own, not an average
    np.testing.assert_array_equal(flat(moved["target"]["stats"]), flat(extra["target"]["stats"]))


def test_batch_norm_of_the_target_is_its_own(start):
    method, rows, params, extra = start
    _, (after, _) = jax.jit(method.loss)(params, extra, rows, KEY)
    for name in ("encoder", "projector"):
        online, target = after["stats"][name], after["target"]["stats"][name]
        assert np.abs(flat(online) - flat(target)).max() > 1e-3
        assert np.abs(flat(target) - flat(extra["target"]["stats"][name])).max() > 1e-3
