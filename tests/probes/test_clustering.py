"""The clustering probe: finds groups that are there, and says so whatever the numbers."""

import numpy as np
import pytest

from ssljax.probes import clustering


def blobs(noise):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    x = 4 * np.eye(3, 8)[y] + noise * rng.normal(size=(150, 8))
    return x * rng.uniform(0.2, 5, (150, 1)), y


def test_it_finds_what_is_there_by_direction():
    """Lengths differ by a factor of 25: clusters of plain distances would be rings."""
    x, y = blobs(0.3)
    assert clustering(x, y, classes=3) == {"accuracy": 1, "nmi": pytest.approx(1), "ari": 1}
    assert clustering(x, (y + 1) % 3, classes=3)["accuracy"] == 1


def test_noise_has_no_classes():
    x, y = blobs(0.3)
    noise = np.random.default_rng(1).normal(size=x.shape)
    found = clustering(noise, y, classes=3)
    assert 1 / 3 <= found["accuracy"] < 0.55
    assert abs(found["ari"]) < 0.05
    assert found["nmi"] < 0.1


def test_seed_and_bad_input():
    x, y = blobs(3.0)
    assert clustering(x, y, classes=3, seed=1) == clustering(x, y, classes=3, seed=1)
    assert clustering(x[:2], y[:2], classes=3)["accuracy"] > 0
    with pytest.raises(ValueError, match="but there are 2 classes"):
        clustering(x, y, classes=2)
