"""The linear probe against scikit-learn at the same regularisation, and what it may look at."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ssljax.probes import few_shot, linear, stratified
from ssljax.probes.linear import L2, Logistic, standardize


@pytest.fixture(scope="module")
def blobs():
    """Correlated features of very different scale, one of them constant: [600, 20], 4 classes."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 600)
    x = (rng.normal(size=(4, 20))[y] + 1.5 * rng.normal(size=(600, 20))) @ rng.normal(size=(20, 20))
    x = x * 10.0 ** rng.uniform(-3, 3, 20) + 5
    x[:, 3] = 7.0
    return x[:400].astype(np.float32), y[:400], x[400:].astype(np.float32), y[400:]


@pytest.mark.parametrize("rows", [400, 15], ids=["many rows", "fewer rows than features"])
@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-3])
def test_equals_scikit_learn(blobs, rows, l2):
    train_x, train_y, test_x, _ = blobs
    train_x, test_x = standardize(train_x[:rows] + 0, test_x)
    train_x, train_y = train_x + 0.5, train_y[:rows]  # features need not be centred
    kernel, bias = Logistic(train_x, train_y, classes=4).solve(l2)
    peer = LogisticRegression(C=1 / (rows * l2), tol=1e-8, max_iter=10_000)
    peer.fit(train_x.astype(np.float64), train_y)
    np.testing.assert_allclose(kernel.T, peer.coef_, atol=2e-3 * np.abs(peer.coef_).max())
    ours = test_x @ kernel + bias
    np.testing.assert_allclose(
        ours - ours.mean(axis=1, keepdims=True), peer.decision_function(test_x), atol=0.02
    )
    assert np.mean(ours.argmax(axis=1) == peer.predict(test_x)) > 0.99


def test_warm_start_reaches_the_same_optimum(blobs):
    train_x, train_y, test_x, _ = blobs
    train_x, _ = standardize(train_x, test_x)
    cold = Logistic(train_x, train_y, classes=4).solve(1e-2)
    problem = Logistic(train_x, train_y, classes=4)
    problem.solve(1.0)
    for a, b in zip(problem.solve(1e-2), cold, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_linear(blobs):
    result = linear(*blobs, classes=4)
    assert result["l2"] in L2
    train_x, test_x = standardize(blobs[0], blobs[2])
    peer = LogisticRegression(C=1 / (400 * result["l2"]), max_iter=10_000, tol=1e-8)
    peer.fit(train_x.astype(np.float64), blobs[1])
    assert abs(result["accuracy"] - peer.score(test_x, blobs[3])) <= 0.01
    assert abs(result["train_accuracy"] - peer.score(train_x, blobs[1])) <= 0.01
    assert result["accuracy"] > 0.6
    assert linear(*blobs, classes=4) == result


def test_test_labels_only_score(blobs):
    """Other test labels change the accuracy and nothing else."""
    train_x, train_y, test_x, test_y = blobs
    result, other = (
        linear(*blobs, classes=4),
        linear(train_x, train_y, test_x, test_y * 0, classes=4),
    )
    assert result["l2"] == other["l2"]
    assert result["train_accuracy"] == other["train_accuracy"]
    assert result["accuracy"] != other["accuracy"]


def test_l2_is_chosen_where_it_matters():
    """Noise of many dimensions and few rows: the weakest l2 would memorise it."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1060)
    x = rng.normal(size=(1060, 80)).astype(np.float32)
    x[:, 0] += 2 * y
    assert linear(x[:60], y[:60], x[60:], y[60:], classes=2)["l2"] >= 1e-1


def test_a_constant_feature_counts_for_nothing(blobs):
    train_x, train_y, test_x, test_y = blobs
    moved = test_x.copy()
    moved[:, 3] = -1e6
    assert linear(train_x, train_y, moved, test_y, classes=4) == linear(*blobs, classes=4)


def test_few_shot(blobs):
    found = few_shot(*blobs, classes=4, shots=(1, 10), draws=5, seed=2)
    assert {n: v.shape for n, v in found.items()} == {1: (5,), 10: (5,)}
    assert found[10].mean() > found[1].mean()
    assert len(set(found[1])) > 1
    again = few_shot(*blobs, classes=4, shots=(10,), draws=5, seed=2)
    np.testing.assert_array_equal(again[10], found[10])
    other = few_shot(*blobs, classes=4, shots=(10,), draws=5, seed=3)
    assert not np.array_equal(other[10], found[10])


def test_few_shot_of_a_rare_class(blobs):
    train_x, train_y, test_x, test_y = blobs
    rare = np.concatenate([np.flatnonzero(train_y != 0), np.flatnonzero(train_y == 0)[:2]])
    found = few_shot(train_x[rare], train_y[rare], test_x, test_y, classes=4, shots=(10,), draws=2)
    assert (found[10] > 0.3).all()


def test_stratified():
    labels = np.array([0] * 50 + [1] * 10 + [2])
    kept, held_out = stratified(labels, fraction=0.2, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(61))
    assert np.bincount(labels[held_out], minlength=3).tolist() == [10, 2, 0]
    np.testing.assert_array_equal(stratified(labels, fraction=0.2, seed=0)[1], held_out)
    assert not np.array_equal(stratified(labels, fraction=0.2, seed=1)[1], held_out)
    with pytest.raises(ValueError, match="no class has enough"):
        stratified(np.arange(5), fraction=0.2, seed=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        stratified(labels, fraction=1.5, seed=0)


def test_bad_input(blobs):
    with pytest.raises(ValueError, match="labels 0 to 3, but there are 2 classes"):
        linear(*blobs, classes=2)
    with pytest.raises(ValueError, match="l2 must be above 0"):
        Logistic(blobs[0], blobs[1], classes=4).solve(0.0)
