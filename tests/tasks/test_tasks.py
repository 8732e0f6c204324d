"""Targets by hand, averages of networks, inputs, and tasks as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.nets import LSTM, MLP, Bert
from ssljax.tasks import AnyOf, FeatureInput, OneOf, SeriesInput, Task, TokenInput, Value

rng = np.random.default_rng(0)


def test_one_of():
    target, outputs = OneOf(classes=3), rng.normal(size=(5, 3)).astype(np.float32)
    p = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    classes, confidence = target.pseudo(outputs)
    np.testing.assert_array_equal(classes, p.argmax(1))
    np.testing.assert_allclose(confidence, p.max(1), rtol=1e-5)
    weight = jnp.array([0, 1, 2, 0.5, 1.0])
    loss = target.loss(outputs, jnp.asarray([0, 1, 2, 0, 1]), weight)
    np.testing.assert_allclose(loss, -weight * np.log(p[range(5), [0, 1, 2, 0, 1]]), rtol=1e-5)


def test_average_of_classifiers_is_that_of_probabilities():
    target, outputs = OneOf(classes=3), rng.normal(size=(4, 5, 3)).astype(np.float32)
    p = np.mean([target.probabilities(o) for o in outputs], axis=0)
    np.testing.assert_allclose(target.probabilities(target.average(outputs)), p, rtol=1e-5)


def test_any_of():
    target = AnyOf(classes=2)
    outputs = jnp.array([[2.0, -1.0], [0.1, 3.0]])
    sets, confidence = target.pseudo(outputs)
    np.testing.assert_array_equal(sets, [[1, 0], [1, 1]])
    sigmoid = 1 / (1 + np.exp([-1.0, -0.1]))
    np.testing.assert_allclose(confidence, sigmoid, rtol=1e-5)  # of the least sure class
    several = rng.normal(size=(3, 4, 2)).astype(np.float32)
    mean = jax.nn.sigmoid(several).mean(0)
    np.testing.assert_allclose(jax.nn.sigmoid(target.average(several)), mean, rtol=1e-4)
    found = target.metrics(outputs, jnp.array([[1.0, 0], [1, 0]]))
    np.testing.assert_array_equal(found["accuracy"], [1, 0])
    np.testing.assert_array_equal(found["label_accuracy"], [1, 0.5])


def test_value():
    """In units of the target; a mixture of networks that disagree is unsure."""
    target = Value(mean=10, std=2)
    outputs = jnp.array([[0.0, -20.0], [1.5, 0.0]])
    values, confidence = target.pseudo(outputs)
    np.testing.assert_allclose(values, [10, 13])
    np.testing.assert_allclose(confidence, [1, 0.5], atol=1e-4)
    found = target.metrics(outputs, jnp.array([10.0, 12.0]))
    np.testing.assert_allclose(found["absolute_error"], [0, 1])
    draws = rng.normal(size=(2, 200_000)) * [[0.5], [0.1]] + [[1.0], [-1.0]]
    mixture = target.average(jnp.array([[[1.0, np.log(0.25)]], [[-1.0, np.log(0.01)]]]))[0]
    np.testing.assert_allclose(mixture[0], draws.mean(), atol=0.01)
    np.testing.assert_allclose(jnp.exp(mixture[1]), draws.var(), rtol=0.01)
    with pytest.raises(ValueError, match="spread of the targets"):
        Value(std=0)


def test_lstm_ignores_padding_and_reads_both_ways():
    net, series = LSTM(width=4), rng.normal(size=(2, 6, 3)).astype(np.float32)
    steps = np.arange(6) < np.array([[4], [6]])
    params = net.init(jax.random.key(0), (series, steps))
    features = net.apply(params, (series, steps))
    assert features.shape == (2, 8)
    padded = np.where(steps[..., None], series, 99.0)
    np.testing.assert_allclose(net.apply(params, (padded, steps)), features, rtol=1e-5)
    alone = net.apply(params, (series[:1, :4], np.ones((1, 4), bool)))
    np.testing.assert_allclose(alone, features[:1], rtol=1e-5)
    first = series.copy()
    first[1, 0] += 1  # the first step moves what is read last going backwards
    assert np.abs(net.apply(params, (first, steps))[1] - features[1]).min() > 0


def test_lstm_is_that_of_torch():
    """One direction, the gates in torch's order."""
    torch = pytest.importorskip("torch")
    net, series = LSTM(width=4, both=False), rng.normal(size=(2, 5, 3)).astype(np.float32)
    steps = np.ones((2, 5), bool)
    params = net.init(jax.random.key(0), (series, steps))
    cell = params["params"]["OptimizedLSTMCell_0"]
    peer = torch.nn.LSTM(3, 4, batch_first=True)
    gates = [np.concatenate([cell[s + g]["kernel"] for g in "ifgo"], 1).T for s in "ih"]
    with torch.no_grad():
        peer.weight_ih_l0.copy_(torch.tensor(gates[0]))
        peer.weight_hh_l0.copy_(torch.tensor(gates[1]))
        peer.bias_ih_l0.zero_()
        peer.bias_hh_l0.zero_()
        states, _ = peer(torch.tensor(series))
    np.testing.assert_allclose(net.apply(params, (series, steps)), states.mean(1), atol=1e-5)


def test_inputs_are_still_without_a_key():
    batch = {"features": np.ones((64, 50), np.float32)}
    drop = FeatureInput(drop=0.25)
    np.testing.assert_array_equal(drop(batch, None), 1)
    x = drop(batch, jax.random.key(0))
    np.testing.assert_allclose(np.unique(x), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose(np.mean(x == 0), 0.25, atol=0.03)
    series = {"series": np.ones((2, 4, 3), np.float32), "steps": np.arange(4) < [[2], [4]]}
    x, steps = SeriesInput(noise=0.1, scale=0.1)(series, jax.random.key(0))
    assert np.all(np.asarray(x)[~steps] == 0) and np.std(np.asarray(x)[steps]) > 0
    np.testing.assert_array_equal(SeriesInput(noise=0.1)(series, None)[0][1], 1)
    tokens = {"tokens": np.full((4, 100), 7), "segments": np.tile(np.arange(100) < 60, (4, 1))}
    x = TokenInput(drop=0.5, unknown=1)(tokens, jax.random.key(0))["tokens"]
    assert set(np.unique(x[:, :60])) == {1, 7} and np.all(np.asarray(x)[:, 60:] == 7)


@pytest.mark.turns
def test_text_is_read_by_a_bert():
    """The network takes what the input gives, and padding changes nothing."""
    net = Bert(vocab=12, width=8, depth=1, heads=2, hidden=16, length=6, dropout=0.0)
    net = net.clone(attention_dropout=0.0)
    task = Task(inputs=TokenInput(drop=0.2), encoder=net, target=OneOf(classes=3), dropout=0.1)
    segments = np.tile(np.arange(6) < 4, (5, 1)).astype(np.int32)
    batch = {"tokens": rng.integers(2, 12, (5, 6)).astype(np.int32), "segments": segments}
    params, stats = task.init(jax.random.key(0), batch)
    y, _ = task.outputs(params, stats, batch, key=jax.random.key(1), train=True)
    assert y.shape == (5, 3)
    other = batch | {"tokens": np.where(segments > 0, batch["tokens"], 3)}
    features = [task.features(params, stats, b) for b in (batch, other)]
    assert features[0].shape == (5, 8)
    np.testing.assert_allclose(*features, atol=1e-6)


def test_a_task_is_still_without_a_key_and_noisy_with_one():
    task = Task(
        inputs=FeatureInput(), encoder=MLP(widths=(8,)), target=OneOf(classes=3), dropout=0.5
    )
    batch = {"features": rng.normal(size=(6, 4)).astype(np.float32)}
    params, stats = task.init(jax.random.key(0), batch)
    still = [task.outputs(params, stats, batch, key=None, train=False)[0] for _ in range(2)]
    np.testing.assert_array_equal(*still)
    noisy, _ = task.outputs(params, stats, batch, key=jax.random.key(1), train=False)
    assert np.abs(noisy - still[0]).max() > 0.01
    assert task.features(params, stats, batch).shape == (6, 8)
    with pytest.raises(ValueError, match="dropout"):
        Task(inputs=None, encoder=None, target=None, dropout=1.0)
