"""The online probe learns, and leaves everything else as it was, bit for bit."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.method import from_loss
from ssljax.probes import online_predict, with_online_probe

KEY = jax.random.key(0)


def reconstruction(refresh=None):
    """A tiny auto-encoder with a running mean in `extra`."""

    def init(key, batch):
        d = batch["x"].shape[1]
        params = {"encoder": jax.random.normal(key, (d, 6)) / 3, "decoder": jnp.zeros((6, d))}
        return params, {"mean": jnp.zeros(d), "count": jnp.zeros((), jnp.int32)}

    def loss(params, extra, batch, key):
        x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
        error = jnp.tanh(x @ params["encoder"]) @ params["decoder"] - batch["x"]
        extra = {"mean": 0.9 * extra["mean"] + 0.1 * x.mean(0), "count": extra["count"] + 1}
        return jnp.mean(error**2), (extra, {"error": jnp.abs(error).mean()})

    def embed(state, batch):
        return jnp.tanh(batch["x"] @ state.params["encoder"]).astype(jnp.bfloat16)

    tx = optax.adam(1e-2)
    return from_loss(tx, init=init, loss=loss, embed=embed, refresh=refresh)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60).astype(np.int32)
    x = 2 * rng.normal(size=(3, 8))[y] + 0.3 * rng.normal(size=(60, 8))
    return {"x": x.astype(np.float32), "label": y}


def train(method, batch, steps):
    state, step = jax.jit(method.init)(KEY, batch), jax.jit(method.step)
    for i in range(steps):
        state, metrics = step(state, batch, jax.random.fold_in(KEY, i))
    return state, metrics


def test_examples_without_a_label_teach_it_nothing(batch):
    """Whatever they show; features and their statistics are of all."""
    method = with_online_probe(reconstruction(), classes=3)
    hidden = np.arange(60) % 3 == 0
    part = batch | {"label": np.where(hidden, -1, batch["label"])}
    state, metrics = train(method, part, 1)
    other = batch | {"label": np.where(hidden, -1, 2 - batch["label"])}
    assert float(metrics["online_loss"]) == pytest.approx(np.log(3), rel=1e-5)
    assert float(metrics["online_accuracy"]) == pytest.approx((batch["label"] == 0)[~hidden].mean())
    # The gradient of the first step, by hand: uniform predictions.
    x = np.tanh(batch["x"] @ np.asarray(state.params["encoder"])).astype(jnp.bfloat16)
    x = np.asarray(x, np.float64)
    x = ((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5))[~hidden]
    grad = x.T @ (1 / 3 - np.eye(3)[batch["label"][~hidden]]) / len(x)
    kernel = np.asarray(state.extra["online"]["params"]["kernel"])
    np.testing.assert_allclose(kernel, -0.1 * grad, rtol=2e-3, atol=1e-5)
    assert not np.allclose(train(method, other, 1)[0].extra["online"]["params"]["kernel"], kernel)
    none = train(method, batch | {"label": np.full(60, -1)}, 1)
    assert float(none[1]["online_loss"]) == 0 and float(none[1]["online_accuracy"]) == 0


def test_the_method_is_unchanged_bit_for_bit(batch):
    plain, plain_metrics = train(reconstruction(), batch, 20)
    wrapped, metrics = train(with_online_probe(reconstruction(), classes=3), batch, 20)
    chex.assert_trees_all_equal(wrapped.params, plain.params)
    chex.assert_trees_all_equal(wrapped.opt, plain.opt)
    extra = dict(wrapped.extra)
    assert extra.pop("online").keys() == {"params", "opt", "stats"}
    chex.assert_trees_all_equal(extra, plain.extra)
    assert wrapped.step == plain.step
    assert metrics.keys() - plain_metrics.keys() == {"online_loss", "online_accuracy"}
    for name, value in plain_metrics.items():
        np.testing.assert_array_equal(metrics[name], value)


def test_it_learns_and_predicts(batch):
    method = with_online_probe(reconstruction(), classes=3)
    first = train(method, batch, 1)[1]
    np.testing.assert_allclose(first["online_loss"], np.log(3), rtol=1e-5)
    state, metrics = train(method, batch, 300)
    assert metrics["online_accuracy"] > 0.95
    ids = online_predict(state, method.embed(state, batch))
    assert ids.shape == (60,)
    assert np.mean(ids == batch["label"]) > 0.95


def test_one_step_equals_torch(batch):
    torch = pytest.importorskip("torch")
    method = with_online_probe(reconstruction(), classes=3, learning_rate=0.2)
    state, _ = train(method, batch, 1)
    linear = torch.nn.Linear(6, 3)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    norm = torch.nn.BatchNorm1d(6, affine=False)
    features = torch.tensor(np.asarray(method.embed(state, batch), np.float32))
    loss = torch.nn.functional.cross_entropy(
        linear(norm(features)), torch.tensor(batch["label"]).long()
    )
    loss.backward()
    params = state.extra["online"]["params"]
    np.testing.assert_allclose(params["kernel"], -0.2 * linear.weight.grad.T, atol=1e-6)
    np.testing.assert_allclose(params["bias"], -0.2 * linear.bias.grad, atol=1e-6)


def test_state_keeps_its_shape_under_scan(batch):
    method = with_online_probe(reconstruction(), classes=3)
    state = method.init(KEY, batch)
    end, _ = jax.lax.scan(lambda s, k: method.step(s, batch, k), state, jax.random.split(KEY, 3))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, end)


def test_refresh_reaches_the_method(batch):
    def refresh(state, data):
        assert "online" not in state.extra
        return type(state)(state.step, state.params, state.opt, {**state.extra, "count": data})

    method = with_online_probe(reconstruction(refresh), classes=3)
    state = method.refresh(method.init(KEY, batch), jnp.array(7))
    assert int(state.extra["count"]) == 7
    assert "online" in state.extra
    assert with_online_probe(reconstruction(), classes=3).refresh is None


def test_unlabelled_batches_are_refused(batch):
    method = with_online_probe(reconstruction(), classes=3)
    state = method.init(KEY, batch)
    for call in (lambda b: method.init(KEY, b), lambda b: method.step(state, b, KEY)):
        with pytest.raises(ValueError, match="the online probe needs labels"):
            call({"x": batch["x"]})
    with pytest.raises(ValueError, match="no online probe"):
        online_predict(reconstruction().init(KEY, batch), jnp.ones((2, 6)))
