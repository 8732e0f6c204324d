"""Language models: what the loss reads and what it must not, step by step."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_language import BERT_NET, CASES, GPT_NET, T5_NET, VOCAB, dialogues, text

from ssljax import nets
from ssljax.methods import BERT, ELECTRA, GPT, T5, SimCSE
from ssljax.probes import heldout

KEY = jax.random.key(0)
BATCH = text()
TX = optax.sgd(0.1)


def started(method):
    built = method.build(TX, updates=10)
    return built, jax.jit(built.init)(KEY, BATCH)


def test_gpt_reference():
    method = GPT(encoder=GPT_NET.clone(dropout=0.0, attention_dropout=0.0))
    _, state = started(method)
    value, _ = method.loss(state.params, state.extra, BATCH, KEY)
    total, count = 0.0, 0
    for tokens, segments in zip(BATCH["tokens"], BATCH["segments"]):
        for s in range(1, segments.max() + 1):
            document = tokens[segments == s]  # each alone, without the others of its row
            x = {"tokens": jnp.asarray(document[None])}
            logits, _ = nets.apply(
                method.encoder, state.params["encoder"], {}, x, train=False, method="logits"
            )
            p = jax.nn.log_softmax(np.asarray(logits[0], np.float64))
            total -= sum(float(p[t, document[t + 1]]) for t in range(len(document) - 1))
            count += len(document) - 1
    np.testing.assert_allclose(value, total / count, rtol=1e-5)
    scores = method.score(state, BATCH)
    np.testing.assert_allclose(scores["loss"][0].sum() / scores["loss"][1].sum(), value, rtol=1e-5)
    np.testing.assert_allclose(scores["loss"][1].sum(), count)
    assert abs(float(value) - np.log(VOCAB)) < 0.3  # at random weights: nothing is known


@pytest.mark.parametrize("pairs", ["none", "next", "order"])
def test_bert_reference(pairs):
    method = BERT(encoder=BERT_NET, pairs=pairs)
    _, state = started(method)
    keys = jax.random.split(KEY, 16)
    rows, label = method._pairs(KEY, BATCH)
    logits, target, weight, states = method._predict(state.params, rows, keys, None)
    assert logits.shape == (16, 2, VOCAB) and states.shape == (16, 13, 16)
    assert (weight.sum(1) >= 1).all()
    chosen = np.asarray(target)[np.asarray(weight) > 0]
    assert chosen.min() >= 5  # no special token, no padding
    assert (label is None) == (pairs == "none")
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    if pairs == "none":
        np.testing.assert_allclose(value, metrics["masked_loss"])
    else:
        assert value > metrics["masked_loss"] and "pair_accuracy" in metrics


def test_bert_learns_a_text_and_beats_the_unigram_floor():
    """Each row repeats one token: what is hidden can be read off its neighbours."""
    rows = dict(BATCH)
    token = 5 + np.arange(16) % 8
    inner = (rows["segments"] > 0) & (rows["tokens"] > 3)
    rows["tokens"] = np.where(inner, token[:, None], rows["tokens"]).astype(np.int32)
    method = BERT(encoder=BERT_NET.clone(dropout=0.0, attention_dropout=0.0))
    built = method.build(optax.adam(1e-2), updates=150)
    state = jax.jit(built.init)(KEY, rows)
    step = jax.jit(built.step)
    for i in range(150):
        state, _ = step(state, rows, jax.random.fold_in(KEY, i))
    scores = {k: float(a.sum() / b.sum()) for k, (a, b) in built.score(state, rows).items()}
    assert scores["masked_accuracy"] > 0.8 and scores["unigram_accuracy"] < 0.4
    assert scores["loss"] < 1.0 < scores["unigram_loss"]
    np.testing.assert_allclose(scores["unigram_loss"], np.log(8), atol=0.3)


def test_whole_words_need_numbered_words():
    method = BERT(encoder=BERT_NET, whole_words=True, ratio=0.4)
    _, state = started(method)
    assert np.isfinite(method.loss(state.params, state.extra, BATCH, KEY)[0])
    with pytest.raises(ValueError, match=r"--reader\.words"):
        method.init(KEY, {k: v for k, v in BATCH.items() if k != "words"})


def test_electra_gives_the_generator_no_gradient_through_the_discriminator():
    method = ELECTRA(encoder=BERT_NET, generator=0.5)
    _, state = started(method)

    def told(params):
        return method.loss(params, state.extra, BATCH, KEY)[1][1]["real_loss"]

    grads = jax.grad(told)(state.params)
    for name in ("generator", "guess"):
        assert not any(np.any(g) for g in jax.tree.leaves(grads[name])), name
    assert any(np.any(g) for g in jax.tree.leaves(grads["real"]))
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    np.testing.assert_allclose(value, metrics["masked_loss"] + 50 * metrics["real_loss"], rtol=1e-6)
    assert "embeddings" not in state.params["generator"]


def test_electra_reference():
    method = ELECTRA(encoder=BERT_NET, generator=0.5)
    _, state = started(method)
    hidden, logits, target = method._generate(state.params, BATCH, jax.random.split(KEY, 16), None)
    sure = 1e4 * jax.nn.one_hot(target, VOCAB)
    same = method._fake(KEY, hidden, sure, jnp.asarray(BATCH["tokens"]))
    np.testing.assert_array_equal(same, BATCH["tokens"])
    other = method._fake(KEY, hidden, logits, jnp.asarray(BATCH["tokens"]))
    changed = (np.asarray(other) != BATCH["tokens"]).sum(1)
    assert changed.sum() > 0 and (changed <= np.asarray(hidden.weight).sum(1)).all()


def test_simcse_reference():
    method = SimCSE(encoder=BERT_NET.clone(pool="cls"))
    built, state = started(method)
    a, b = (method._view(state.params, BATCH, k) for k in jax.random.split(KEY))
    assert np.abs(np.asarray(a - b)).max() > 1e-3
    np.testing.assert_array_equal(built.embed(state, BATCH), built.embed(state, BATCH))
    z = [np.asarray(h, np.float64) for h in (a, b)]
    z = [h / np.linalg.norm(h, axis=1, keepdims=True) for h in z]
    s = z[0] @ z[1].T / 0.05
    want = np.mean(
        [np.log(np.exp(s[i] - s[i].max()).sum()) + s[i].max() - s[i, i] for i in range(16)]
    )
    value, _ = method.loss(state.params, state.extra, BATCH, KEY)
    np.testing.assert_allclose(value, want, rtol=1e-4)
    with pytest.raises(ValueError, match="dropout"):
        SimCSE(encoder=BERT_NET.clone(dropout=0.0, attention_dropout=0.0)).init(KEY, BATCH)


def test_dualencoder_reference():
    """One encoder, two layers behind it: which answer is whose, by cosines in float64."""
    encoder = BERT_NET.clone(dropout=0.0, attention_dropout=0.0)
    method = replace(CASES["dual_encoder"].method, encoder=encoder, temperature=0.1)
    batch = dialogues()
    state = jax.jit(method.build(TX, updates=10).init)(KEY, batch)
    rows = {name: jnp.asarray(x) for name, x in batch.items()}
    asked = {k: rows[k] for k in ("tokens", "segments", "types")}
    answered = {"tokens": rows["answer"], "segments": rows["answer_segments"]}
    answered["types"] = jnp.ones_like(rows["answer"])  # another speaker's
    z = []
    for x, head in ((asked, "projector"), (answered, "partner_projector")):
        h, _ = nets.apply(encoder, state.params["encoder"], {}, x, train=False)
        (weight,) = jax.tree.leaves(state.params[head])
        y = np.asarray(h, np.float64) @ np.asarray(weight, np.float64)
        z.append(y / np.linalg.norm(y, axis=1, keepdims=True))
    s = z[0] @ z[1].T / 0.1
    want = np.mean([np.log(np.exp(s[i]).sum()) - s[i, i] for i in range(16)])
    value, (_, metrics) = method.loss(state.params, state.extra, batch, KEY)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    first = np.mean([s[i, i] > np.delete(s[i], i).max() for i in range(16)])
    np.testing.assert_allclose(metrics["rank_accuracy"], first)
    only = method.pair(state, {k: v for k, v in rows.items() if k != "answer"})
    assert list(only) == ["tokens"]  # a side alone
    with pytest.raises(ValueError, match="Dialogues"):
        method.check(SimpleNamespace(spec={"tokens": None}))


def test_t5_reference():
    method = T5(encoder=T5_NET)
    _, state = started(method)
    keys = jax.random.split(KEY, 16)
    logits, target, weight = method._predict(state.params, BATCH, keys, None)
    assert logits.shape[:2] == target.shape == weight.shape
    assert (np.asarray(target)[:, 0] == T5_NET.vocab - 1).all()  # the first sentinel
    noisy = dict(BATCH)
    noisy["tokens"] = np.where(BATCH["segments"] > 0, BATCH["tokens"], 7).astype(np.int32)
    again, _, _ = method._predict(state.params, noisy, keys, None)
    real = np.asarray(weight)
    np.testing.assert_allclose(np.asarray(again)[real], np.asarray(logits)[real], atol=1e-5)


@pytest.mark.parametrize("name", ["gpt", "bert", "electra", "t5"])
def test_scores_over_a_data_set_do_not_depend_on_the_batch(name):
    from ssljax.data import Arrays

    built, state = started(CASES[name].method)
    data = Arrays({k: v for k, v in BATCH.items() if k != "index"})
    score = jax.jit(built.score)
    whole, parts = (
        heldout(lambda rows: jax.device_get(score(state, rows)), data, batch=size)
        for size in (16, 5)
    )
    assert whole.keys() == parts.keys()
    if name != "electra":  # rounding may tip a fake from one token to another
        for key in whole:
            np.testing.assert_allclose(whole[key], parts[key], rtol=1e-4, err_msg=key)
