"""Normalised log-mel frames, and spans that are hidden, against loops."""

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.views import LogMel, MelFrames, SpecAugment, WaveView, hide_spans

MEL = LogMel(rate=8000, window=64, hop=40, mels=4)
LENGTH = np.array([400, 250, 30], np.int32)  # the last is shorter than a frame
AUDIO = np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)
BATCH = {"audio": jnp.asarray(AUDIO), "length": jnp.asarray(LENGTH)}


def test_each_band_has_mean_0_and_variance_1_over_the_real_frames():
    found = jax.device_get(MelFrames(mel=MEL).plain(BATCH))
    whole = jax.device_get(MelFrames(mel=MEL, over="recording").plain(BATCH))
    assert found["length"].tolist() == [9, 5, 0]
    rows = zip(found["mel"], whole["mel"], AUDIO, LENGTH, found["length"])
    for x, y, audio, length, count in rows:
        assert not x[count:].any() and not y[count:].any()
        if count:
            bands = np.asarray(MEL(jnp.asarray(audio[:length])), np.float64)
            want = (bands - bands.mean(0)) / np.sqrt(bands.var(0) + 1e-5)
            np.testing.assert_allclose(x[:count], want, atol=1e-4)
            want = (bands - bands.mean()) / np.sqrt(bands.var() + 1e-5)
            np.testing.assert_allclose(y[:count], want, atol=1e-4)
    louder = MelFrames(mel=MEL).plain(BATCH | {"audio": 3 * BATCH["audio"]})
    np.testing.assert_allclose(louder["mel"], found["mel"], atol=1e-3)


def test_a_random_view_changes_what_it_says_and_no_padding():
    view = MelFrames(mel=MEL, wave=WaveView(snr=(0.0, 10.0)), augment=SpecAugment(times=1, width=2))
    plain, one = view.plain(BATCH), view(jax.random.key(0), BATCH)
    assert not np.allclose(plain["mel"][0], one["mel"][0]) and not np.any(one["mel"][1, 5:])
    same = MelFrames(mel=MEL)(jax.random.key(0), BATCH)  # nothing is on
    np.testing.assert_array_equal(same["mel"], plain["mel"])


def test_spans_begin_anywhere_and_overlap():
    keys = jax.random.split(jax.random.key(0), 300)
    options = {"frames": 60, "prob": 0.05, "span": 10}
    mask = np.asarray(jax.vmap(lambda k: hide_spans(k, jnp.int32(50), **options))(keys))
    for key, row in zip(keys, mask):
        begins = np.asarray(jax.random.bernoulli(key, 0.05, (60,)))
        want = [t < 50 and begins[max(0, t - 9) : t + 1].any() for t in range(60)]
        assert row.tolist() == want
    # Of 10 places where a span that covers a frame may begin, none: .95^10 = .6.
    np.testing.assert_allclose(mask[:, 20:50].mean(), 1 - 0.95**10, atol=0.03)
