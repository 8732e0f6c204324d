"""Writing: the cache, greedy and beams as transformers' generate and as a naive search, draws."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.export.folder import write_model
from ssljax.export.transformers import to_transformers
from ssljax.nets import T5Decoder, T5Encoder, T5Writer, beam_search

NET = T5Encoder(
    vocab=11, width=8, depth=2, heads=2, head_width=4, hidden=16, dropout=0.0
)  # fmt: skip
DECODER = T5Decoder(depth=2, heads=2, head_width=4, hidden=16, dropout=0.0)
X = {
    "tokens": jnp.array([[4, 5, 6, 3, 0], [7, 3, 0, 0, 0], [9, 8, 7, 6, 3]]),
    "segments": jnp.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]),
}


def made(**fields):
    """(writer, encoder's parameters, decoder's, what it reads of X)."""
    arrays = nets.init(NET, jax.random.key(0), X)[0]
    arrays = jax.tree.map(lambda x: 2 * x, arrays)
    h = nets.apply(NET, arrays, {}, X, train=False, method="memory")[0] | {"index": jnp.arange(3)}
    writer = T5Writer(decoder=DECODER, length=7, **fields)
    params = nets.init(writer, jax.random.key(1), h)[0]
    return writer, arrays, jax.tree.map(lambda x: 3 * x, params), h


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def test_the_cache_changes_nothing():
    """Two tokens, then one by one: the logits of the whole text at once."""
    _, _, params, h = made()
    text = jnp.array([[0, 5, 6, 7, 2], [0, 3, 1, 9, 9], [0, 4, 4, 4, 4]])
    given = {k: h[k] for k in ("table", "seen")}
    whole, _ = nets.apply(
        DECODER, params["decoder"], {}, text, train=False, past=h["past"], **given
    )
    run = lambda x, **more: nets.apply(DECODER, params["decoder"], {}, x, train=False, **more)[0]  # noqa: E731
    cache, found = run(h["past"], method="remember", length=6), []
    for start, stop in ((0, 2), (2, 3), (3, 4), (4, 5)):
        logits, cache = run(text[:, start:stop], method="extend", cache=cache, **given)
        found.append(logits)
    np.testing.assert_allclose(jnp.concatenate(found, axis=1), whole, atol=1e-5)
    assert int(cache["at"]) == 5


@pytest.mark.parametrize(("beams", "penalty"), [(1, 1.0), (3, 0.0), (3, 1.5)])
def test_texts_are_those_of_transformers(beams, penalty, tmp_path):
    torch = pytest.importorskip("torch", reason="the other side of this test")
    transformers = pytest.importorskip("transformers", reason="its generate() is the peer")
    writer, arrays, params, h = made(beams=beams, penalty=penalty)
    found = nets.apply(writer, params, {}, h, train=False)[0]
    networks = {"encoder": NET, "decoder": DECODER}
    config, tensors = to_transformers(
        networks, {"encoder": arrays, "decoder": params["decoder"]}, settings={"eos_token_id": 3}
    )
    write_model(tmp_path, config, tensors)
    model = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    long = lambda x: torch.tensor(np.asarray(x, np.int64))  # noqa: E731
    out = model.generate(
        input_ids=long(X["tokens"]),
        attention_mask=long(X["segments"]),
        num_beams=beams,
        length_penalty=penalty,
        max_length=8,
        do_sample=False,
        suppress_tokens=[0],
        return_dict_in_generate=True,
        output_scores=True,
    )
    theirs = np.zeros((3, 7), np.int64)
    theirs[:, : out.sequences.shape[1] - 1] = out.sequences[:, 1:].numpy()
    np.testing.assert_array_equal(found["tokens"], theirs)
    if beams > 1:
        size = (theirs > 0).sum(1)
        score = np.asarray(found["log_p"]) / size**penalty
        np.testing.assert_allclose(score, out.sequences_scores.numpy(), atol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_wide_beams_find_the_best_of_all_texts(penalty):
    """Of a network that sees the last token alone, all texts of up to four tokens, counted up."""
    table = np.log(np.random.default_rng(0).dirichlet(np.full(4, 0.7), size=4))
    best = {}
    for n in range(1, 5):
        for text in itertools.product((1, 2, 3), repeat=n):
            if 3 in text[:-1] or (text[-1] != 3 and n < 4):
                continue
            score = sum(table[a, b] for a, b in zip((0, *text), text)) / n**penalty
            best[text] = score
    text = max(best, key=best.get)
    found = beam_search(
        lambda tokens, cache: (jnp.asarray(table, jnp.float32)[tokens[:, 0]], cache),
        {},
        lambda cache, rows: cache,
        **{"rows": 2, "beams": 30, "length": 4, "end": 3, "penalty": penalty},
        allowed=jnp.arange(4) > 0,
    )
    for row in found.tokens:
        assert tuple(int(i) for i in row if i) == text
    np.testing.assert_allclose(found.log_p, best[text] * len(text) ** penalty, rtol=1e-5)


def test_draws_depend_on_the_example_and_the_seed_alone():
    writer, _, params, h = made(temperature=1.0)
    run = lambda writer, h: nets.apply(writer, params, {}, h, train=False)[0]["tokens"]  # noqa: E731
    found = run(writer, h)
    rows = ("past", "seen", "index")
    alone = run(writer, {k: v[1:2] if k in rows else v for k, v in h.items()})
    np.testing.assert_array_equal(alone[0], found[1])
    assert (np.asarray(run(writer.clone(seed=1), h)) != np.asarray(found)).any()
    sure = run(writer.clone(top_k=1), h)
    np.testing.assert_array_equal(sure, run(writer.clone(temperature=0.0, beams=1), h))
    assert int(jnp.max(run(writer.clone(words=6), h))) < 6


def test_told_what_comes_before_it_gives_logits():
    writer, _, params, h = made()
    before = jnp.array([[0, 5], [0, 6], [0, 7]])
    logits = nets.apply(writer, params, {}, h | {"before": before}, train=True)[0]
    assert logits.shape == (3, 2, 11)
