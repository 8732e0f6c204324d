"""Smoothing, weighting and the steps of a round, by hand."""

import numpy as np
import pytest

from ssljax.pseudolabels import refine
from ssljax.pseudolabels.generate import LabelContext, named
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.tasks import OneOf

rng = np.random.default_rng(0)


def test_smooth_and_soften():
    np.testing.assert_allclose(
        refine.smooth(np.array([2, 0]), classes=3, epsilon=0.2), [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]
    )
    p = rng.dirichlet(np.ones(4), 5)
    expected = p**2 / (p**2).sum(1, keepdims=True)
    np.testing.assert_allclose(refine.soften(p, temperature=0.5), expected, rtol=1e-5)


def test_temporal_is_corrected_for_its_start():
    ps = [rng.dirichlet(np.ones(3), 4) for _ in range(3)]
    np.testing.assert_allclose(refine.temporal(ps[:1], decay=0.6), ps[0])
    weights = np.array([0.36, 0.6, 1.0]) * 0.4
    expected = sum(w * p for w, p in zip(weights, ps, strict=True)) / weights.sum()
    np.testing.assert_allclose(refine.temporal(ps, decay=0.6), expected)


def test_weights():
    p = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]])
    np.testing.assert_allclose(
        refine.entropy_weight(p), [1, 0, 1 - np.log(2) / np.log(3)], atol=1e-6
    )
    pool = rng.random(50)
    m = np.array([0.1, 0.9])
    expected = [np.exp(-(min(x - pool.mean(), 0) ** 2) / (2 * pool.var(ddof=1) / 4)) for x in m]
    np.testing.assert_allclose(refine.gaussian_weight(m, pool, sigmas=2), expected, rtol=1e-5)


def test_agreement_and_small_loss():
    a, b, c = np.array([0, 1, 2]), np.array([0, 1, 1]), np.array([0, 2, 2])
    np.testing.assert_array_equal(refine.agreement(a, b, c), [True, False, False])
    loss = np.array([0.5, 0.1, 0.9, 0.2])
    np.testing.assert_array_equal(refine.small_loss(loss, keep=0.5), [0, 1, 0, 1])


def test_named_clusters():
    """The labelled examples name a cluster; one without any abstains."""
    share = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    p = named(share, np.array([0, 1, 3]), np.array([1, 0, 1]), classes=2)
    np.testing.assert_allclose(p, [[0.5, 0.5]] * 3 + [[0, 1]] * 2 + [[0, 0]])


class Features:
    def __init__(self, x):
        self.x = x

    def features(self, data):
        return self.x


def test_steps_of_a_round():
    truth = np.repeat([0, 1], 20)
    x = np.eye(2)[truth] + 0.05 * rng.normal(size=(40, 2))
    wrong = truth.copy()
    wrong[5] = 1
    p = np.where(np.eye(2)[wrong] > 0, 0.9, 0.1)
    guess = Guess.of(p)
    context = LabelContext(
        Features(x), range(40), np.array([0, 39]), np.array([0, 1]), OneOf(classes=2), 0
    )
    labels = Labels.made(
        np.arange(1, 39), wrong[1:39], guess.confidence[1:39], provenance="m", round=1
    )
    cleaned = refine.Confident(k=5).labels(labels, guess, context)
    np.testing.assert_array_equal(cleaned.index[cleaned.weight == 0], [5])
    assert refine.Agree(k=1).guess(guess, context).confidence[5] == 0
    assert refine.OverGraph(k=5, alpha=0.9).guess(guess, context).target[5] == 0
    soft = refine.Soft(temperature=1.0).labels(labels, guess, context)
    np.testing.assert_allclose(soft.target, p[1:39], rtol=1e-5)
    weighed = refine.Weigh(by="entropy").labels(labels, guess, context)
    np.testing.assert_allclose(weighed.weight, refine.entropy_weight(p[1:39]), rtol=1e-5)
    with pytest.raises(ValueError, match="needs probabilities"):
        refine.Temporal().guess(guess._replace(p=None), context)


def test_alignment_moves_the_mean_to_the_prior():
    p = rng.dirichlet([4, 1, 1], 500)
    p[7] = 0  # abstains
    context = LabelContext(None, range(500), np.array([0]), np.array([0]), OneOf(classes=3), 0)
    even = refine.Align().guess(Guess.of(p), context)
    cast = np.delete(p, 7, 0)
    want = cast * (1 / 3 + 1e-6) / (cast.mean(0) + 1e-6)
    want /= want.sum(1, keepdims=True)
    np.testing.assert_allclose(np.delete(even.p, 7, 0), want, rtol=1e-5)
    assert even.confidence[7] == 0
    share = np.bincount(even.target, minlength=3) / 500
    before = np.bincount(p.argmax(1), minlength=3) / 500
    assert np.abs(share - 1 / 3).max() < 0.1 < np.abs(before - 1 / 3).max()
    prior = refine.Align(prior=(0.8, 0.1, 0.1)).guess(Guess.of(p), context)
    assert (prior.target == 0).mean() > 0.75
    with pytest.raises(ValueError, match="3 shares that sum to one"):
        refine.Align(prior=(0.5, 0.5)).guess(Guess.of(p), context)
    with pytest.raises(ValueError, match="needs probabilities"):
        refine.Align().guess(Guess.of(p)._replace(p=None), context)


def test_small_loss_asks_the_teacher():
    """Of two labels of each class of another source, the one that it believes least goes."""

    class Sure:
        def guess(self, data):
            return Guess.of(np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]]))

    context = LabelContext(Sure(), range(5), np.array([4]), np.array([0]), OneOf(classes=2), 0)
    labels = Labels.made(np.arange(4), np.array([0, 1, 1, 0]), np.ones(4), provenance="r", round=1)
    pruned = refine.SmallLoss(keep=0.5).labels(labels, None, context)
    np.testing.assert_array_equal(pruned.weight, [1, 1, 0, 0])
    assert pruned.target is labels.target
    with pytest.raises(ValueError, match="above 0"):
        refine.SmallLoss(keep=0)
