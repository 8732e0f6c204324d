"""Transcripts against all alignments, one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssljax.losses.ctc import beam_search, edit_distance, greedy, silence

rng = np.random.default_rng(0)


def collapse(path):
    return tuple(k for k, _ in itertools.groupby(path) if k)


def all_transcripts(logits):
    """Transcript to probability, by a sum over all K^T paths."""
    p = np.exp(np.asarray(logits, np.float64))
    p /= p.sum(1, keepdims=True)
    found = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        y = collapse(path)
        found[y] = found.get(y, 0) + np.prod(p[range(len(p)), path])
    return found


def test_loss_and_beam_search_equal_the_sum_over_all_paths():
    for seed in range(3):
        logits = 2 * np.random.default_rng(seed).normal(size=(5, 3)).astype(np.float32)
        want = all_transcripts(logits)
        found = beam_search(jnp.asarray(logits), beam=1000)
        assert len(found) == len(want)
        for y, log_p in found:
            np.testing.assert_allclose(log_p, np.log(want[y]), rtol=1e-5, atol=1e-5)
        assert found[0][0] == max(want, key=want.get)
        narrow = beam_search(jnp.asarray(logits), beam=4)
        assert len(narrow) == 4 and all(p <= np.log(want[y]) + 1e-5 for y, p in narrow)
        for y in ((), (1,), (1, 1), (2, 1), (1, 2, 1)):
            label = jnp.zeros((1, 5), jnp.int32).at[0, : len(y)].set(jnp.array(y, jnp.int32))
            loss = optax.ctc_loss(logits[None], jnp.zeros((1, 5)), label, label == 0)
            np.testing.assert_allclose(loss[0], -np.log(want[y]), rtol=1e-5)


def test_the_best_path_is_not_the_best_transcript():
    logits = jnp.log(jnp.array([[0.6, 0.4], [0.6, 0.4]]))  # blank blank 0.36, but "1" 0.64
    assert greedy(logits[None])[0].tolist() == [[0, 0]]
    best, log_p = beam_search(logits)[0]
    assert best == (1,)
    np.testing.assert_allclose(np.exp(log_p), 0.64, rtol=1e-5)


def test_greedy_drops_repeats_and_then_blanks():
    path = np.array([[1, 1, 0, 1, 2, 2], [0, 3, 3, 0, 0, 3], [0, 0, 0, 0, 0, 0]])
    letters, log_p = greedy(10 * jax.nn.one_hot(path, 4))
    for row, want in zip(np.asarray(letters), path):
        y = collapse(want)
        assert tuple(row[: len(y)]) == y and not row[len(y) :].any()
    np.testing.assert_allclose(log_p, -6 * np.log(1 + 3 * np.exp(-10)), rtol=1e-3)


def test_silent_frames_change_nothing():
    logits = jnp.asarray(rng.normal(size=(2, 7, 4)), jnp.float32)
    length, label = jnp.array([5, 7]), jnp.array([[1, 2, 0], [3, 3, 1]])
    silent = silence(logits, length)
    padding = jnp.arange(7) >= length[:, None]
    want = optax.ctc_loss(logits, padding, label, label == 0)
    loss = optax.ctc_loss(silent, jnp.zeros((2, 7)), label, label == 0)
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    np.testing.assert_array_equal(greedy(silent)[0][0, :5], greedy(logits[:1, :5])[0][0])
    assert beam_search(silent[0], beam=50)[0][0] == beam_search(logits[0, :5], beam=50)[0][0]


def test_edit_distance_equals_a_loop():
    def by_loop(a, b):
        table = np.zeros((len(a) + 1, len(b) + 1), int)
        table[0], table[:, 0] = range(len(b) + 1), range(len(a) + 1)
        for i, j in itertools.product(range(len(a)), range(len(b))):
            change = table[i, j] + (a[i] != b[j])
            table[i + 1, j + 1] = min(change, table[i, j + 1] + 1, table[i + 1, j] + 1)
        return table[-1, -1]

    sizes = rng.integers(0, 7, (40, 2))
    rows = [[rng.integers(1, 4, n) for n in pair] for pair in sizes]
    a, b = (np.array([np.pad(r[i], (0, 7 - len(r[i]))) for r in rows]) for i in (0, 1))
    found = jax.jit(edit_distance)(a, b)
    assert found.tolist() == [by_loop(*row) for row in rows]
