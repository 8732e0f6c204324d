"""The Frechet distance: closed forms, scipy's sqrtm, eigenvalues, singular covariances."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ssljax.probes.frechet import frechet, frechet_distance, gaussian


def random_gaussian(seed, width=6, rank=12):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rank, width)) * rng.uniform(0.1, 2, size=width)
    return rng.normal(size=width), a.T @ a / rank


def test_equals_the_definition_by_sqrtm():
    (m1, c1), (m2, c2) = random_gaussian(0), random_gaussian(1)
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    np.testing.assert_allclose(frechet((m1, c1), (m2, c2)), expected, rtol=1e-9)


def test_equals_the_eigenvalues_of_the_product():
    (m1, c1), (m2, c2) = random_gaussian(2), random_gaussian(3)
    overlap = np.sqrt(np.linalg.eigvals(c1 @ c2).real).sum()
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * overlap
    np.testing.assert_allclose(frechet((m1, c1), (m2, c2)), expected, rtol=1e-9)


@pytest.mark.parametrize(("s1", "s2", "shift"), [(1.0, 1.0, 3.0), (2.0, 0.5, 0.0), (1.5, 3.0, 1.0)])
def test_isotropic_gaussians(s1, s2, shift):
    """|m1 - m2|^2 + D (s1 - s2)^2."""
    one, zero = np.eye(4), np.zeros(4)
    found = frechet((zero, s1**2 * one), (zero + shift, s2**2 * one))
    np.testing.assert_allclose(found, 4 * shift**2 + 4 * (s1 - s2) ** 2, rtol=1e-12)


def test_a_distance():
    a, b = random_gaussian(4), random_gaussian(5)
    assert frechet(a, a) < 1e-9
    np.testing.assert_allclose(frechet(a, b), frechet(b, a), rtol=1e-9)


def test_singular_covariances():
    """Fewer rows than features, where sqrtm warns or turns complex."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 20))
    assert frechet_distance(x, x) < 1e-6
    m, c = gaussian(x)
    # the same spread, moved: only the means differ
    np.testing.assert_allclose(frechet_distance(x, x + 1.0), 20.0, rtol=1e-6)
    assert frechet_distance(x, y) > 1
    np.testing.assert_allclose(c, np.cov(x.T), rtol=1e-12)
    np.testing.assert_allclose(m, x.mean(0))


def test_of_samples_it_approaches_that_of_their_gaussians():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 3)), 1 + 2 * rng.normal(size=(20_000, 3))
    np.testing.assert_allclose(frechet_distance(x, y), 3 + 3, rtol=0.05)


def test_refused():
    with pytest.raises(ValueError, match="N >= 2"):
        gaussian(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        gaussian(np.array([[0.0, np.nan], [1, 1]]))
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_distance(np.zeros((4, 3)), np.zeros((4, 2)))
