"""Random changes of recordings: what they keep, and how often they do what."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.views import (
    SpecAugment,
    WaveView,
    add_noise,
    flip_sign,
    most_hidden,
    random_gain,
    random_window,
    span_mask,
)

KEYS = jax.random.split(jax.random.key(0), 400)
AUDIO = jnp.arange(1.0, 31.0) * (jnp.arange(30) < 20)


def test_windows_lie_in_the_recording():
    cut, length = jax.vmap(lambda k: random_window(k, AUDIO, jnp.int32(20), size=8))(KEYS)
    assert (length == 8).all() and (np.diff(cut, axis=1) == 1).all()
    assert set(np.asarray(cut[:, 0])) == set(range(1, 14))  # every place, the last one included
    cut, length = jax.vmap(lambda k: random_window(k, AUDIO, jnp.int32(20), size=24))(KEYS)
    np.testing.assert_array_equal(cut, np.tile(AUDIO[:24], (400, 1)))
    assert (length == 20).all()
    with pytest.raises(ValueError, match="window of 31"):
        random_window(KEYS[0], AUDIO, jnp.int32(20), size=31)


def test_sign_gain_and_noise():
    signs = jax.vmap(lambda k: flip_sign(k, AUDIO))(KEYS)[:, 0]
    assert set(np.asarray(signs)) == {-1.0, 1.0} and abs(np.mean(signs)) < 0.2
    gains = jax.vmap(lambda k: random_gain(k, AUDIO, decibels=6.0))(KEYS)[:, 0]
    assert 0.5 < gains.min() < 0.53 and 1.9 < gains.max() < 2.0
    noisy = jax.vmap(lambda k: add_noise(k, AUDIO, jnp.int32(20), snr=(10.0, 10.0)))(KEYS)
    assert not np.any(noisy[:, 20:])
    noise = np.asarray(noisy - AUDIO)[:, :20]
    power = np.mean(np.square(AUDIO[:20]))
    np.testing.assert_allclose(10 * np.log10(power / np.mean(noise**2)), 10, atol=0.2)


def test_a_view_of_a_batch():
    view = WaveView(size=8, sign=True, gain=3.0, snr=(20.0, 40.0))
    rows = {"audio": jnp.tile(AUDIO, (3, 1)), "length": jnp.array([20, 5, 8]), "label": None}
    made = view.batch(KEYS[0], rows)
    assert made["audio"].shape == (3, 8) and made["length"].tolist() == [8, 5, 8]
    same = WaveView().batch(KEYS[0], rows)
    np.testing.assert_array_equal(same["audio"], rows["audio"])


def test_spec_augment_hides_stripes():
    mel = 5.0 + jax.random.normal(KEYS[0], (20, 12)) * (jnp.arange(20) < 15)[:, None]
    view = SpecAugment(bands=1, width=4, times=1, frames=6)
    made = jax.vmap(lambda k: view(k, mel, jnp.int32(15)))(KEYS)
    np.testing.assert_array_equal(made[:, 15:], np.tile(mel[15:], (400, 1, 1)))
    changed = np.asarray(made != mel)[:, :15]
    assert np.allclose(np.asarray(made)[:, :15][changed], mel[:15].mean(), atol=1e-5)
    times = changed.all(2).sum(1)
    bands = changed.all(1).sum(1)
    assert set(times) == set(range(7)) and set(bands) == set(range(5))
    stripes = changed.all(2, keepdims=True) | changed.all(1, keepdims=True)
    np.testing.assert_array_equal(changed, stripes)
    for row in changed.all(2):  # in one piece
        assert np.abs(np.diff(np.r_[False, row, False].astype(int))).sum() in (0, 2)
    limited = SpecAugment(bands=0, times=1, frames=100, share=0.2)
    made = jax.vmap(lambda k: limited(k, mel, jnp.int32(15)))(KEYS)
    assert np.asarray(made != mel).all(2).sum(1).max() == 3


def test_span_masks_hide_about_half():
    masks = jax.vmap(lambda k: span_mask(k, jnp.int32(500), frames=520, prob=0.65, span=10))(KEYS)
    masks = np.asarray(masks)
    assert not masks[:, 500:].any()
    assert abs(masks[:, :500].mean() - 0.49) < 0.01  # 49%, as the paper says of p = 0.065
    for row in masks[:50]:
        edges = np.flatnonzero(np.diff(np.r_[0, row.astype(int), 0]))
        assert (edges[1::2] - edges[::2] >= 10).all()


def test_span_masks_of_short_recordings_leave_something_to_see():
    for n in range(13):
        hide = partial(span_mask, length=jnp.int32(n), frames=12, prob=0.65, span=5)
        masks = np.asarray(jax.vmap(hide)(KEYS))
        assert not masks[:, n:].any()
        assert masks.sum(1).max() <= most_hidden(12, prob=0.65, span=5)
        if n >= 3:
            assert masks.sum(1).min() >= 2 and (masks.sum(1) < n).mean() > 0.3
