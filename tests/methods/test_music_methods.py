"""Methods of music against loops in float64, on given arrays."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases_music import CASES, EVENTS, STEPS, melodies, rolls

from ssljax.method import State
from ssljax.methods.next_frame import moved_frames
from ssljax.nets import slerp
from ssljax.views import piano_rolls, transpose

BATCH, KEY = melodies(4), jax.random.key(5)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def trained(name, batch):
    """The method with numbers as large as trained ones: (method, params, extra)."""
    method = CASES[name].method
    params, extra = method.init(KEY, batch)
    rng = np.random.default_rng(1)
    return (
        method,
        jax.tree.map(lambda x: rng.normal(0, 0.7, x.shape).astype(np.float32), params),
        extra,
    )


# The equations once more, an example and a number after the other, in float64.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense(p, x):
    return x @ np.float64(p["kernel"]) + np.float64(p["bias"])


def lstm(p, state, x):
    """(c, h) after x."""
    c, h = state
    i, f, g, o = (x @ np.float64(p[f"i{k}"]["kernel"]) + dense(p[f"h{k}"], h) for k in "ifgo")
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def begin(p, x):
    both = np.tanh(dense(p, x))
    return both[: len(both) // 2], both[len(both) // 2 :]


def one_hot(event):
    return np.eye(EVENTS)[event] if event >= 0 else np.zeros(EVENTS)


def posterior(p, melody, width):
    ends = []
    for name, row in (("forward", melody), ("backward", melody[::-1])):
        state = np.zeros(width), np.zeros(width)
        for event in row:
            state = lstm(p[name], state, one_hot(event))
        ends.append(state[1])
    h = np.concatenate(ends)
    return dense(p["mean"], h), np.log1p(np.exp(dense(p["spread"], h)))


def decoded(p, net, code, truth, given, noise):
    """(logits [T, V], events [T]) of one code."""
    said = [code]
    if net.parts > 1:
        state, said = begin(p["conductor_begin"], code), []
        for _ in range(net.parts):
            state = lstm(p["conductor"], state, np.zeros(1))
            said.append(state[1])
    before, found, chosen = -1, [], []
    for t in range(STEPS):
        part = t // (STEPS // net.parts)
        if t % (STEPS // net.parts) == 0:
            states = [begin(p[f"begin{i}"], said[part]) for i in range(net.layers)]
        x = np.concatenate([one_hot(before), said[part]])
        for i in range(net.layers):
            states[i] = lstm(p["step"][f"lstm{i}"], states[i], x)
            x = states[i][1]
        found.append(dense(p["step"]["event"], x))
        chosen.append(int(np.argmax(found[-1] + noise[t])))
        before = int(truth[t]) if given[t] else chosen[-1]
    return np.array(found), np.array(chosen)


def expected(method, params, update):
    """The loss after so many updates, with what the key draws."""
    keys = jax.random.split(KEY, 4)
    x = np.asarray(transpose(keys[0], jnp.asarray(BATCH["melody"]), most=method.semitones))
    noise = np.float64(jax.random.normal(keys[1], (len(x), method.encoder.code)))
    own = sigmoid(np.log(1000) * (update / method.half - 1)) if method.half else 0.0
    given = np.asarray(jax.random.bernoulli(keys[2], 1 - own, x.shape))
    gumbel = np.float64(jax.random.gumbel(keys[3], (*x.shape, EVENTS)))
    nats, paid, drawn = 0.0, 0.0, 0
    for b, melody in enumerate(x):
        mean, spread = posterior(params["encoder"], melody, method.encoder.width)
        code = mean + spread * noise[b]
        logits, events = decoded(
            params["decoder"], method.decoder, code, melody, given[b], gumbel[b]
        )
        for t, event in enumerate(melody):
            nats += np.log(np.exp(logits[t]).sum()) - logits[t, event]
        kl = sum((m**2 + s**2 - 1) / 2 - np.log(s) for m, s in zip(mean, spread, strict=True))
        paid += max(kl - method.free_bits * np.log(2), 0)
        drawn += (~given[b] & (events != melody)).sum()
    beta = method.beta * (1 - np.exp(-update / max(method.anneal, 1)))
    return (nats + beta * paid) / len(x), drawn


@pytest.mark.parametrize("name", ["musicvae", "musicvae_hierarchical"])
def test_musicvae_reference(name):
    method, params, extra = trained(name, BATCH)
    method = replace(method, anneal=2)
    loss = jax.jit(method.loss)
    for update in (0, 3):
        now = extra | {"update": jnp.int32(update)}
        value, (_, metrics) = loss(params, now, BATCH, KEY)
        true, drawn = expected(method, params, update)
        np.testing.assert_allclose(float(value), true, rtol=1e-5)
        # A decoder that never reads its own events would pass: some of them were wrong ones.
        assert (drawn > 0) == (update == 3 and method.half > 0)
        assert float(metrics["beta"]) == pytest.approx(method.beta * (1 - np.exp(-update / 2)))
    moved = method.after(params, extra, jnp.int32(6), updates=10)
    assert int(moved["update"]) == 7


def test_scores_of_musicvae_and_what_it_writes():
    method, params, extra = trained("musicvae", BATCH)
    state = State(jnp.int32(0), params, None, extra)
    found = jax.jit(method.score)(state, BATCH)
    quiet = np.zeros((STEPS, EVENTS))
    for b, melody in enumerate(BATCH["melody"]):
        mean, spread = posterior(params["encoder"], melody, method.encoder.width)
        net, p = method.decoder, params["decoder"]
        logits, forced = decoded(p, net, mean, melody, np.ones(STEPS, bool), quiet)
        _, free = decoded(p, net, mean, melody, np.zeros(STEPS, bool), quiet)
        nats = sum(np.log(np.exp(x).sum()) - x[e] for x, e in zip(logits, melody, strict=True))
        kl = np.sum((mean**2 + spread**2 - 1) / 2 - np.log(spread))
        np.testing.assert_allclose(found["loss"][0][b], nats + kl, rtol=1e-5)
        np.testing.assert_allclose(found["kl"][0][b], kl, rtol=1e-5)
        assert found["forced_accuracy"][0][b] == (forced == melody).sum()
        assert found["sampled_accuracy"][0][b] == (free == melody).sum()
        assert found["sampled_whole"][0][b] == (free == melody).all()
        assert found["nothing_accuracy"][0][b] == (melody == 0).sum()
        written = method.compose(state, KEY, jnp.asarray(mean[None], jnp.float32), temperature=0.0)
        np.testing.assert_array_equal(written[0], free)
    shown = method.show({"melody": BATCH["melody"][:2]}, KEY, state)
    assert {name: x.shape[:2] for name, x in shown.items()} == {
        **{"views": (2, 2), "interpolations": (2, 8), "samples": (2, 8)}
    }
    for x in shown.values():
        assert x.shape[2] == x.shape[3] and float(x.min()) >= 0 and float(x.max()) <= 1
    with pytest.raises(ValueError, match="melodies of 8 events, and the data has no melodies"):
        method.check(type("Data", (), {"spec": {}}))


def test_other_keys():
    x = jnp.asarray([[5, 0, 1, 80], [2, 0, 0, 0], [89, 0, 2, 0]] * 300)
    moved = np.asarray(transpose(KEY, x, most=5))
    shift = moved[::3, 0] - 5
    assert set(shift) == set(range(-3, 6))  # what would leave the keys stays
    np.testing.assert_array_equal(moved[::3, 3] - 80, shift)
    np.testing.assert_array_equal(moved[::3, 1:3], np.asarray(x[::3, 1:3]))
    assert set(moved[1::3, 0] - 2) == set(range(6))
    np.testing.assert_array_equal(moved[2::3], x[2::3])


def test_piano_rolls():
    x = np.zeros((1, 32), np.int32)
    x[0, [2, 5, 8]] = 2 + 39, 1, 2 + 87  # the middle C for three steps, silence, the highest key
    dark = 1 - np.asarray(piano_rolls(jnp.asarray(x)))[0, ..., 0]
    assert dark.shape == (96, 96)
    row = dark[4 + 87 - 39]
    np.testing.assert_allclose(row[[6, 8, 9, 14]], [0.9, 0.9, 0.54, 0.54], atol=1e-6)
    np.testing.assert_allclose(row[[5, 15]], 0.09, atol=1e-6)  # the line at each C
    assert (dark[4, 24:] > 0.5).all()  # and before that the line alone
    np.testing.assert_allclose(dark[4, :24], 0.09, atol=1e-6)
    assert not dark[:4].any() and not dark[4 + 86].any()


def test_slerp_keeps_length_and_ends():
    one, two = jnp.asarray([[3.0, 0.0], [1.0, 1.0]]), jnp.asarray([[0.0, 3.0], [2.0, 2.0]])
    arc = np.asarray(slerp(one, two, count=5))
    np.testing.assert_allclose(np.linalg.norm(arc[0], axis=1), 3, rtol=1e-6)
    eighth = 3 * np.cos(np.pi / 8), 3 * np.sin(np.pi / 8)
    np.testing.assert_allclose(arc[0, 1], eighth, rtol=1e-5)
    np.testing.assert_allclose(arc[1, :, 0], np.linspace(1, 2, 5), rtol=1e-5)


def test_nextframe_reference():
    batch = rolls(3)
    method, params, extra = trained("next_frame", batch)
    method = replace(method, dropout=0.0, semitones=0)
    value, _ = jax.jit(method.loss)(params, extra, batch, KEY)
    state = State(jnp.int32(0), params, None, extra)
    found = jax.jit(method.score)(state, batch)
    total, count, right, said = 0.0, 0, 0, 0
    cell, features = params["encoder"]["OptimizedLSTMCell_0"], []
    for b, (frames, steps) in enumerate(zip(batch["frames"], batch["steps"], strict=True)):
        states, before, mine = (np.zeros(4), np.zeros(4)), np.zeros(88), 0.0
        for frame in frames[steps]:
            states = lstm(cell, states, before)
            p = sigmoid(dense(params["head"]["linear_0"], states[1]))
            mine -= np.sum(np.where(frame, np.log(p), np.log(1 - p)))
            right += 2 * (frame * (p >= 0.5)).sum()
            said += frame.sum() + (p >= 0.5).sum()
            before = np.float64(frame)
        np.testing.assert_allclose(found["loss"][0][b], mine, rtol=1e-5)
        total, count = total + mine, count + steps.sum()
        states, seen = (np.zeros(4), np.zeros(4)), []
        for frame in frames[steps]:
            states = lstm(cell, states, np.float64(frame))
            seen.append(states[1])
        features.append(np.mean(seen, axis=0))
    np.testing.assert_allclose(float(value), total / count, rtol=1e-5)
    np.testing.assert_allclose(sum(found["f1"][0]) / sum(found["f1"][1]), right / said, rtol=1e-6)
    np.testing.assert_allclose(method.embed(state, batch), features, rtol=1e-4, atol=1e-6)
    x, real = batch["frames"] * batch["steps"][..., None], batch["steps"]
    again = 2 * (x[:, 1:] & x[:, :-1]).sum()
    below = x.sum() + sum(f[: s.sum() - 1].sum() for f, s in zip(x, real, strict=True))
    np.testing.assert_allclose(
        sum(found["repeated_f1"][0]) / sum(found["repeated_f1"][1]), again / below, rtol=1e-6
    )
    with pytest.raises(ValueError, match="both=False"):
        replace(method, encoder=method.encoder.clone(both=True))


def test_rolls_in_other_keys_keep_their_notes():
    x = np.zeros((400, 2, 88), np.float32)
    x[:, 0, 40] = x[:, 1, 47] = 1
    x[200:, 0, 87] = 1  # of these none may go up
    moved = np.asarray(moved_frames(KEY, jnp.asarray(x), 3))
    at = moved[:, 0].argmax(1) - 40
    assert set(at[:200]) == set(range(-3, 4)) and set(at[200:]) == set(range(-3, 1))
    np.testing.assert_array_equal(moved[:, 1].argmax(1) - 47, at)
    np.testing.assert_array_equal(moved.sum((1, 2)), x.sum((1, 2)))
