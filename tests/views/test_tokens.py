"""Masks, pairs and spans of tokens: counts, shares, and nothing lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.views import corrupt_spans, mask_tokens, moved_about, sentence_pair, span_sizes
from ssljax.views.tokens import most_masked

KEYS = jax.random.split(jax.random.key(0), 400)
LENGTH, VOCAB, MASK = 40, 1000, 4
TOKENS = jnp.asarray(np.random.default_rng(0).integers(5, VOCAB, LENGTH), jnp.int32)
ABLE = (jnp.arange(LENGTH) > 0) & (jnp.arange(LENGTH) < 31)  # 30 of 40


def masks(**fields):
    def one(key, tokens, able, words):
        return mask_tokens(key, tokens, able, mask=MASK, vocab=VOCAB, words=words, **fields)

    return one


def test_how_many_and_which_tokens_are_chosen():
    hide = masks()
    m = jax.vmap(lambda k: hide(k, TOKENS, ABLE, None))(KEYS)
    assert m.positions.shape == (400, most_masked(LENGTH, 0.15)) == (400, 6)
    np.testing.assert_array_equal(m.weight.sum(1), round(0.15 * 30))
    chosen = np.asarray(m.positions)[np.asarray(m.weight) > 0]
    assert np.asarray(ABLE)[chosen].all()
    rows = [set(p[w > 0]) for p, w in zip(np.asarray(m.positions), np.asarray(m.weight))]
    assert all(len(r) == 4 for r in rows)  # no token twice
    share = np.bincount(chosen, minlength=LENGTH)[1:31] / 400
    assert abs(share - 4 / 30).max() < 0.07  # every token as often
    # nothing else changes
    other = np.ones((400, LENGTH), bool)
    np.put_along_axis(other, np.asarray(m.positions), np.asarray(m.weight) == 0, axis=1)
    assert (np.asarray(m.tokens) == np.asarray(TOKENS))[other].all()


def test_eighty_ten_ten():
    hide = masks()
    m = jax.vmap(lambda k: hide(k, TOKENS, ABLE, None))(KEYS)
    new = np.take_along_axis(np.asarray(m.tokens), np.asarray(m.positions), axis=1)
    old = np.asarray(TOKENS)[np.asarray(m.positions)]
    real = np.asarray(m.weight) > 0
    hidden, same = (new == MASK)[real].mean(), (new == old)[real].mean()
    assert abs(hidden - 0.8) < 0.03 and abs(same - 0.1) < 0.03
    rest = new[real & (new != MASK) & (new != old)]
    assert len(set(rest)) > 0.8 * len(rest) and rest.max() > 900  # random ones, of all tokens


def test_whole_words_stay_together():
    words = jnp.where(ABLE, (jnp.arange(LENGTH) + 2) // 3, 0)  # words of 3, the first of 2
    sizes = np.bincount(np.asarray(words))
    hide = masks(ratio=0.25)
    m = jax.vmap(lambda k: hide(k, TOKENS, ABLE, words))(KEYS)
    seen = set()
    for positions, weight in zip(np.asarray(m.positions), np.asarray(m.weight)):
        chosen = np.asarray(words)[positions[weight > 0]]
        assert 0 < len(chosen) <= 8
        for word, count in zip(*np.unique(chosen, return_counts=True)):
            assert word > 0 and count == sizes[word]
            seen.add(int(word))
    assert seen == set(range(1, len(sizes)))


def test_a_row_without_text_has_no_weight():
    m = masks()(KEYS[0], TOKENS, jnp.zeros(LENGTH, bool), None)
    assert m.weight.sum() == 0 and (m.tokens == TOKENS).all()


@pytest.mark.turns
@pytest.mark.parametrize("swap", [False, True])
def test_pairs(swap):
    mine = jnp.arange(10, 30).at[0].set(2).at[16].set(3)  # [CLS] 11..25 [SEP], and padding
    theirs = mine + jnp.where((mine == 2) | (mine == 3), 0, 100)
    segments = (jnp.arange(20) < 17).astype(jnp.int32)

    def build(key):
        return sentence_pair(key, mine, theirs, segments, segments, cls=2, sep=3, swap=swap)

    p = jax.vmap(build)(KEYS)
    assert abs(p.label.mean() - 0.5) < 0.1
    cuts = set()
    for tokens, segments_, types, label in zip(*map(np.asarray, p)):
        n = segments_.sum()
        assert tokens[0] == 2 and tokens[n - 1] == 3 and (tokens[n:] == 0).all()
        (middle,) = np.nonzero(tokens[: n - 1] == 3)
        a, b = tokens[1 : middle[0]], tokens[middle[0] + 1 : n - 1]
        np.testing.assert_array_equal(types[:n], np.arange(n) > middle[0])
        assert len(a) and len(b)
        text = np.arange(11, 26)
        if label == 0:
            np.testing.assert_array_equal(np.concatenate([a, b]), text)
        elif swap:
            np.testing.assert_array_equal(np.concatenate([b, a]), text)
        else:
            np.testing.assert_array_equal(a, text[: len(a)])
            assert (b > 100).all() and b[-1] <= 125 and (np.diff(b) == 1).all()
        cuts.add(len(a))
    assert len(cuts) > 4


@pytest.mark.turns
@pytest.mark.parametrize("size", [40, 33, 2, 7])
def test_spans_can_be_put_back(size):
    eos, sentinel = 3, VOCAB + 99
    cut = lambda k: corrupt_spans(k, TOKENS, size, eos=eos, sentinel=sentinel)  # noqa: E731
    s = jax.vmap(cut)(KEYS[:60])
    li, lt = span_sizes(LENGTH)
    assert s.inputs.shape == (60, li) and s.target.shape == (60, lt)
    noise = max(1, round(0.15 * size))
    spans = max(1, round(noise / 3))
    lengths = set()
    for inputs, n, target, m in zip(*map(np.asarray, s)):
        assert inputs[n - 1] == eos and target[m - 1] == eos
        assert not inputs[n:].any() and not target[m:].any()
        inputs, target = inputs[: n - 1], target[: m - 1]
        assert (m - 1, n - 1) == (noise + spans, size - noise + spans)
        assert target[0] == sentinel and inputs[0] < VOCAB
        pieces = {}
        for token in target:
            if token >= VOCAB:
                number = int(token)
                pieces[number] = []
            else:
                pieces[number].append(token)
        assert sorted(pieces, reverse=True) == [sentinel - i for i in range(spans)]
        lengths.update(map(len, pieces.values()))
        back = [t for token in inputs for t in (pieces.get(int(token), [token]))]
        assert all(pieces.values())
        np.testing.assert_array_equal(back, np.asarray(TOKENS)[:size])
    assert size < 33 or len(lengths) > 2  # spans of many lengths


def test_tokens_move_a_little_and_the_ends_stay():
    tokens = jnp.stack([jnp.arange(10), jnp.arange(10, 20)])
    sizes = np.array([10, 6])
    segments = (jnp.arange(10) < sizes[:, None]).astype(jnp.int32)
    draw = jax.vmap(lambda key: moved_about(key, tokens, segments, most=2))
    drawn, farthest = np.asarray(draw(jax.random.split(jax.random.key(0), 50))), [0, 0]
    for which, (before, n) in enumerate(zip(np.asarray(tokens), sizes)):
        for row in drawn[:, which]:
            place = [before.tolist().index(i) for i in row]
            assert sorted(row) == before.tolist()
            farthest[which] = max(farthest[which], *(abs(i - p) for i, p in enumerate(place)))
            assert row[0] == before[0] and row[n - 1 :].tolist() == before[n - 1 :].tolist()
    assert farthest == [2, 2]
