"""The bands of a recording as a picture: those of the host, whatever the loudness."""

import jax
import numpy as np
import pytest

from ssljax.data.audio import log_mel
from ssljax.views import LogMel, MelPicture

AUDIO = np.random.default_rng(0).normal(size=(2, 1600)).astype(np.float32)
MEL = LogMel(rate=8000, window=200, hop=80, mels=40)
VIEW = MelPicture(mel=MEL)


def test_the_bands_are_those_of_the_host():
    for x in AUDIO:
        np.testing.assert_allclose(MEL(x), log_mel(x, 8000), rtol=1e-5, atol=1e-5)


def test_views():
    plain = VIEW.plain(AUDIO)
    assert plain.shape == (2, 18, 40, 1)
    flat = MelPicture(mel=MEL, upright=False).plain(AUDIO)
    np.testing.assert_array_equal(flat[:, :, 0], plain[..., 0])
    np.testing.assert_allclose(plain, VIEW.plain(3 * AUDIO), atol=1e-3)
    one, two = (VIEW(jax.random.key(i), AUDIO[0]) for i in (0, 1))
    assert one.shape == plain[0].shape and not np.allclose(one, two)
    assert np.isfinite(VIEW.plain(np.zeros((1, 400), np.float32))).all()
    with pytest.raises(ValueError, match="less than a frame"):
        VIEW.plain(AUDIO[:, :100])
