"""SimCLR: its whole loss, computed again in float64 from the network's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_first import CASES
from laws import VIEW

from ssljax import nets
from ssljax.views import view_pair

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def start():
    method, rows = CASES["simclr"].method, CASES["simclr"].batch(16)
    with jax.default_matmul_precision("highest"):
        params, extra = method.init(jax.random.key(0), rows)
        value, (after, _) = jax.jit(method.loss)(params, extra, rows, KEY)
    return method, rows, params, extra, float(value), after


def embeddings(start, *, together):
    """Both views through encoder and projector, in one pass or in one pass each."""
    method, rows, params, extra, *_ = start
    chain = {"encoder": method.encoder, "projector": method.projector}
    views = view_pair((VIEW, VIEW), KEY, rows["image"])
    batches = [jnp.concatenate(views)] if together else views
    with jax.default_matmul_precision("highest"):
        run = jax.jit(lambda *trees: nets.apply_each(chain, *trees, train=True))
        outputs, stats = run(params, extra["stats"], batches)
    return np.concatenate(outputs).astype(np.float64), stats


def nt_xent(z, temperature, *, keep_partner=True):
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(z), 0.0
    for i in range(n):
        partner = (i + n // 2) % n
        others = [j for j in range(n) if j != i and (keep_partner or j != partner)]
        e = np.exp([z[i] @ z[j] / temperature for j in others])
        total += np.log(e.sum()) - z[i] @ z[partner] / temperature
    return total / n


def test_simclr_reference(start):
    z, stats = embeddings(start, together=True)
    np.testing.assert_allclose(start[4], nt_xent(z, 0.5), rtol=1e-5)
    leaves = zip(jax.tree.leaves(stats), jax.tree.leaves(start[5]["stats"]), strict=True)
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in leaves)


def test_misreadings_differ(start):
    together, _ = embeddings(start, together=True)
    apart, _ = embeddings(start, together=False)
    assert abs(start[4] - nt_xent(apart, 0.5)) > 1e-3  # batch norm of each view by itself
    assert abs(start[4] - nt_xent(together, 0.5, keep_partner=False)) > 1e-3  # DCL
    assert abs(start[4] - 2 * nt_xent(together, 0.5)) > 1  # the sum of both views
    halves = [
        nt_xent(np.concatenate([together[i : i + 8], together[i + 16 : i + 24]]), 0.5)
        for i in (0, 8)
    ]
    assert abs(start[4] - np.mean(halves)) > 0.1  # negatives of one device of two


def test_views_are_drawn_apart(start):
    """The two views of an image are two draws, and those of two images are two more."""
    _, rows, *_ = start
    same = jnp.repeat(rows["image"][:1], 16, axis=0)
    first, second = view_pair((VIEW, VIEW), KEY, same)
    flat = np.concatenate([first, second]).reshape(32, -1)
    assert len(np.unique(flat, axis=0)) == 32
