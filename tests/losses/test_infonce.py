"""InfoNCE over a batch and over a queue against naive float64 loops and torch; the queue itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.infonce import enqueue, fresh_queue, info_nce, info_nce_queue, nearest


@pytest.fixture
def pair():
    return np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)


@pytest.fixture
def queue():
    rows = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_info_nce(pair):
    q, k = unit(pair)
    e = np.exp(q @ k.T / 0.2)
    expected = -np.mean([np.log(e[i, i] / e[i].sum()) for i in range(6)])
    value = info_nce(*pair, temperature=0.2)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    # one direction: rows are queries
    assert abs(value - info_nce(*pair[::-1], temperature=0.2)) > 1e-3
    z = jnp.ones((6, 5))
    np.testing.assert_allclose(info_nce(z, z, temperature=0.2), np.log(6), rtol=1e-6)


def test_info_nce_gradient_equals_torch(pair):
    torch = pytest.importorskip("torch")
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in pair]
    q, k = (torch.nn.functional.normalize(v, dim=1) for v in t)
    torch.nn.functional.cross_entropy(q @ k.T / 0.2, torch.arange(6)).backward()
    grads = jax.grad(lambda q, k: info_nce(q, k, temperature=0.2), (0, 1))(*pair)
    for grad, reference in zip(grads, t, strict=True):
        np.testing.assert_allclose(grad, reference.grad, atol=1e-6)


def test_queue_against_a_naive_loop(pair, queue):
    q, k = unit(pair)
    total = 0.0
    for i in range(6):
        logits = np.array([q[i] @ k[i], *(q[i] @ u for u in queue.astype(np.float64))]) / 0.2
        total -= logits[0] - np.log(np.exp(logits).sum())
    value = info_nce_queue(*pair, queue, temperature=0.2)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, total / 6, rtol=1e-6)
    # The keys of other images of the batch are no negatives.
    e = np.exp(np.concatenate([q @ k.T, q @ queue.T], axis=1) / 0.2)
    in_batch = np.mean(np.log(e.sum(1)) - np.diagonal(q @ k.T) / 0.2)
    assert in_batch > value + 0.1


def test_queue_gradient_equals_torch_and_stops_at_keys(pair, queue):
    torch = pytest.importorskip("torch")
    t = torch.tensor(pair[0], dtype=torch.float64, requires_grad=True)
    q = torch.nn.functional.normalize(t, dim=1)
    k = torch.nn.functional.normalize(torch.tensor(pair[1], dtype=torch.float64), dim=1)
    u = torch.tensor(queue, dtype=torch.float64)
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ u.T], 1) / 0.2
    torch.nn.functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long)).backward()
    to_q, to_k, to_queue = jax.grad(
        lambda q, k, u: info_nce_queue(q, k, u, temperature=0.2), (0, 1, 2)
    )(*pair, queue)
    np.testing.assert_allclose(to_q, t.grad, atol=1e-6)
    np.testing.assert_array_equal(to_k, 0)
    np.testing.assert_array_equal(to_queue, 0)


def test_keys_need_their_norm(pair, queue):
    """A naming slip of an earlier library: k = q / |k| makes the positive meaningless."""
    value = info_nce_queue(*pair, queue, temperature=0.2)
    np.testing.assert_allclose(
        info_nce_queue(pair[0] * 9, pair[1] * 0.1, queue, temperature=0.2), value, rtol=1e-5
    )


def test_nearest(pair, queue):
    q = unit(pair[0])
    expected = queue[[max(range(12), key=lambda j, i=i: q[i] @ queue[j]) for i in range(6)]]
    np.testing.assert_array_equal(nearest(pair[0], queue), expected)
    np.testing.assert_array_equal(nearest(queue[3:5] * 7, queue), queue[3:5])
    gradient = jax.grad(lambda z: jnp.sum(nearest(z, queue)))(pair[0])
    np.testing.assert_array_equal(gradient, 0)


def test_a_queue_is_a_ring():
    queue = fresh_queue(jax.random.key(0), 6, 3, batch=2)
    np.testing.assert_allclose(np.linalg.norm(queue["rows"], axis=1), 1, rtol=1e-6)
    start = queue["rows"]
    batches = [jnp.full((2, 3), i + 1.0).at[:, 0].set(0.0) for i in range(4)]
    batches = [b * jnp.array([[1.0], [-1.0]]) for b in batches]  # rows that can be told apart
    for i, batch in enumerate(batches):
        before = queue["rows"]
        queue = enqueue(queue, batch)
        place = 2 * i % 6
        assert int(queue["next"]) == (place + 2) % 6
        rest = np.delete(np.arange(6), [place, place + 1])
        np.testing.assert_array_equal(queue["rows"][rest], before[rest])
        np.testing.assert_allclose(queue["rows"][place : place + 2], unit(batch), rtol=1e-6)
    assert not np.array_equal(queue["rows"], start)


def test_no_gradient_through_the_queue(pair):
    queue = fresh_queue(jax.random.key(0), 12, 5, batch=6)
    gradient = jax.grad(lambda z: jnp.sum(enqueue(queue, z)["rows"] ** 3))(pair[0])
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("size", [0, 4, 10])
def test_a_queue_holds_whole_batches(size, pair):
    with pytest.raises(ValueError, match="whole batches of 6"):
        fresh_queue(jax.random.key(0), size, 5, batch=6)
    other = fresh_queue(jax.random.key(0), 10, 5, batch=5)
    with pytest.raises(ValueError, match="whole batches of 6"):
        enqueue(other, pair[0])


def test_bad_shapes(pair, queue):
    with pytest.raises(AssertionError):
        info_nce(pair[0], pair[1][:-1], temperature=0.2)
    with pytest.raises(AssertionError):
        info_nce_queue(*pair, queue[:, :-1], temperature=0.2)
