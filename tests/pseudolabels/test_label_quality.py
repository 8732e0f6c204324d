"""Numbers of pseudo-labels against scikit-learn, and what is said when classes go wrong."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    root_mean_squared_error,
)

from ssljax.pseudolabels import quality
from ssljax.tasks.quality import classes_quality, sets_quality, values_quality

K, N = 4, 200


@pytest.fixture
def pool():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    target = np.where(rng.random(N) < 0.6, truth, rng.integers(0, K - 1, N))
    return truth, target, rng.random(N) < 0.7, rng.random(N)


def test_classes_are_those_of_sklearn(pool):
    """An example without a label is predicted to be none of the classes."""
    truth, target, chosen, _ = pool
    found = classes_quality(truth, target, chosen, classes=K)
    predicted = np.where(chosen, target, -1)
    options = {"labels": range(K), "zero_division": 0}
    p, r, f, _ = precision_recall_fscore_support(truth, predicted, **options)
    np.testing.assert_allclose(found["per_class_precision"], p, atol=1e-12)
    np.testing.assert_allclose(found["per_class_recall"], r, atol=1e-12)
    np.testing.assert_allclose(found["per_class_f1"], f, atol=1e-12)
    for average, prefix in (("macro", ""), ("micro", "micro_")):
        expected = precision_recall_fscore_support(truth, predicted, average=average, **options)[:3]
        names = ("precision", "recall", "f1")
        np.testing.assert_allclose([found[prefix + n] for n in names], expected, atol=1e-12)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth[chosen], target[chosen]))
    assert found["coverage"] == np.mean(chosen)
    np.testing.assert_array_equal(
        found["confusion"], confusion_matrix(truth[chosen], target[chosen], labels=range(K))
    )


def test_classes_that_do_not_occur_do_not_count(pool):
    truth, target, chosen, _ = pool
    few = classes_quality(truth, target, chosen, classes=K)
    many = classes_quality(truth, target, chosen, classes=K + 3)
    assert few["f1"] == many["f1"] and len(many["per_class_f1"]) == K + 3


def test_nothing_chosen_is_zero_and_not_nan(pool):
    truth, target, _, _ = pool
    none = np.zeros(N, bool)
    found = classes_quality(truth, target, none, classes=K)
    assert found["accuracy"] == found["coverage"] == found["f1"] == 0
    assert values_quality(truth, target, none)["rmse"] == 0
    assert quality.ece(np.zeros(0, bool), np.zeros(0)) == 0


def test_values_are_those_of_sklearn(pool):
    truth, target, chosen, noise = pool
    t, y = truth.astype(float), target + noise
    found = values_quality(t, y, chosen)
    t, y = t[chosen], y[chosen]
    assert found["mae"] == pytest.approx(mean_absolute_error(t, y))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(t, y))
    assert found["r2"] == pytest.approx(r2_score(t, y))


def test_sets_are_those_of_sklearn(pool):
    chosen, rng = pool[2], np.random.default_rng(1)
    truth = rng.integers(0, 2, (N, K))
    target = np.clip(truth + rng.normal(0, 0.4, (N, K)), 0, 1)
    found = sets_quality(truth, target, chosen)
    t, y = truth[chosen], (target[chosen] >= 0.5).astype(int)
    for average, prefix in (("macro", ""), ("micro", "micro_")):
        expected = precision_recall_fscore_support(t, y, average=average)[:3]
        names = ("precision", "recall", "f1")
        np.testing.assert_allclose([found[prefix + n] for n in names], expected, atol=1e-12)
    assert found["accuracy"] == pytest.approx(accuracy_score(t, y))


def test_reliability_is_that_of_sklearn(pool):
    truth, target, _, confidence = pool
    right = truth == target
    found = quality.reliability(right, confidence, bins=7)
    share, mean = calibration_curve(right, confidence, n_bins=7)
    np.testing.assert_allclose(found["accuracy"], share, atol=1e-12)
    np.testing.assert_allclose(found["confidence"], mean, atol=1e-12)


def test_ece_counts_by_hand(pool):
    truth, target, _, confidence = pool
    right, total = truth == target, 0.0
    for b in range(10):
        inside = [i for i, c in enumerate(confidence) if b / 10 < c <= (b + 1) / 10]
        if inside:
            gap = abs(np.mean(right[inside]) - np.mean(confidence[inside]))
            total += len(inside) / N * gap
    assert quality.ece(right, confidence) == pytest.approx(total)


def test_stability():
    before, now = np.array([0, 0, 1, 1, -1, 2]), np.array([0, 1, 1, 2, 2, -1])
    found = quality.stability(before, now, classes=3)
    # labelled both times: the first four, of which two stayed
    assert found["unchanged"] == 0.5 and found["flips"] == [1, 1, 0]
    assert found["gained"] == found["lost"] == 1
    # shares 2/5, 2/5, 1/5 and 1/5, 2/5, 2/5
    assert found["drift"] == pytest.approx(0.2)


def test_warnings():
    names = ("a", "b", "c")
    assert quality.warnings(np.array([5, 5, 4]), np.array([5, 4, 5]), names=names) == []
    said = quality.warnings(np.array([5, 5, 0]), np.array([5, 4, 5]), names=names)
    assert "died out: c" in said[0] and "moved by" in said[1]
    assert "got no label: b" in quality.warnings(np.array([5, 0, 5]), None, names=names)[0]
    said = quality.warnings(np.array([96, 2, 2]), np.array([96, 2, 2]), names=names)
    assert said == ["96% of the labels are a"]
