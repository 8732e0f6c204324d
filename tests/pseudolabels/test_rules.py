"""Majority votes and the label model, against loops and against rules of known accuracy."""

import numpy as np
import pytest

from ssljax.pseudolabels.rules import Matches, label_model, majority


def simulated(n=3000, k=4, accuracies=(0.9, 0.7, 0.5, 0.8), cast=0.6, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    votes = []
    for a in accuracies:
        wrong = (truth + rng.integers(1, k, n)) % k
        vote = np.where(rng.random(n) < a, truth, wrong)
        votes.append(np.where(rng.random(n) < cast, vote, -1))
    return truth, np.stack(votes, axis=1)


def test_majority():
    p = majority(np.array([[0, 0, 1], [2, -1, -1], [-1, -1, -1]]), classes=3)
    np.testing.assert_allclose(p, [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("anchors", [(), (0, 5, 9, 17)])
def test_label_model_is_a_loop(anchors):
    truth, votes = simulated(n=60, k=3)
    n, r, k, prior = *votes.shape, 3, (0.5, 0.3, 0.2)
    bias = list(prior)
    p = [[0.0] * k for _ in range(n)]
    for i in range(n):
        said = [v for v in votes[i] if v >= 0]
        for v in said:
            p[i][v] += 1 / len(said)
    for i in anchors:
        p[i] = [float(c == truth[i]) for c in range(k)]
    for _ in range(5):
        accuracy, some = [], [i for i in range(n) if any(v >= 0 for v in votes[i])]
        for j in range(r):
            who = [i for i in range(n) if votes[i, j] >= 0]
            accuracy.append((sum(p[i][votes[i, j]] for i in who) + 7) / (len(who) + 10))
        for _ in range(100):
            q, total = {}, [0.0] * k
            for i in some:
                likely = []
                for c in range(k):
                    value = bias[c]
                    for j in range(r):
                        if votes[i, j] == c:
                            value *= accuracy[j]
                        elif votes[i, j] >= 0:
                            value *= (1 - accuracy[j]) / (k - 1)
                    likely.append(value)
                q[i] = [v / sum(likely) for v in likely]
                total = [t + v / len(some) for t, v in zip(total, q[i], strict=True)]
            if max(abs(np.log(prior[c] / total[c])) for c in range(k)) < 1e-6:
                break
            bias = [bias[c] * prior[c] / total[c] for c in range(k)]
        for i in some:
            if i not in anchors:
                p[i] = q[i]
    known = (np.array(anchors), truth[list(anchors)]) if anchors else None
    found, rates = label_model(votes, classes=k, prior=prior, known=known, iterations=5, tol=0)
    np.testing.assert_allclose(found, p, atol=1e-10)
    np.testing.assert_allclose(rates, accuracy, atol=1e-10)


def test_label_model_finds_accuracies_and_beats_the_majority():
    accuracies = (0.9, 0.7, 0.5, 0.8)
    truth, votes = simulated(n=20_000, accuracies=accuracies)
    p, found = label_model(votes, classes=4)
    np.testing.assert_allclose(found, accuracies, atol=0.03)
    some = (votes >= 0).any(1)
    right = [(q.argmax(1) == truth)[some].mean() for q in (p, majority(votes, classes=4))]
    assert right[0] > right[1] + 0.02
    np.testing.assert_array_equal(p[~some], 0)
    np.testing.assert_allclose(p[some].sum(1), 1)


def test_rules_that_never_meet_do_not_drift():
    """Each rule votes on other examples: little is learnt of them, and no class takes over."""
    votes = np.full((90, 3), -1)
    votes[:50, 0], votes[50:70, 1], votes[70:, 2] = 1, 0, 0
    p, rates = label_model(votes, classes=2)
    np.testing.assert_array_equal(p.argmax(1), [1] * 50 + [0] * 40)
    np.testing.assert_allclose(rates, 0.7, atol=0.1)


def test_rules_for_one_class_each():
    """Rules that vote for one class, seldom meet and are right in 80%: no class takes over."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 6000)
    votes = np.full((6000, 10), -1)
    for r in range(10):
        right = rng.random(6000) < np.where(truth == r % 2, 0.08, 0.02)
        votes[right, r] = r % 2
    p, rates = label_model(votes, classes=2)
    np.testing.assert_allclose(rates, 0.8, atol=0.2)
    assert abs(rates.mean() - 0.8) < 0.08
    some = (votes >= 0).any(1)
    assert (p.argmax(1) == truth)[some].mean() > 0.78
    assert abs(p[some, 0].mean() - 0.5) < 0.01


def test_known_labels_tell_which_rule_is_wrong():
    """Two rules that always contradict each other, and a third that hardly votes."""
    truth = np.arange(200) % 2
    votes = np.stack([truth, 1 - truth, np.where(np.arange(200) < 4, truth, -1)], axis=1)
    index = np.arange(100, 120)
    p, rates = label_model(votes, classes=2, known=(index, truth[index]))
    assert rates[0] > 0.9 and rates[1] < 0.2
    np.testing.assert_array_equal(p.argmax(1), truth)
    blind, _ = label_model(votes[4:], classes=2)
    np.testing.assert_allclose(blind, 0.5, atol=1e-6)


def test_bad_votes():
    with pytest.raises(ValueError, match="-1 to abstain"):
        majority(np.array([[5]]), classes=3)
    with pytest.raises(ValueError, match="votes are integers"):
        majority(np.array([0.5]), classes=3)
    with pytest.raises(ValueError, match="two classes"):
        label_model(np.zeros((3, 3), int), classes=1)
    with pytest.raises(ValueError, match="2 shares above 0 that sum to one"):
        label_model(np.zeros((3, 3), int), classes=2, prior=(1.0, 1.0))
    with pytest.raises(ValueError, match="2 rules do not tell"):
        label_model(np.zeros((3, 2), int), classes=2)


def test_all_abstain_is_no_nan():
    p, rates = label_model(np.full((4, 3), -1), classes=3)
    assert not p.any() and np.isfinite(rates).all()


def test_text_is_matched():
    rule = Matches(r"\bgood\b", 1)
    rows = {"text": ["a GOOD film", "goodness", "not bad"]}
    np.testing.assert_array_equal(rule(rows), [1, -1, -1])
    with pytest.raises(ValueError, match="data with text"):
        rule({"features": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="no regular expression"):
        Matches("(", 0)
