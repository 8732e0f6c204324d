"""Texts as targets: the loss where they fit and where they do not, and what is read off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.nets.wav2vec2 import SpeechOutputs
from ssljax.tasks import Transcript

TARGET = Transcript(letters="abc")


def test_texts_there_and_back():
    assert TARGET.encode("cab", 5) == [3, 1, 2, 0, 0] and TARGET.width == 4
    assert TARGET.decode(jnp.array([3, 1, 2, 0, 0])) == "cab"
    with pytest.raises(ValueError, match="'d'"):
        TARGET.encode("bad", 5)
    with pytest.raises(ValueError, match="more than 2"):
        TARGET.encode("abc", 2)


def test_loss_of_one_frame_and_of_texts_that_do_not_fit():
    outputs = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 4)), jnp.float32)
    target = jnp.array([TARGET.encode(t, 3) for t in ("a", "ab", "aa", "abc")])
    loss = TARGET.loss(outputs, target, jnp.array([1.0, 2.0, 1.0, 1.0]))
    p = np.asarray(jax.nn.softmax(outputs, axis=-1))
    a = p[0, 0, 1] * p[0, 1, 1] + p[0, 0, 0] * p[0, 1, 1] + p[0, 0, 1] * p[0, 1, 0]
    np.testing.assert_allclose(loss[0], -np.log(a), rtol=1e-5)
    np.testing.assert_allclose(loss[1], -2 * np.log(p[1, 0, 1] * p[1, 1, 2]), rtol=1e-5)
    np.testing.assert_array_equal(loss[2:], 0)  # "aa" needs a blank between, "abc" three frames
    grads = jax.grad(lambda x: TARGET.loss(x, target, jnp.ones(4)).sum())(outputs)
    assert np.isfinite(grads).all() and not np.any(grads[2:])


def test_what_is_read_off():
    path = np.array([[1, 1, 0, 2, 0], [3, 0, 0, 0, 0]])
    outputs = 9.0 * jax.nn.one_hot(path, 4)
    target = jnp.array([TARGET.encode("ab", 4), TARGET.encode("ca", 4)])
    letters, confidence = TARGET.pseudo(outputs)
    assert [TARGET.decode(row) for row in letters] == ["ab", "c"]
    np.testing.assert_allclose(confidence, 1 / (1 + 3 * np.exp(-9)), rtol=1e-5)
    found = TARGET.metrics(outputs, target)
    assert found["accuracy"].tolist() == [1, 0] and found["letter_errors"].tolist() == [0, 0.5]
    several = jnp.stack([outputs, outputs])
    np.testing.assert_allclose(
        jax.nn.softmax(TARGET.average(several)), jax.nn.softmax(outputs), rtol=1e-5
    )


def test_the_head_says_blank_beyond_the_end():
    """Of what a network of sound hears, [B, T, D], the frames that are real."""
    heard = SpeechOutputs(None, None, [jnp.ones((2, 5, 3))], jnp.arange(5) < jnp.array([[2], [5]]))
    head = TARGET.head((4,))
    outputs = head.apply(head.init(jax.random.key(0), heard), heard)
    assert outputs.shape == (2, 5, 4)
    p = jax.nn.softmax(outputs)
    np.testing.assert_allclose(p[0, 2:, 0], 1, rtol=1e-6)
    assert np.all(p[0, :2, 0] < 0.99) and np.all(p[1, :, 0] < 0.99)


def test_texts_that_nobody_knows_and_texts_that_are_too_short():
    rows = np.array([[1, 2, 0], [-1, 0, 0], [0, 0, 0]])
    assert TARGET.known(rows).tolist() == [True, False, True]  # an empty text is one
    fixed = TARGET.fixed(rows)
    assert fixed.shape == (3, 16) and not fixed[:, 3:].any()
    np.testing.assert_array_equal(fixed[:, :3], rows)
    assert TARGET.fixed(fixed).shape == (3, 16)
    outputs = 9.0 * jax.nn.one_hot(np.array([[1, 0, 2], [0, 3, 3], [0, 0, 0]]), 4)
    for least, sure in ((1, [True, True, False]), (2, [True, False, False])):
        confidence = Transcript(letters="abc", least=least).pseudo(outputs)[1]
        assert (np.asarray(confidence) > 0).tolist() == sure
