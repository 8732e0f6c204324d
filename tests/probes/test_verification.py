"""Equal error rates against a sweep by loops, and against scikit-learn's curve."""

import itertools

import numpy as np
import pytest

from ssljax import probes
from ssljax.data import Arrays
from ssljax.probes import Encoder, Evaluation, Verification, equal_error_rate, verification


def by_sweep(same, other):
    """All thresholds in turn, counted one trial at a time; the straight line where they cross."""
    points = []
    for t in [*sorted({*same, *other}), float("inf")]:
        refused = sum(s < t for s in same) / len(same)
        points.append((refused, sum(s >= t for s in other) / len(other)))
    for (r0, a0), (r1, a1) in itertools.pairwise(points):
        if r0 <= a0 and r1 >= a1:  # r0 + w (r1 - r0) = a0 + w (a1 - a0)
            return r0 + (a0 - r0) / ((r1 - r0) - (a1 - a0)) * (r1 - r0)
    raise AssertionError("they do not cross")


@pytest.mark.parametrize("ties", [False, True])
def test_equal_error_rate_is_that_of_a_sweep(ties):
    from scipy.interpolate import interp1d
    from scipy.optimize import brentq
    from sklearn.metrics import roc_curve

    for seed in range(20):
        rng = np.random.default_rng(seed)
        same, other = rng.normal(0.7, 1, rng.integers(1, 9)), rng.normal(0, 1, rng.integers(1, 12))
        if ties:
            same, other = np.round(same), np.round(other)
        found = equal_error_rate(same, other)
        np.testing.assert_allclose(found, by_sweep(same, other), atol=1e-12)
        truth = np.repeat([1, 0], [len(same), len(other)])
        wrong, right, _ = roc_curve(truth, np.concatenate([same, other]), drop_intermediate=False)
        if len(np.unique(wrong)) == len(wrong):  # else the curve is no function
            line = interp1d(wrong, right)
            np.testing.assert_allclose(
                found, brentq(lambda a, line=line: 1 - a - line(a), 0, 1), atol=1e-9
            )


def test_the_ends():
    assert equal_error_rate(np.array([2.0, 3]), np.array([0.0, 1])) == 0
    assert equal_error_rate(np.array([0.0, 1]), np.array([2.0, 3])) == 1
    assert equal_error_rate(np.ones(3), np.ones(5)) == 0.5  # constant scores are chance
    for same, other, message in (
        (np.ones(0), np.ones(2), "both kinds"),
        (np.ones(2), np.array([np.nan]), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            equal_error_rate(same, other)


def test_pairs_of_examples():
    """Every pair once, none with itself, by angle and not by length."""
    x = np.array([[1, 0], [5, 1], [0, 1], [0.1, 2], [1, 1]])
    y = np.array([0, 0, 1, 1, 0])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    same = [unit[i] @ unit[j] for i, j in pairs if y[i] == y[j]]
    other = [unit[i] @ unit[j] for i, j in pairs if y[i] != y[j]]
    assert len(same) == 4 and len(other) == 6
    np.testing.assert_allclose(verification(x, y), by_sweep(same, other), atol=1e-12)
    assert verification(x, np.zeros(5)) is None and verification(x, np.arange(5)) is None


def test_speakers_that_training_has_not_heard():
    """Classes 2 and 3 are scored, and training has the others: chance without the centre."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 20)
    towards = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])[y]
    x = (towards + 0.3 * rng.normal(size=(80, 2)) + 20).astype(np.float32)
    names = tuple("abcd")
    train, test = (
        Arrays({"features": x[part], "label": y[part]}, classes=names) for part in (y < 2, y >= 2)
    )
    plain = dict.fromkeys(Evaluation()._parts)

    def found(one):
        evaluation = Evaluation(**plain, more=(one,))
        encoder = Encoder(lambda rows: rows["features"])
        return probes.evaluate(
            evaluation, {"trained": encoder}, evaluation.material(train, test, batch=8)
        )

    results = found(Verification())
    assert results["encoders"]["trained"]["verification_eer"] < 0.1
    assert "all pairs of 40 scored examples" in results["notes"][-1]
    far = found(Verification(centre=False))["encoders"]["trained"]["verification_eer"]
    assert far > results["encoders"]["trained"]["verification_eer"]
