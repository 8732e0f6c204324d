"""BERT and GPT-2 against transformers on the same weights; packing; the cache of past tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax import nets
from ssljax.nets import GPT2, Bert, TokenHead, tied_logits, word_table

KEY = jax.random.key(0)
BERT = Bert(vocab=50, width=24, depth=2, heads=3, hidden=40, length=16)
GPT = GPT2(vocab=50, width=24, depth=2, heads=3, length=16)
TOKENS = np.random.default_rng(0).integers(0, 50, (3, 12)).astype(np.int32)
SEGMENTS = (np.arange(12) < np.array([[12], [7], [9]])).astype(np.int32)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def flat(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, np.array(value)


def scrambled(params):
    """Biases and norms away from 0 and 1, so that none can be swapped unseen."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    return tree.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)])


def load(model, params, *, names, transposed=True):
    """Our parameters in a torch model, by name."""
    torch = pytest.importorskip("torch")
    state = {}
    for name, value in flat(params):
        *path, leaf = names(name).split(".")
        value = value.T if leaf == "kernel" and transposed else value
        leaf = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(leaf, leaf)
        state[".".join([*path, leaf])] = torch.tensor(value)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert {m for m in missing if "decoder" not in m and "lm_head" not in m} <= set(), missing
    return model.eval()


def bert_name(name):
    return name.replace("layer_", "layer.")


def inputs(segments=SEGMENTS, **more):
    return {"tokens": jnp.asarray(TOKENS), "segments": jnp.asarray(segments), **more}


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_bert_agrees_with_transformers(kind):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    fields = {} if kind == "bert" else {"types": 1, "first_position": 2, "eps": 1e-5}
    net = BERT.clone(**fields)
    params, _ = nets.init(net, KEY, inputs())
    params = scrambled(params)
    head, _ = nets.init(TokenHead(vocab=50), KEY, jnp.zeros((1, 24)), table=word_table(params))
    assert head["bias"].shape == (50,)
    make = transformers.BertConfig if kind == "bert" else transformers.RobertaConfig
    config = make(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=16 + net.first_position,
        type_vocab_size=net.types,
        layer_norm_eps=net.eps,
        pad_token_id=1 if kind == "roberta" else 0,
    )
    model = transformers.BertModel if kind == "bert" else transformers.RobertaModel
    model = load(model(config, add_pooling_layer=False), params, names=bert_name)
    types = np.zeros_like(TOKENS) if kind == "roberta" else (np.arange(12) > 4) * SEGMENTS
    places = np.arange(12) + net.first_position
    with torch.no_grad():
        theirs = model(
            input_ids=torch.tensor(TOKENS.astype(np.int64)),
            attention_mask=torch.tensor(SEGMENTS.astype(np.int64)),
            token_type_ids=torch.tensor(types.astype(np.int64)),
            position_ids=torch.tensor(places[None].repeat(3, 0).astype(np.int64)),
            output_hidden_states=True,
        ).hidden_states
    x = inputs(types=jnp.asarray(types, jnp.int32))
    ours, _ = nets.apply(net, params, {}, x, train=False, method="layers")
    real = SEGMENTS > 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a)[real], b.numpy()[real], atol=1e-5)
    mean, _ = nets.apply(net, params, {}, x, train=False)
    want = np.stack([theirs[-1][i, : r.sum()].numpy().mean(0) for i, r in enumerate(real)])
    np.testing.assert_allclose(mean, want, atol=1e-5)


def test_gpt2_agrees_with_transformers():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    params, _ = nets.init(GPT, KEY, inputs())
    params = scrambled(params)
    config = transformers.GPT2Config(vocab_size=50, n_embd=24, n_layer=2, n_head=3, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    model = load(
        model,
        params,
        names=lambda n: "transformer." + n.replace("h_", "h."),
        transposed=False,
    )
    with torch.no_grad():
        theirs = model(torch.tensor(TOKENS.astype(np.int64)), output_hidden_states=True)
    x = {"tokens": jnp.asarray(TOKENS)}
    logits, _ = nets.apply(GPT, params, {}, x, train=False, method="logits")
    np.testing.assert_allclose(logits, theirs.logits.numpy(), atol=1e-5)
    layers, _ = nets.apply(GPT, params, {}, x, train=False, method="layers")
    for a, b in zip(layers, theirs.hidden_states, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-5)


def test_sizes_of_published_models():
    """124,439,808 parameters of GPT-2, 109,482,240 of bert-base with its pooler."""

    def count(net):
        x = {"tokens": jax.ShapeDtypeStruct((1, 8), jnp.int32)}
        shapes = jax.eval_shape(lambda: nets.init(net, KEY, x)[0])
        return sum(v.size for v in jax.tree.leaves(shapes))

    assert count(nets.gpt2("small")) == 124_439_808
    assert count(nets.bert("base")) + 768 * 769 == 109_482_240
    with pytest.raises(ValueError, match="choose one of"):
        nets.bert("huge")


@pytest.mark.parametrize("net", [BERT, GPT], ids=["bert", "gpt2"])
def test_packed_documents_do_not_see_each_other(net):
    """Two documents in a row give what each gives in a row of its own, places included."""
    segments = np.where(np.arange(12) < 5, 1, np.where(np.arange(12) < 11, 2, 0))[None]
    params, _ = nets.init(net, KEY, inputs())
    params = scrambled(params)

    def run(tokens, segments):
        x = {"tokens": jnp.asarray(tokens), "segments": jnp.asarray(segments, jnp.int32)}
        return nets.apply(net, params, {}, x, train=False, method="tokens")[0]

    packed = run(TOKENS[:1], segments)
    first, second = TOKENS[:1, :5], TOKENS[:1, 5:11]
    np.testing.assert_allclose(packed[:, :5], run(first, np.ones((1, 5))), atol=1e-5)
    np.testing.assert_allclose(packed[:, 5:11], run(second, np.ones((1, 6))), atol=1e-5)
    whole = run(TOKENS[:1], np.ones((1, 12)))
    assert np.abs(whole - packed)[:, 6:11].max() > 1e-3


def test_a_gpt_never_sees_what_comes():
    params, _ = nets.init(GPT, KEY, inputs())
    run = lambda t: nets.apply(  # noqa: E731
        GPT, params, {}, {"tokens": jnp.asarray(t)}, train=False, method="logits"
    )[0]
    other = TOKENS.copy()
    other[:, 6] = (other[:, 6] + 1) % 50
    a, b = run(TOKENS), run(other)
    np.testing.assert_array_equal(a[:, :6], b[:, :6])
    assert (a[:, 6:] != b[:, 6:]).any(axis=(0, 2)).all()


def test_cached_logits_equal_uncached_ones():
    params, _ = nets.init(GPT, KEY, inputs())
    params = scrambled(params)
    whole, _ = nets.apply(
        GPT, params, {}, {"tokens": jnp.asarray(TOKENS)}, train=False, method="logits"
    )
    cache, parts, start = GPT.empty_cache(3), [], 0
    for n in (5, 1, 1, 3, 2):  # a prompt, then a few at a time
        x = {"tokens": jnp.asarray(TOKENS[:, start : start + n])}
        (logits, cache), _ = nets.apply(
            GPT, params, {}, x, train=False, method="extend", cache=cache
        )
        parts.append(logits)
        start += n
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_dropout_differs_in_training_and_is_off_otherwise():
    params, _ = nets.init(BERT, KEY, inputs())

    def run(train, seed=0):
        rngs = {"dropout": jax.random.key(seed)}
        return nets.apply(BERT, params, {}, inputs(), train=train, rngs=rngs)[0]

    assert not np.array_equal(run(True), run(True, 1))
    np.testing.assert_array_equal(run(False), run(False, 1))


@pytest.mark.parametrize("net", [BERT, GPT], ids=["bert", "gpt2"])
def test_bad_input(net):
    params, _ = nets.init(net, KEY, inputs())
    for x, message in (
        ({"tokens": jnp.zeros((1, 17), jnp.int32)}, "positions for 16"),
        ({"tokens": jnp.zeros((1, 4))}, "integer tokens"),
        (jnp.zeros((1, 4), jnp.int32), "takes"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.apply(net, params, {}, x, train=False)
    with pytest.raises(ValueError, match="not divisible"):
        nets.init(net.clone(heads=5), KEY, inputs())


def test_logits_and_their_gradient():
    """In float32 as autodiff has it; in bfloat16 the values are those of before, bit for bit, and
    gradients are off by its rounding."""
    keys = jax.random.split(jax.random.key(3), 3)
    x, table, w = (
        jax.random.normal(k, s) for k, s in zip(keys, [(2, 9, 16), (40, 16), (2, 9, 40)])
    )

    def plain(x, table, dtype):
        x, table = x.astype(dtype), table.astype(dtype)
        return jnp.einsum("btd,vd->btv", x, table, preferred_element_type=jnp.float32)

    def gradients(fn, dtype):
        return jax.grad(lambda *a: jnp.sum(jnp.sin(fn(*a, dtype)) * w), argnums=(0, 1))(x, table)

    for dtype in ("float32", "bfloat16"):
        np.testing.assert_array_equal(tied_logits(x, table, dtype), plain(x, table, dtype))
    for ours, exact in zip(gradients(tied_logits, "float32"), gradients(plain, "float32")):
        np.testing.assert_allclose(ours, exact, atol=1e-5)
    for ours, exact in zip(gradients(tied_logits, "bfloat16"), gradients(plain, "bfloat16")):
        error = jnp.linalg.norm(ours - exact) / jnp.linalg.norm(exact)
        assert error < 2**-8


@pytest.mark.parametrize("net", ["gpt", "vit"])
def test_remat_changes_memory_and_nothing_else(net):
    if net == "gpt":
        make = lambda **kw: GPT2(vocab=30, width=16, depth=2, heads=2, length=8, **kw)  # noqa: E731
        x = {"tokens": jnp.arange(16).reshape(2, 8), "segments": jnp.ones((2, 8), jnp.int32)}
    else:
        make = lambda **kw: nets.ViT(patch=4, width=16, depth=2, heads=2, **kw)  # noqa: E731
        x = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
    params, stats = nets.init(make(), jax.random.key(1), x)
    key = {"dropout": jax.random.key(2)}

    def loss(params, remat):
        y, _ = nets.apply(make(remat=remat), params, stats, x, train=True, rngs=key)
        return jnp.sum(jnp.sin(y))

    assert "remat" in str(jax.make_jaxpr(lambda p: loss(p, True))(params))
    assert "remat" not in str(jax.make_jaxpr(lambda p: loss(p, False))(params))
    kept, again = (jax.grad(loss)(params, remat) for remat in (False, True))
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
