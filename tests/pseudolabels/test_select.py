"""Selection rules by hand, on ties, on abstentions, and on bad input."""

import numpy as np
import pytest

from ssljax.pseudolabels.labels import Guess
from ssljax.pseudolabels.select import Adaptive, ClassThresholds, Greedy, Percentile, Threshold
from ssljax.tasks import OneOf, Value

K, N = 3, 60


def guess(seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, K)) * 2 + [1.5, 0.5, 0]
    p = np.exp(logits)
    return Guess.of(p / p.sum(1, keepdims=True))


def chosen(rule, found, round=1):
    return rule(found, round=round, target=OneOf(classes=K))


def test_thresholds():
    m = np.array([0.0, 0.5, 0.75, 0.9])
    found = Guess(np.array([0, 1, 2, 0], np.int32), m)
    np.testing.assert_array_equal(chosen(Threshold(value=0.75), found), [0, 0, 1, 1])
    np.testing.assert_array_equal(chosen(Threshold(value=0.75, strict=True), found), [0, 0, 0, 1])
    np.testing.assert_array_equal(chosen(Threshold(value=0.0), found), [0, 1, 1, 1])  # 0 abstains
    rule = ClassThresholds(values=(0.95, 0.4, 0.7))
    np.testing.assert_array_equal(chosen(rule, found), [0, 1, 1, 0])


def test_greedy_takes_the_most_confident():
    found = guess()
    order = sorted(range(N), key=lambda i: (-found.confidence[i], i))
    expected = set(order[:10])
    assert set(np.flatnonzero(chosen(Greedy(budget=10), found))) == expected
    for c in range(K):
        best = [i for i in order if found.target[i] == c][:4]
        mine = np.flatnonzero(chosen(Greedy(per_class=4), found) & (found.target == c))
        assert set(mine) == set(best)
    both = chosen(Greedy(per_class=4, budget=6), found)
    assert both.sum() == 6 and not (both & ~chosen(Greedy(per_class=4), found)).any()
    assert chosen(Greedy(budget=N, minimum=0.8), found).sum() == (found.confidence >= 0.8).sum()
    assert chosen(Greedy(budget=5, growing=True), found, round=3).sum() == 15


def test_equal_confidences_go_by_order():
    found = Guess(np.zeros(5, np.int32), np.full(5, 0.5))
    np.testing.assert_array_equal(chosen(Greedy(budget=2), found), [1, 1, 0, 0, 0])
    np.testing.assert_array_equal(chosen(Greedy(per_class=2), found), [1, 1, 0, 0, 0])


def test_percentile_grows_to_everything():
    found, rule = guess(), Percentile(step=20)
    sizes = [chosen(rule, found, round=r).sum() for r in range(1, 7)]
    assert sizes == [12, 24, 36, 48, 60, 60]


@pytest.mark.parametrize("rule", ["freematch", "flexmatch"])
def test_adaptive_thresholds_of_the_pool(rule):
    found = guess()
    m, c, p = found.confidence, found.target, found.p
    if rule == "freematch":
        limit = m.mean() * p.mean(0) / p.mean(0).max()
    else:
        counts = np.bincount(c[m >= 0.8], minlength=K)
        beta = counts / counts.max()
        limit = 0.8 * beta / (2 - beta)
    expected = m >= limit[c]
    assert 0 < expected.sum() < N
    np.testing.assert_array_equal(chosen(Adaptive(rule=rule, threshold=0.8), found), expected)


def test_bad_input():
    values = Guess(np.zeros((3, 2), np.float32), np.ones(3))
    with pytest.raises(ValueError, match="a number of each class needs targets that are classes"):
        Greedy(per_class=1)(values, round=1, target=Value())
    with pytest.raises(ValueError, match="needs probabilities"):
        Adaptive()(values, round=1, target=Value())
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        Threshold(value=95)
    with pytest.raises(ValueError, match="needs a budget"):
        Greedy()
    with pytest.raises(ValueError, match="2 thresholds for 3 classes"):
        chosen(ClassThresholds(values=(0.5, 0.5)), guess())
