"""TS2Vec against loops in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_series import CASES, series

from ssljax import nets
from ssljax.losses.hierarchy import hierarchical_contrast
from ssljax.views import contexts

KEY, BATCH = jax.random.key(0), series(6)
METHOD = CASES["ts2vec"].method


def nats(own, partner, others):
    """-log of the share of the partner among partner and others."""
    logits = [own @ partner, *(own @ other for other in others)]
    return np.log(np.sum(np.exp(logits))) - logits[0]


def told(groups):
    """Mean of nats: a group is a list of (vector of one view, of the other)."""
    found = []
    for group in groups:
        for i in range(len(group)):
            for view in (0, 1):
                others = [x[v] for j, x in enumerate(group) if j != i for v in (0, 1)]
                found.append(nats(group[i][view], group[i][1 - view], others))
    return np.mean(found) if found else 0.0


def expected(z, other, real, alpha):
    """One level after the other; a step is a pair of vectors, None where it is not real."""
    rows = [
        [(a, b) if there else None for a, b, there in zip(*row, strict=True)]
        for row in zip(np.float64(z), np.float64(other), real, strict=True)
    ]
    total, levels = 0.0, 0
    while True:
        total += alpha * told([[x for x in time if x] for time in zip(*rows, strict=True)])
        levels += 1
        if len(rows[0]) == 1:
            return total / levels
        total += (1 - alpha) * told([[x for x in row if x] for row in rows])
        rows = [
            [largest([x for x in row[t : t + 2] if x]) for t in range(0, len(row) // 2 * 2, 2)]
            for row in rows
        ]


def largest(pairs):
    return tuple(np.max([p[v] for p in pairs], axis=0) for v in (0, 1)) if pairs else None


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_contrast_of_every_scale(alpha):
    rng = np.random.default_rng(0)
    z, other = (rng.normal(size=(3, 9, 4)).astype(np.float32) for _ in range(2))
    real = np.ones((3, 9), bool)
    real[1, :3] = real[2, 5:] = False
    there = jnp.asarray(real)
    value = hierarchical_contrast(jnp.asarray(z), jnp.asarray(other), there, alpha=alpha)
    np.testing.assert_allclose(value, expected(z, other, real, alpha), rtol=1e-5)
    noisy = np.where(real[..., None], z, 50.0)  # what is not real is not looked at
    again = hierarchical_contrast(noisy, other, there, alpha=alpha)
    np.testing.assert_allclose(again, value, rtol=1e-6)


def test_ts2vec_reference():
    with jax.default_matmul_precision("highest"):
        params, extra = METHOD.init(KEY, BATCH)
        value, (after, metrics) = METHOD.loss(params, extra, BATCH, KEY)
        windows, drop = jax.random.split(KEY)
        seen = np.asarray(contexts(windows, jnp.asarray(BATCH["steps"])))
        kept = np.asarray(jax.random.bernoulli(drop, 0.5, seen.shape)) & seen
        x = np.where(kept[..., None], BATCH["series"], 0).reshape(12, 9, 2)
        pair = (x, seen.reshape(12, 9))
        net, stats = METHOD.encoder, extra["stats"]["encoder"]
        states, moved = nets.apply(net, params["encoder"], stats, pair, train=True, method="states")
    line = params["line"]["linear_0"]
    z = np.float64(states) @ np.float64(line["kernel"]) + np.float64(line["bias"])
    real = seen[0] & seen[1]
    np.testing.assert_allclose(value, expected(z[:6], z[6:], real, METHOD.alpha), rtol=1e-5)
    np.testing.assert_allclose(metrics["overlap"], real.sum() / BATCH["steps"].sum(), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, after["stats"]["encoder"], moved)
    assert real.sum() > 8 and (seen[0] != seen[1]).any()  # else much would pass


def test_contexts_overlap_in_all_ways():
    steps = jnp.asarray(np.arange(7) < 6)[None]
    found = {
        tuple(np.asarray(contexts(jax.random.key(i), steps)[:, 0]).astype(int).ravel())
        for i in range(400)
    }
    for both in found:
        one, two = np.flatnonzero(both[:7]), np.flatnonzero(both[7:])
        assert (np.diff(one) == 1).all() and (np.diff(two) == 1).all()  # windows
        assert one[0] <= two[0] and one[-1] <= two[-1] and two[-1] <= 5  # real steps alone
        assert len(set(one) & set(two)) >= 1  # two, of which one may be padding
    assert len(found) > 50


def test_what_has_no_series_is_said():
    data = type("Data", (), {"spec": {"tokens": ((4,), np.int32)}})()
    with pytest.raises(ValueError, match="the data has tokens"):
        METHOD.check(data)
    data.spec = {"series": ((1, 2), np.float32)}
    with pytest.raises(ValueError, match="no context"):
        METHOD.check(data)
