"""SwAV's and MSN's losses against loops in float64, with gradients by torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.prototypes import msn, swav


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def assign(q):
    """Sinkhorn of positive q [B, K] in the authors' order."""
    q = q.T / q.sum()
    k, b = q.shape
    for _ in range(3):
        q = q / q.sum(1, keepdims=True) / k
        q = q / q.sum(0, keepdims=True) / b
    return (q * b).T


def swav_loop(scores, targets):
    total = 0.0
    for v in range(2):
        others = [u for u in range(scores.shape[1]) if u != v]
        for u in others:
            log_p = np.log(softmax(scores[:, u] / 0.1))
            total -= (targets[v] * log_p).sum(-1).mean() / len(others) / 2
    return total


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


OPTIONS = {"epsilon": 0.05, "temperature": 0.1}


@pytest.fixture
def scores(rng):
    return unit(rng.normal(size=(8, 4, 3))) @ unit(rng.normal(size=(5, 3))).T


def test_swav(scores):
    value = swav(jnp.float32(scores), **OPTIONS)
    apart = [assign(np.exp(scores[:, v] / 0.05)) for v in range(2)]
    np.testing.assert_allclose(value, swav_loop(scores, apart), rtol=1e-5)
    # misread: one assignment of both views together
    both = assign(np.exp(scores[:, :2].reshape(-1, 5) / 0.05)).reshape(8, 2, 5)
    assert abs(swav_loop(scores, [both[:, 0], both[:, 1]]) - float(value)) > 1e-3


def test_swav_queue(scores, rng):
    """The queue takes part in the assignment, once it is full, and only the batch has a loss."""
    queued = unit(rng.normal(size=(2, 12, 3))) @ unit(rng.normal(size=(5, 3))).T
    run = jax.jit(lambda full: swav(jnp.float32(scores), jnp.float32(queued), full, **OPTIONS))
    targets = [
        assign(np.exp(np.concatenate([queued[v], scores[:, v]]) / 0.05))[-8:] for v in range(2)
    ]
    np.testing.assert_allclose(run(True), swav_loop(scores, targets), rtol=1e-5)
    np.testing.assert_allclose(run(False), swav(jnp.float32(scores), **OPTIONS), rtol=1e-6)
    assert abs(run(True) - run(False)) > 1e-3


def test_swav_collapse_is_ln_k():
    np.testing.assert_allclose(swav(jnp.zeros((8, 3, 5)), **OPTIONS), np.log(5), rtol=1e-6)


def test_swav_gradient_by_torch(scores):
    torch = pytest.importorskip("torch")
    s = torch.tensor(scores, requires_grad=True)
    log_p = torch.log_softmax(s / 0.1, dim=-1)
    total = 0.0
    for v in range(2):
        q = torch.tensor(assign(np.exp(scores[:, v] / 0.05)))
        total = total - sum((q * log_p[:, u]).sum(-1).mean() for u in range(4) if u != v) / 3 / 2
    total.backward()
    grad = jax.grad(lambda s: swav(s, **OPTIONS))(jnp.float32(scores))
    np.testing.assert_allclose(grad, s.grad, atol=1e-5)


MSN = {"temperature": 0.1, "sharpening": 0.25, "weight": 0.7}


@pytest.fixture
def features(rng):
    return rng.normal(size=(6, 3, 4)), rng.normal(size=(6, 4)), rng.normal(size=(5, 4))


def msn_loop(anchors, targets, prototypes, *, sharpen_first=True):
    w = unit(prototypes)
    p = softmax(unit(anchors) @ w.T / 0.1)
    q = softmax(unit(targets) @ w.T / 0.1)
    for step in ("sharpen", "sinkhorn") if sharpen_first else ("sinkhorn", "sharpen"):
        if step == "sharpen":
            q = q ** (1 / 0.25)
            q = q / q.sum(-1, keepdims=True)
        else:
            q = assign(q)
    mean = p.mean((0, 1))
    regulariser = np.log(5) + (mean * np.log(mean)).sum()
    return -(q[:, None] * np.log(p)).sum(-1).mean() + 0.7 * regulariser, regulariser


def test_msn(features):
    value, regulariser = msn(*map(jnp.float32, features), **MSN)
    expected = msn_loop(*features)
    np.testing.assert_allclose((value, regulariser), expected, rtol=1e-5)
    # misread: Sinkhorn before sharpening
    assert abs(msn_loop(*features, sharpen_first=False)[0] - expected[0]) > 1e-2


def test_msn_regulariser_has_its_ends(features):
    """All anchors on one prototype: ln K. All prototypes alike: 0."""
    prototypes = jnp.eye(4)
    one = jnp.broadcast_to(prototypes[0], (6, 3, 4))
    options = MSN | {"temperature": 0.01}
    _, regulariser = msn(one, one[:, 0], prototypes, **options)
    np.testing.assert_allclose(regulariser, np.log(4), rtol=1e-5)
    _, regulariser = msn(one, one[:, 0], jnp.ones((4, 4)), **options)
    np.testing.assert_allclose(regulariser, 0, atol=1e-6)


def test_msn_gradients_by_torch(features):
    """They reach the prototypes through the anchors, and nothing through the targets."""
    torch = pytest.importorskip("torch")
    a, t, w = (torch.tensor(x, requires_grad=True) for x in features)
    normal = torch.nn.functional.normalize
    p = torch.softmax(normal(a, dim=-1) @ normal(w, dim=-1).T / 0.1, dim=-1)
    with torch.no_grad():
        q = torch.softmax(normal(t, dim=-1) @ normal(w, dim=-1).T / 0.1, dim=-1) ** 4
        q = torch.tensor(assign((q / q.sum(-1, keepdim=True)).numpy()))
    mean = p.mean((0, 1))
    loss = -(q[:, None] * p.log()).sum(-1).mean() + 0.7 * (mean * mean.log()).sum()
    loss.backward()
    grads = jax.grad(lambda *x: msn(*x, **MSN)[0], (0, 1, 2))(*map(jnp.float32, features))
    np.testing.assert_allclose(grads[0], a.grad, atol=1e-5)
    np.testing.assert_array_equal(grads[1], 0)
    np.testing.assert_allclose(grads[2], w.grad, atol=1e-5)
