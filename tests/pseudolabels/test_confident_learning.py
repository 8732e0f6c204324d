"""Confident learning: by hand, against arrays that cleanlab 2.9 gave, and against cleanlab."""

import numpy as np
import pytest

from ssljax.pseudolabels import confident_learning

rng = np.random.default_rng(0)
THEIRS = {"argmax": "predicted_neq_given"}
FILTERS = ["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "argmax"]


# Six examples, two classes, worked out on paper. Thresholds: mean of p_0 over those given 0 =
# (0.9 + 0.8 + 0.1) / 3 = 0.6; of p_1 over those given 1 = (0.8 + 0.7 + 0.3) / 3 = 0.6.
# Example 2 (given 0) has p_1 = 0.9 >= 0.6, example 5 (given 1) has p_0 = 0.7 >= 0.6.
GIVEN = np.array([0, 0, 0, 1, 1, 1])
P = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.7, 0.3]])


def test_confident_joint_by_hand():
    np.testing.assert_allclose(confident_learning.thresholds(GIVEN, P), [0.6, 0.6])
    np.testing.assert_array_equal(confident_learning.confident_joint(GIVEN, P), [[2, 1], [1, 2]])


@pytest.mark.parametrize(
    "by", ["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "argmax"]
)
def test_label_issues_by_hand(by):
    found = confident_learning.label_issues(GIVEN, P, by=by)
    np.testing.assert_array_equal(found, [0, 0, 1, 0, 0, 1])


def test_the_joint_is_scaled_to_the_labels():
    """An example of which nobody is confident still counts in its row."""
    given = np.array([0, 0, 0, 0, 1, 1])
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.1, 0.9], [0.1, 0.9], [0.3, 0.7]])
    # thresholds 0.6125 and 0.8: counted are 0, 1 (right), 3 (wrong), 4 (right)
    np.testing.assert_allclose(confident_learning.thresholds(given, p), [0.6125, 0.8])
    raw = confident_learning.confident_joint(given, p, calibrate=False)
    np.testing.assert_array_equal(raw, [[2, 1], [0, 1]])
    # the first row, 8/3 and 4/3, becomes whole and still counts four examples
    np.testing.assert_array_equal(confident_learning.confident_joint(given, p), [[3, 1], [0, 2]])


def test_rare_classes_are_protected():
    given = np.array([0, 0, 0, 0, 1])
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.95, 0.05]])
    assert confident_learning.label_issues(given, p, by="argmax")[4]
    assert not confident_learning.label_issues(given, p, by="prune_by_noise_rate", min_per_class=1)[
        4
    ]


def test_noise_is_found_out_of_sample_and_not_in_sample():
    n = 300
    truth = rng.integers(0, 3, n)
    x = np.eye(3)[truth] * 4 + rng.normal(size=(n, 3))
    given = np.where(rng.random(n) < 0.15, (truth + 1) % 3, truth)

    def predict(fit, held):
        distance = ((x[held][:, None] - x[fit][None]) ** 2).sum(2)
        return np.eye(3)[given[fit]][distance.argsort(1)[:, :9]].mean(1)

    p = confident_learning.out_of_fold(given, predict, count=5)
    found = confident_learning.label_issues(given, p)
    wrong = given != truth
    assert (found & wrong).sum() > 0.8 * wrong.sum()  # recall
    assert (found & wrong).sum() > 0.8 * found.sum()  # precision
    memorised = np.eye(3)[given]
    assert not confident_learning.label_issues(given, memorised).any()


def test_folds_hold_every_class():
    labels = np.repeat([0, 1, 2], [10, 7, 2])
    fold = confident_learning.folds(labels, count=5, seed=0)
    assert set(fold[labels == 0]) == set(range(5))
    for f in range(5):  # who is held out, is judged by a model that knows the class
        assert set(labels[fold != f]) == {0, 1, 2}
    with pytest.raises(ValueError, match="two examples of each class"):
        confident_learning.folds(np.array([0, 0, 1]), count=2, seed=0)


# Twelve examples, four classes of which nobody is given the last; probabilities in tenths.
TWELVE = np.array([2, 1, 0, 0, 1, 0, 2, 2, 1, 1, 1, 1])
TENTHS = [
    *("1153", "0712", "1270", "2413", "2350", "1351"),
    *("2152", "1540", "2413", "4402", "2512", "1144"),
]
CLEANLAB = {
    "prune_by_noise_rate": [2, 3, 7, 11],
    "prune_by_class": [2, 4, 5, 7, 11],
    "both": [2, 7, 11],
    "confident_learning": [2, 3, 4, 5, 7],
    "argmax": [2, 3, 4, 5, 7, 11],
}


def test_what_cleanlab_gave():
    p = np.array([[int(c) / 10 for c in row] for row in TENTHS])
    joint = [[1, 1, 1, 0], [1, 4, 1, 0], [0, 1, 2, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(confident_learning.confident_joint(TWELVE, p), joint)
    for by, expected in CLEANLAB.items():
        issues = confident_learning.label_issues(TWELVE, p, by=by)
        np.testing.assert_array_equal(np.flatnonzero(issues), expected, err_msg=by)


def hard_case(seed):
    """Labels and probabilities with what is delicate: ties, classes without examples, tiny data."""
    r = np.random.default_rng(seed)
    k, n = int(r.integers(2, 7)), int(r.integers(3, 60))
    truth = r.integers(0, k, n)
    p = r.dirichlet(np.full(k, r.choice([0.1, 1.0, 3.0])), n)
    p += r.choice([0, 0.3, 1.0]) * np.eye(k)[truth]
    p /= p.sum(1, keepdims=True)
    if seed % 2:
        p = np.round(p, 1)
    labels = np.where(r.random(n) < r.choice([0.1, 0.5]), r.integers(0, k, n), truth)
    if seed % 3 == 0:
        labels[labels == r.integers(0, k)] = 0
    labels[:2] = 0, k - 1  # cleanlab wants two classes
    return labels, p


@pytest.mark.parametrize("by", FILTERS)
@pytest.mark.filterwarnings("ignore")
def test_equals_cleanlab(by):
    pytest.importorskip("cleanlab")
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues

    found = 0
    for seed in range(40):
        labels, p = hard_case(seed)
        expected = compute_confident_joint(labels, p)
        np.testing.assert_array_equal(confident_learning.confident_joint(labels, p), expected)
        for least in (0, 1, 3):
            options = {"filter_by": THEIRS.get(by, by), "min_examples_per_class": least}
            expected = find_label_issues(labels, p, n_jobs=1, **options)
            issues = confident_learning.label_issues(labels, p, by=by, min_per_class=least)
            np.testing.assert_array_equal(issues, expected, err_msg=f"case {seed}, {least}")
            found += issues.sum()
    assert found > 100


def test_refused():
    with pytest.raises(ValueError, match="do not fit"):
        confident_learning.label_issues(GIVEN, P[:2])
    with pytest.raises(ValueError, match="labels 0 to 1 of 1 classes"):
        confident_learning.label_issues(GIVEN, P[:, :1])
    with pytest.raises(ValueError, match="no way to prune 'most'"):
        confident_learning.label_issues(GIVEN, P, by="most")
