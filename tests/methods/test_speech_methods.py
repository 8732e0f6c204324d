"""wav2vec 2.0, HuBERT, data2vec and BEST-RQ: what the loss reads and what it must not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_speech import CASES, MEL_NET, SPEECH_NET, speech

from ssljax import nets
from ssljax.data import Arrays
from ssljax.losses.speech import draw_negatives
from ssljax.method import State
from ssljax.methods import HuBERT
from ssljax.views import hide_frames

KEY = jax.random.key(0)
BATCH = speech()
TX = optax.sgd(0.1)


def started(name):
    method = CASES[name].method
    return method, jax.jit(method.build(TX, updates=10).init)(KEY, BATCH)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "data2vec_audio", "best_rq"])
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
        tau = method.after(state.params, state.extra, jnp.int32(k), updates=10)["tau"]
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


def hidden_and_heard(method, params, keys, x, key):
    """(places [P, 2] of hidden frames, all that the network hears of the rest)."""
    frames, length = (SPEECH_NET.frames(n) for n in (x["audio"].shape[1], x["length"]))
    hidden = hide_frames(keys, length, frames=frames, prob=method.prob, span=method.span)
    outputs = nets.apply_speech(SPEECH_NET, params["encoder"], x, mask=hidden.mask, key=key)
    return hidden, np.argwhere(hidden.mask), outputs


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def linear(layer, x):
    return np.asarray(x, np.float64) @ layer["linear_0"]["kernel"] + layer["linear_0"]["bias"]


def penalty(outputs):
    return np.mean(np.asarray(outputs.features, np.float64)[np.asarray(outputs.real)] ** 2)


def training_view(method):
    key_view, key_rows, key_net = jax.random.split(KEY, 3)
    return method.view.batch(key_view, BATCH), jax.random.split(key_rows, 16), key_net


def test_data2vecaudio_reference():
    """Targets of the target network: standardised over the real frames of each channel."""
    method, state = started("data2vec_audio")
    with jax.default_matmul_precision("highest"):
        x, keys, key_net = training_view(method)
        target = jax.tree.map(lambda w: 1.3 * w, state.extra["target"])
        taught = nets.apply_speech(SPEECH_NET, target["params"]["encoder"], x)
        _, places, outputs = hidden_and_heard(method, state.params, keys, x, key_net)
        value, _ = method.loss(state.params, state.extra | {"target": target}, BATCH, KEY)
    total = 0.0
    for b, t in places:
        real = np.asarray(taught.layers[-1], np.float64)[b][np.asarray(taught.real)[b]]
        y = (np.asarray(taught.layers[-1])[b, t] - real.mean(0)) / np.sqrt(real.var(0) + 1e-5)
        said = linear(state.params["head"], np.asarray(outputs.layers[-1])[b, t])
        total += np.sum((said - y) ** 2) / 4  # sqrt(16)
    np.testing.assert_allclose(value, total / len(places), rtol=1e-4)


def test_hubert_reference():
    """The cluster of a hidden frame is that of its cepstra; cosines over the temperature."""
    method, state = started("hubert")
    with jax.default_matmul_precision("highest"):
        x, keys, key_net = training_view(method)
        _, places, outputs = hidden_and_heard(method, state.params, keys, x, key_net)
        told = np.asarray(method._told(state.extra["teacher"], x, "cepstra"), np.float64)
        value, _ = method.loss(state.params, state.extra, BATCH, KEY)
    centroids, table = (t["cepstra"] for t in (state.extra["centroids"], state.params["clusters"]))
    total = 0.0
    for b, t in places:
        z = np.argmin(np.sum((told[b, t] - np.asarray(centroids, np.float64)) ** 2, axis=1))
        c = linear(state.params["line"]["cepstra"], np.asarray(outputs.layers[-1])[b, t])
        logits = unit(table) @ unit(c) / 0.1
        total += np.log(np.exp(logits).sum()) - logits[z]
    np.testing.assert_allclose(value, total / len(places) + 10 * penalty(outputs), rtol=1e-4)


def test_wav2vec2_reference():
    """Scored without noise: the right code among others of the recording that are not the same."""
    method, state = started("wav2vec2")
    x = {k: jnp.asarray(BATCH[k]) for k in ("audio", "length")}
    keys = jax.random.split(KEY, 16)
    with jax.default_matmul_precision("highest"):
        pairs = jax.vmap(jax.random.split)(keys)
        hidden, _, outputs = hidden_and_heard(method, state.params, pairs[:, 0], x, None)
        scores, _, codes, _, _ = method._compare(state.params, state.extra, x, keys, None)
    quantizer, nats = state.params["quantizer"], np.asarray(scores[0])
    for b in range(16):
        count = int(hidden.weight[b].sum())
        others = draw_negatives(pairs[b, 1], hidden.weight[b], method.negatives)
        places = np.asarray(hidden.positions)[b, :count]
        normed = np.asarray(outputs.normed, np.float64)[b, places]
        logits = normed @ quantizer["weight_proj"]["kernel"] + quantizer["weight_proj"]["bias"]
        groups = np.asarray(codes).shape[-1]
        best = logits.reshape(count, groups, -1).argmax(-1)
        np.testing.assert_array_equal(best, np.asarray(codes)[b, :count])
        table = np.asarray(quantizer["codevectors"]).reshape(groups, 5, -1)
        q = np.stack([np.concatenate([table[g, k] for g, k in enumerate(row)]) for row in best])
        c = unit(linear(state.params["context"], np.asarray(outputs.layers[-1])[b, places]))
        q = unit(linear(state.params["code"], q))
        if count < 2:
            continue
        for i in range(count):
            wrong = [j for j in np.asarray(others)[i] if (best[j] != best[i]).any()]
            terms = np.exp([c[i] @ q[j] / 0.1 for j in [i, *wrong]])
            np.testing.assert_allclose(nats[b, i], -np.log(terms[0] / terms.sum()), atol=2e-4)


def test_bestrq_reference():
    """Labels of what is whole, states of what is full of noise, steps that are hidden wholly."""
    method, state = started("best_rq")
    x = jax.device_get(method.inputs(BATCH))
    mel, frames = np.asarray(x["mel"], np.float64), x["length"]
    seen, hidden = np.array(x["mel"]), np.zeros(mel.shape[:2], bool)
    for i in range(16):  # what the score hides of a row is a function of its index
        key_spans, key_noise = jax.random.split(jax.random.fold_in(jax.random.key(0), i))
        begins = np.asarray(jax.random.bernoulli(key_spans, 0.1, (mel.shape[1],)))
        for t in range(frames[i]):
            hidden[i, t] = begins[max(0, t - 8) : t + 1].any()
        noise = 0.1 * np.asarray(jax.random.normal(key_noise, mel.shape[1:]))
        seen[i] = np.where(hidden[i, :, None], noise, seen[i])
    with jax.default_matmul_precision("highest"):
        scores = jax.device_get(method.score(state, BATCH))
        heard = {"mel": jnp.asarray(seen), "length": x["length"]}
        net = {"params": state.params["encoder"]}
        states = MEL_NET.apply(net, heard, method="outputs").layers[-1]
    projection, codes = (
        np.asarray(state.extra["quantizer"][k], np.float64) for k in ("projection", "codes")
    )
    assert np.abs(projection).max() <= np.sqrt(6 / (24 + 3))  # Xavier's
    for i in range(16):
        total, count, right = 0.0, 0, 0
        for t in range(frames[i] // 4):
            if not hidden[i, 4 * t : 4 * t + 4].all():
                continue
            y = mel[i, 4 * t : 4 * t + 4].reshape(-1) @ projection
            distance = [np.linalg.norm(unit(c) - unit(y)) for c in codes]
            logits = linear(state.params["line"], np.asarray(states)[i, t])
            total += np.log(np.exp(logits).sum()) - logits[np.argmin(distance)]
            right += np.argmax(logits) == np.argmin(distance)
            count += 1
        np.testing.assert_allclose(scores["loss"][0][i], total, rtol=1e-5, atol=1e-5)
        assert scores["loss"][1][i] == count and scores["masked_accuracy"][0][i] == right
    assert scores["loss"][1].sum() > 16 and not scores["loss"][1][1]  # a recording of one frame


def test_bestrq_learns_no_labels_and_takes_those_of_the_view():
    """One step moves neither projection nor codes; the loss is that of the view, not of the row."""
    method, state = started("best_rq")
    after, metrics = jax.jit(method.build(TX, updates=10).step)(state, BATCH, KEY)
    for name, kept in state.extra["quantizer"].items():
        np.testing.assert_array_equal(after.extra["quantizer"][name], kept)
    key_view, key_rows, key_net = jax.random.split(KEY, 3)
    x = method.view(key_view, BATCH)
    with jax.default_matmul_precision("highest"):
        nll, _, _, weight = method._predict(
            state.params, state.extra, x, jax.random.split(key_rows, 16), key_net
        )
        value, _ = method.loss(state.params, state.extra, BATCH, KEY)
    np.testing.assert_allclose(value, jnp.sum(nll * weight) / jnp.sum(weight), rtol=1e-5)
    assert 1 <= metrics["code_perplexity"] <= 7
