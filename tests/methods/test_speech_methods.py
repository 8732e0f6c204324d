"""wav2vec 2.0 and HuBERT: what the loss reads and what it must not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_speech import CASES, SPEECH_NET, speech

from ssljax import nets
from ssljax.data import Arrays
from ssljax.method import State
from ssljax.methods import HuBERT
from ssljax.views import hide_frames

KEY = jax.random.key(0)
BATCH = speech()
TX = optax.sgd(0.1)


def started(name):
    method = CASES[name].method
    return method, jax.jit(method.build(TX, updates=10).init)(KEY, BATCH)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "data2vec_audio"])
def test_what_lies_in_the_padding_changes_nothing(name):
    method, state = started(name)
    noisy = dict(BATCH)
    beyond = np.arange(150) >= BATCH["length"][:, None]
    noisy["audio"] = np.where(beyond, 7.0, BATCH["audio"]).astype(np.float32)
    loss = jax.jit(lambda batch: method.loss(state.params, state.extra, batch, KEY))
    value, (_, metrics) = loss(BATCH)
    again, (_, others) = loss(noisy)
    np.testing.assert_allclose(value, again, rtol=1e-4)
    for key in metrics:
        np.testing.assert_allclose(metrics[key], others[key], rtol=1e-3, err_msg=key)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert"])
def test_the_score_is_that_of_hidden_real_frames(name):
    method, state = started(name)
    scores = jax.jit(method.score)(state, BATCH)
    frames = np.asarray(SPEECH_NET.frames(BATCH["length"]))
    count = np.asarray(scores["loss"][1])
    assert (count <= frames).all() and (count[:1] > 0).all()
    if name == "wav2vec2":
        assert count[1] == 0  # a recording of one frame has nothing to be told from
    assert np.isfinite(scores["loss"][0]).all()


def test_temperature_falls_once_an_update():
    method, state = started("wav2vec2")
    assert state.extra["tau"] == 2.0
    for k, want in ((0, 2 * 0.999995), (99, 2 * 0.999995**100), (10**6, 0.5)):
        tau = method.after(state.params, state.extra, jnp.int32(k))["tau"]
        np.testing.assert_allclose(tau, want, rtol=1e-6)


def test_codes_come_from_what_was_heard_and_not_from_the_hidden_input():
    """With all hidden, the transformer hears nothing, and the codes are the same as before."""
    method, state = started("wav2vec2")
    x = {k: jnp.asarray(BATCH[k]) for k in ("audio", "length")}
    keys = jax.random.split(KEY, 16)
    _, logits, _, hidden, outputs = method._compare(state.params, state.extra, x, keys, None)
    table = state.params["quantizer"]["weight_proj"]
    want = outputs.normed @ table["kernel"] + table["bias"]
    want = np.take_along_axis(np.asarray(want), np.asarray(hidden.positions)[..., None], axis=1)
    np.testing.assert_allclose(logits.reshape(want.shape), want, atol=1e-4)


def test_hubert_clusters_cepstra_first_and_states_later():
    data = Arrays({k: v for k, v in BATCH.items() if k != "index"})
    method, state = started("hubert")
    first = method.refresh(state, data)
    assert int(first.extra["round"]) == 0
    x = {k: jnp.asarray(BATCH[k]) for k in ("audio", "length")}
    told = np.asarray(method._told(first.extra["teacher"], x, "cepstra"))
    real = np.arange(told.shape[1]) < np.asarray(SPEECH_NET.frames(x["length"]))[:, None]
    rows, centroids = told[real], np.asarray(first.extra["centroids"]["cepstra"])
    nearest = ((rows[:, None] - centroids) ** 2).sum(-1).argmin(1)
    means = np.stack([rows[nearest == k].mean(0) for k in range(5)])
    np.testing.assert_allclose(centroids, means, rtol=1e-3, atol=1e-2)  # a fixed point of k-means
    later = method.refresh(State(jnp.int32(3), first.params, first.opt, first.extra), data)
    assert int(later.extra["round"]) == 1
    np.testing.assert_array_equal(later.extra["centroids"]["cepstra"], centroids)
    value, (_, metrics) = method.loss(later.params, later.extra, BATCH, KEY)
    assert np.isfinite(value) and metrics["cluster_perplexity"] <= 4 + 1e-3


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "data2vec_audio"])
def test_frames_that_are_not_hidden_do_not_matter(name, monkeypatch):
    """What the networks say of them may be anything: neither loss, codes nor negatives see it."""
    method, state = started(name)
    apply_speech = nets.apply_speech

    def garbled(encoder, params, x, *, mask=None, key=None):
        outputs = apply_speech(encoder, params, x, mask=mask, key=key)
        if mask is None:  # a teacher, which hides nothing
            return outputs
        noise = jnp.where(mask[..., None], 0.0, 9.0)
        layers = [*outputs.layers[:-1], outputs.layers[-1] + noise]
        return outputs._replace(layers=layers, normed=outputs.normed + noise)

    value, (_, metrics) = jax.jit(lambda p, e: method.loss(p, e, BATCH, KEY))(
        state.params, state.extra
    )
    monkeypatch.setattr(nets, "apply_speech", garbled)
    again, (_, others) = jax.jit(lambda p, e: method.loss(p, e, BATCH, KEY))(
        state.params, state.extra
    )
    np.testing.assert_allclose(value, again, rtol=1e-6)
    for key in metrics:
        np.testing.assert_allclose(metrics[key], others[key], rtol=1e-5, err_msg=key)


def test_hidden_frames_come_first_and_are_real():
    length = SPEECH_NET.frames(jnp.asarray(BATCH["length"]))
    keys = jax.random.split(KEY, 16)
    hidden = hide_frames(keys, length, frames=14, prob=0.5, span=2)
    taken = np.take_along_axis(np.asarray(hidden.mask), np.asarray(hidden.positions), axis=1)
    np.testing.assert_array_equal(taken, hidden.weight > 0)
    assert hidden.mask.sum() == hidden.weight.sum() > 0
    assert not (np.asarray(hidden.mask) & (np.arange(14) >= np.asarray(length)[:, None])).any()


def test_hubert_needs_the_layer_that_it_clusters():
    with pytest.raises(ValueError, match="layer 3"):
        HuBERT(encoder=SPEECH_NET, layer=3).init(KEY, BATCH)
