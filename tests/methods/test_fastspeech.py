"""FastSpeech against loops in float64, and what its loss must not read."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_speech import CASES, said

from ssljax import nets
from ssljax.method import State
from ssljax.nets import stretched

KEY, BATCH = jax.random.key(0), said()
METHOD = CASES["fastspeech"].method
STILL = replace(
    METHOD,
    encoder=METHOD.encoder.clone(dropout=0.0),
    decoder=METHOD.decoder.clone(dropout=0.0),
    weight=0.5,
)


@pytest.fixture(scope="module")
def started():
    """(params, extra) in which letters last unequally long."""
    with jax.default_matmul_precision("highest"):
        params, extra = METHOD.init(KEY, BATCH)
        rng = np.random.default_rng(0)
        moved = jax.tree.map(lambda x: x + rng.normal(0, 0.2, x.shape).astype(np.float32), params)
        return moved, extra


def loop(states, lengths, frames, spread):
    """The length regulator of one text, a frame after the other."""
    real = [n for n in range(len(lengths)) if lengths[n] > 0]
    out = np.zeros((frames, states.shape[1]))
    for t in range(frames):
        weights = {}
        for n in real:
            centre = sum(lengths[:n]) + lengths[n] / 2
            weights[n] = np.exp(-((t + 0.5 - centre) ** 2) / spread)
        for n in real:
            out[t] += weights[n] / sum(weights.values()) * states[n]
    return out


def test_the_length_regulator_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2, 3, 4))
    lengths = np.array([[2.0, 3.5, 1.0], [4.0, 1.5, 0.0]])
    found = stretched(jnp.asarray(states), jnp.asarray(lengths), frames=7, spread=10.0)
    for b in range(2):
        np.testing.assert_allclose(found[b], loop(states[b], lengths[b], 7, 10.0), atol=1e-6)
    # Next to no spread: each letter is repeated as often as it lasts (FastSpeech's regulator),
    # where neighbours are equally long; borders lie in the middle between centres.
    even = jnp.asarray([[2.0, 2.0, 2.0]])
    hard = stretched(jnp.asarray(states[:1]), even, frames=6, spread=1e-3)
    np.testing.assert_allclose(hard[0], np.repeat(states[0], 2, axis=0), atol=1e-6)


def test_fastspeech_reference(started):
    params, extra = started
    with jax.default_matmul_precision("highest"):
        value, (_, metrics) = STILL.loss(params, extra, BATCH, KEY)
        scores = STILL.score(State(jnp.int32(0), params, None, extra), BATCH)
        x = {"text": BATCH["text"], "voice": BATCH["label"]}
        states, lengths = nets.apply(
            STILL.encoder, params["encoder"], {}, x, train=False, method="letters_of"
        )[0]
    states, lengths = np.float64(states), np.float64(lengths)
    assert np.ptp(lengths[lengths > 0]) > 1  # else a regulator that ignores them would pass
    error, count, square = 0.0, 0, []
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
    bands = np.array(STILL.mel.bands())
    for b, text in enumerate(BATCH["text"]):
        if text[0] < 0:
            assert scores["mel_error"][1][b] == scores["length_error"][1][b] == 0
            continue
        frames = 1 + (BATCH["length"][b] - 16) // 5
        audio = np.float64(BATCH["audio"][b])
        power = [np.abs(np.fft.rfft(audio[5 * t : 5 * t + 16] * hann)) ** 2 for t in range(frames)]
        truth = (np.log(np.array(power) @ bands + 1e-6) - STILL.level) / STILL.scale
        whole = lengths[b].sum()
        h = loop(states[b], lengths[b] * frames / whole, 27, STILL.sharp)
        with jax.default_matmul_precision("highest"):
            real = (np.arange(27) < frames)[None]
            y = nets.apply(
                STILL.decoder, params["decoder"], {}, jnp.float32(h[None]), train=False, real=real
            )[0]
        mine = np.abs(np.float64(y)[0, :frames] - truth).mean(1).sum()
        np.testing.assert_allclose(scores["mel_error"][0][b], mine, rtol=1e-5)
        np.testing.assert_allclose(
            scores["length_error"][0][b], abs(np.log(whole / frames)), rtol=1e-4, atol=1e-6
        )
        error, count = error + mine, count + frames
        square.append(np.log(whole / frames) ** 2)
    np.testing.assert_allclose(metrics["mel_error"], error / count, rtol=1e-5)
    np.testing.assert_allclose(value, error / count + 0.5 * np.mean(square), rtol=1e-5)


def test_neither_padding_nor_what_nobody_wrote_down_matters(started):
    params, extra = started
    loss = jax.jit(lambda batch: STILL.loss(params, extra, batch, KEY)[0])
    noisy = dict(BATCH)
    beyond = np.arange(150) >= BATCH["length"][:, None]
    beyond[2:4] = True  # no text
    noisy["audio"] = np.where(beyond, 7.0, BATCH["audio"]).astype(np.float32)
    np.testing.assert_allclose(loss(BATCH), loss(noisy), rtol=1e-5)
    noisy["audio"] = BATCH["audio"] + np.float32(0.1)
    assert abs(float(loss(noisy)) - float(loss(BATCH))) > 1e-3


def test_what_is_spoken_lasts_as_long_as_its_letters(started):
    params, extra = started
    state = State(jnp.int32(0), params, None, extra)
    few = {k: v[:2] for k, v in BATCH.items()}
    lengths = np.asarray(METHOD.read(params, few)[1]).sum(1)
    seconds = 0.05  # 400 samples, 77 frames
    for pace in (1.0, 2.0):
        audio, length = METHOD.speak(state, KEY, few, seconds=seconds, pace=pace)
        frames = np.clip(np.round(lengths / pace), 1, 77)
        np.testing.assert_array_equal(length, (frames - 1) * 5 + 16)
        assert audio.shape == (2, 76 * 5 + 16)
        for x, n in zip(np.asarray(audio), np.asarray(length), strict=True):
            assert x[:n].any() and not x[n:].any() and np.abs(x).max() <= 1
    shown = METHOD.show(few, KEY, state)
    assert shown["views"].shape == (2, 2, 12, 27, 1)
    assert shown["sounds"].shape == (2, 3, 150) and int(shown["rate"]) == 8000
    np.testing.assert_array_equal(shown["sounds"][:, 0], few["audio"])


def test_voices_are_those_of_the_data():
    data = type("Data", (), {"classes": ("ann", "bob"), "spec": {"audio": 0}})()
    open_ = replace(METHOD, encoder=METHOD.encoder.clone(voices=None))
    assert open_.filled(data).encoder.voices == 2 and METHOD.filled(data) == METHOD
    with pytest.raises(ValueError, match="recordings with texts"):
        METHOD.check(data)
    with pytest.raises(ValueError, match="voices is open"):
        open_.init(KEY, BATCH)
    data.spec = {"audio": 0, "text": 0}
    METHOD.check(data)
    with pytest.raises(ValueError, match=r"are \(3, 6\): set them to \(2, 6\)"):
        replace(METHOD, letters="ab").check(data)
