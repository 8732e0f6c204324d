"""Methods on sequences of items against loops in float64, a row at a time and without padding."""

import math
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from cases_interactions import CASES, sequences

from ssljax.data import Arrays
from ssljax.method import State
from ssljax.views.sequences import crop_items, hide_items, reorder_items, view_items

BATCH, KEY = sequences(), jax.random.key(4)


def start(name):
    """The method without dropout, with numbers as large as trained ones."""
    method = CASES[name].method
    net = method.encoder.clone(dropout=0.0, attention_dropout=0.0)
    method = replace(method, encoder=net)
    params, extra = method.init(jax.random.key(3), BATCH)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: np.float32(x + rng.normal(0, 0.3, x.shape)), params)
    return method, params, extra


def norm(x, p, eps):
    return (x - x.mean()) / np.sqrt(x.var() + eps) * p["scale"] + p["bias"]


def linear(x, p):
    return x @ p["kernel"] + p["bias"]


def attention(q, k, v, *, causal, heads=2):
    """[L, D] of queries, keys and values [L, D], a number at a time."""
    found, size = np.zeros_like(q), q.shape[1] // heads
    for i in range(len(q)):
        seen = range(i + 1 if causal else len(q))
        for at in (slice(a * size, (a + 1) * size) for a in range(heads)):
            w = np.exp([q[i, at] @ k[j, at] / math.sqrt(size) for j in seen])
            found[i, at] = sum(w[j] / w.sum() * v[j, at] for j in seen)
    return found


def states_before(params, words):
    """The states of a row of words, each from those up to it: GPT-2 of one block."""
    p = jax.tree.map(np.float64, params["encoder"])
    block, mlp = p["h_0"], p["h_0"]["mlp"]
    h = p["wte"]["embedding"][words] + p["wpe"]["embedding"][: len(words)]
    x = np.array([linear(norm(row, block["ln_1"], 1e-5), block["attn"]["c_attn"]) for row in h])
    h = h + linear(attention(*np.split(x, 3, axis=1), causal=True), block["attn"]["c_proj"])
    x = np.array([linear(norm(row, block["ln_2"], 1e-5), mlp["c_fc"]) for row in h])
    h = h + linear(np.maximum(x, 0), mlp["c_proj"])
    return np.array([norm(row, p["ln_f"], 1e-5) for row in h])


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def states_both_ways(params, words):
    """The states of a row of words, each from all of them: BERT of one layer."""
    p = jax.tree.map(np.float64, params["encoder"])
    e, layer = p["embeddings"], p["encoder"]["layer_0"]
    h = e["word_embeddings"]["embedding"][words] + e["token_type_embeddings"]["embedding"][0]
    h = h + e["position_embeddings"]["embedding"][: len(words)]
    h = np.array([norm(row, e["LayerNorm"], 1e-12) for row in h])
    own, out = layer["attention"]["self"], layer["attention"]["output"]
    x = attention(*(linear(h, own[k]) for k in ("query", "key", "value")), causal=False)
    h = np.array([norm(r, out["LayerNorm"], 1e-12) for r in h + linear(x, out["dense"])])
    x, out = gelu(linear(h, layer["intermediate"]["dense"])), layer["output"]
    return np.array([norm(r, out["LayerNorm"], 1e-12) for r in h + linear(x, out["dense"])])


def rows():
    """(items, negatives of each but the first) of each user, without padding."""
    parts = (BATCH[k] for k in ("sequence", "real", "negative"))
    for items, real, wrong in zip(*parts, strict=True):
        yield items[real], wrong[len(wrong) - real.sum() + 1 :]


def following(params, *, everything):
    table, found = np.float64(params["encoder"]["wte"]["embedding"])[1:8], []
    for items, wrong in rows():
        for t, s in enumerate(states_before(params, items[:-1] + 1)):
            r, then = table @ s, items[t + 1]
            if everything:
                found.append(np.log(np.exp(r).sum()) - r[then])
            else:
                lost = sum(np.log1p(np.exp(r[j])) for j in wrong[t])
                found.append(np.log1p(np.exp(-r[then])) + lost)
    return np.mean(found)


def test_sasrec_reference():
    method, params, extra = start("sasrec")
    for over in ("drawn", "all"):
        value, _ = jax.jit(replace(method, loss_over=over).loss)(params, extra, BATCH, KEY)
        expected = following(params, everything=over == "all")
        np.testing.assert_allclose(float(value), expected, rtol=1e-5)
    table = np.float64(params["encoder"]["wte"]["embedding"])[1:8]
    expected = [table @ states_before(params, items[-5:] + 1)[-1] for items, _ in rows()]
    scores = jax.jit(method.scores)(State(0, params, None, extra), BATCH)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_cl4srec_reference():
    method, params, extra = start("cl4srec")
    value, _ = jax.jit(method.loss)(params, extra, BATCH, KEY)
    shares = {"crop": method.crop, "hide": method.hide, "reorder": method.reorder}
    view, z = jax.jit(partial(view_items, hidden=8, **shares)), []
    for key in jax.random.split(KEY, 3)[1:]:
        each = jax.random.split(jax.random.split(key)[0], 16)
        for k, (items, _) in zip(each, rows(), strict=True):
            last = items[-5:] + 1
            words = np.asarray(view(k, np.pad(last, (5 - len(last), 0)).astype(np.int32)))
            s = states_before(params, words[words > 0])[-1]
            z.append(s / np.linalg.norm(s))
    s, same = np.exp(np.array(z) @ np.array(z).T / method.temperature), 0.0
    for i in range(32):
        same -= np.log(s[i, (i + 16) % 32] / (s[i].sum() - s[i, i])) / 32
    expected = following(params, everything=False) + method.weight * same
    np.testing.assert_allclose(float(value), expected, rtol=1e-5)


def test_bert4rec_reference():
    method, params, extra = start("bert4rec")
    value, _ = jax.jit(method.loss)(params, extra, BATCH, KEY)
    table = np.float64(params["encoder"]["embeddings"]["word_embeddings"]["embedding"])
    head, found = jax.tree.map(np.float64, params["head"]), []

    def said(state):
        y = norm(gelu(linear(state, head["dense"])), head["LayerNorm"], 1e-12)
        return (table @ y + head["bias"])[1:8]

    keys = jax.random.split(jax.random.split(KEY)[0], 16)
    noise = jax.vmap(lambda k: jax.random.uniform(jax.random.split(k, 3)[0], (6,)))(keys)
    for drawn, (items, _) in zip(np.asarray(noise), rows(), strict=True):
        n, words = len(items), items + 1
        chosen = np.argsort(drawn[6 - n :])[: max(round(0.4 * n), 1)]
        words[chosen] = 8
        h = states_both_ways(params, words)
        for at in chosen:
            r = said(h[at])
            found.append(np.log(np.exp(r).sum()) - r[items[at]])
    np.testing.assert_allclose(float(value), np.mean(found), rtol=1e-5)
    scores = jax.jit(method.scores)(State(0, params, None, extra), BATCH)
    rows_ = ([*(items[-5:] + 1), 8] for items, _ in rows())
    expected = [said(states_both_ways(params, words)[-1]) for words in rows_]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_views_of_items_keep_what_they_say():
    cut, hide, mix = (
        jax.jit(f)
        for f in (
            partial(crop_items, share=0.6),
            partial(hide_items, share=0.5, hidden=99),
            partial(reorder_items, share=0.6),
        )
    )
    mixed_some = False
    for n in (1, 2, 5, 8):
        words = np.pad(np.arange(1, n + 1), (8 - n, 0)).astype(np.int32)
        for seed in range(5):
            key = jax.random.key(seed)
            kept = np.asarray(cut(key, words))
            there = kept[kept > 0]
            assert len(there) == max(int(0.6 * n), 1) and (np.diff(there) == 1).all()
            assert (kept[8 - len(there) :] == there).all()
            hidden = np.asarray(hide(key, words))
            assert (hidden == 99).sum() == n // 2
            assert (hidden[hidden != 99] == words[hidden != 99]).all()
            mixed = np.asarray(mix(key, words))
            assert sorted(mixed) == sorted(words)
            moved = np.flatnonzero(mixed != words)
            assert not len(moved) or moved[-1] - moved[0] < int(0.6 * n)
            mixed_some |= bool(len(moved))
    assert mixed_some


def test_other_data_and_other_losses_are_refused():
    method = CASES["sasrec"].method
    pictures = Arrays({"image": np.zeros((4, 8, 8, 3), np.uint8)})
    for one in (method, CASES["bpr"].method, CASES["fm"].method):
        with pytest.raises(ValueError, match="use data interactions:PATH"):
            one.filled(pictures).check(pictures)
    with pytest.raises(ValueError, match="choose drawn or all"):
        jax.eval_shape(replace(method, loss_over="some").loss, *method.init(KEY, BATCH), BATCH, KEY)
