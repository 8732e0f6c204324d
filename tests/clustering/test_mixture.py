"""Gaussian mixtures against scikit-learn and against densities of SciPy."""

import warnings

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from ssljax.clustering import Mixture, gaussian_mixture, log_joint

KEY = jax.random.key(0)


def data(away=0.0):
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(size=(150, 3)) * scale + centre
        for scale, centre in (([1, 0.3, 2], 0), ([0.5, 1, 0.5], [3, 1, 0]), (1.0, [0, -3, 2]))
    ]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return (np.concatenate(parts) @ turn + away).astype(np.float32)


def start(x, full):
    eye = np.eye(3, dtype=np.float32)
    covariances = np.tile(eye if full else np.ones(3, np.float32), (3, *[1] * (1 + full)))
    return Mixture(np.array([0.2, 0.3, 0.5], np.float32), x[[0, 200, 400]], covariances)


@pytest.mark.parametrize("away", [0.0, 300.0])
@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_the_same_start_ends_as_in_scikit_learn(covariance, away):
    x = data(away)
    first = start(x, covariance == "full")
    inverse = np.linalg.inv(first.covariances) if covariance == "full" else 1 / first.covariances
    peer = GaussianMixture(
        3,
        covariance_type=covariance,
        weights_init=first.weights.astype(np.float64) / first.weights.astype(np.float64).sum(),
        means_init=first.means,
        precisions_init=inverse,
        tol=0,
        max_iter=30,
    )
    with warnings.catch_warnings(action="ignore"):  # that it has not converged
        peer.fit(x.astype(np.float64))
    ours = gaussian_mixture(x, 3, key=KEY, covariance=covariance, start=first, tol=0, iterations=30)
    np.testing.assert_allclose(ours.log_likelihood, peer.score(x.astype(np.float64)), rtol=1e-5)
    assert int(ours.iterations) == peer.n_iter_ == 30
    np.testing.assert_allclose(ours.mixture.means, peer.means_, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.mixture.weights, peer.weights_, atol=1e-4)
    np.testing.assert_allclose(ours.mixture.covariances, peer.covariances_, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_log_joint(covariance):
    x = data()
    mixture = gaussian_mixture(x, 3, key=KEY, covariance=covariance, iterations=3).mixture
    expected = [
        np.log(w) + multivariate_normal(m, s if s.ndim == 2 else np.diag(s)).logpdf(x)
        for w, m, s in zip(*(np.asarray(part, np.float64) for part in mixture))
    ]
    np.testing.assert_allclose(log_joint(x, mixture), np.stack(expected, 1), rtol=1e-4, atol=1e-4)


def test_a_row_far_from_every_component_stays_finite():
    """Its density underflows to zero, its logarithm does not."""
    mixture = gaussian_mixture(data(), 3, key=KEY).mixture
    far = np.full((1, 3), 1e4, np.float32)
    joint = log_joint(far, mixture)
    assert np.isfinite(joint).all()
    assert (joint < -1000).all()


def test_each_iteration_raises_the_likelihood():
    x = data()
    first = start(x, True)
    values = [
        float(gaussian_mixture(x, 3, key=KEY, start=first, iterations=n, tol=0).log_likelihood)
        for n in (1, 2, 4, 8)
    ]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.01


def test_it_stops_where_scikit_learn_does():
    x = data()
    first = start(x, True)
    peer = GaussianMixture(
        3, weights_init=[0.2, 0.3, 0.5], means_init=first.means, precisions_init=first.covariances
    ).fit(x.astype(np.float64))
    assert int(gaussian_mixture(x, 3, key=KEY, start=first).iterations) == peer.n_iter_ > 3


def test_bad_input():
    x = data()
    with pytest.raises(ValueError, match="no covariance"):
        gaussian_mixture(x, 3, key=KEY, covariance="tied")
    with pytest.raises(ValueError, match="components"):
        gaussian_mixture(x, 0, key=KEY)
    with pytest.raises(ValueError, match="does not fit"):
        gaussian_mixture(x, 3, key=KEY, covariance="diag", start=start(x, True))
