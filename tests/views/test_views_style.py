"""Duotone: black and white become two colours that can be told apart; plain is grey."""

import jax
import numpy as np
import pytest

from ssljax.views import Duotone, Grey, view_batch

KEY = jax.random.key(0)


@pytest.fixture
def halves():
    """Left half black, right half white."""
    x = np.zeros((40, 8, 8, 1), np.uint8)
    x[:, :, 4:] = 255
    return x


def test_two_colours(halves):
    x = np.asarray(view_batch(Duotone(size=8, stripes=0.0), KEY, halves))
    assert x.shape == (40, 8, 8, 3)
    assert x.min() >= 0 and x.max() <= 1
    black, white = x[:, 0, 0], x[:, 0, 7]
    np.testing.assert_allclose(x[:, :, :4], black[:, None, None] * np.ones((1, 8, 4, 1)), atol=1e-6)
    np.testing.assert_allclose(x[:, :, 4:], white[:, None, None] * np.ones((1, 8, 4, 1)), atol=1e-6)
    assert np.abs(black - white).min() >= 0.25 - 1e-6
    assert len(np.unique(black.round(4), axis=0)) == 40


def test_stripes_lie_behind(halves):
    x = np.asarray(view_batch(Duotone(size=8, stripes=1.0), KEY, halves))
    assert x[:, :, :4].std(axis=(1, 2)).max(axis=1).min() > 0.02
    np.testing.assert_allclose(x[:, :, 4:].std(axis=(1, 2)), 0, atol=1e-6)
    mixed = np.asarray(view_batch(Duotone(size=8), KEY, halves))[:, :, :4].std(axis=(1, 2)).max(1)
    assert 8 <= (mixed > 0.01).sum() <= 32  # half of 40


def test_grey(halves):
    view = Grey(size=8, mean=(0.5,), std=(0.25,))
    expected = (np.repeat(halves / 255.0, 3, axis=-1) - 0.5) / 0.25
    np.testing.assert_allclose(view.plain(halves), expected, atol=1e-6)
    np.testing.assert_allclose(view_batch(view, KEY, halves), expected, atol=1e-6)
    np.testing.assert_allclose(view.denormalize(expected), expected * 0.25 + 0.5, atol=1e-6)


def test_refused():
    with pytest.raises(ValueError, match="probability"):
        Duotone(stripes=2.0)
    assert Duotone(period=[2.0, 3.0]) == Duotone(period=(2.0, 3.0))
