"""Continuations: written as a loop without a cache writes, judged as GPT judges, read, stored."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax import nets
from ssljax.data import Continuations, Text
from ssljax.methods import GPT
from ssljax.nets import GPT2
from ssljax.tasks import Continuation, Examples, Task, TokenInput
from ssljax.tasks.continuation import distinct

NET = GPT2(vocab=9, width=16, depth=2, heads=2, length=10, dropout=0.0, attention_dropout=0.0)
TARGET = Continuation(network=NET, length=6)
TASK = Task(inputs=TokenInput(), encoder=NET, target=TARGET)
TOKENS = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [8, 1, 8, 1]], np.int32)
BATCH = {"tokens": TOKENS, "segments": np.ones_like(TOKENS), "index": np.arange(3, dtype=np.int32)}
TRUTH = np.array([[1, 2, 3, 4, 5, 6], [3, 3, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def started():
    params, stats = TASK.init(jax.random.key(0), BATCH)
    # Larger weights: else all tokens are nearly as likely.
    return jax.tree.map(lambda x: x * 4, params), stats


def outputs(started, task=TASK, target=None):
    params, stats = started
    return task.outputs(params, stats, BATCH, key=None, train=False, target=target)[0]


def logits_of(params, tokens):
    return nets.apply(NET, params, {}, {"tokens": tokens}, train=False, method="logits")[0]


@pytest.mark.parametrize("eos", [None, 3])
def test_writes_as_a_loop_without_a_cache(started, eos):
    task = replace(TASK, target=replace(TARGET, eos=eos, words=8))
    found = jax.jit(lambda: outputs(started, task))()
    for row, prompt in enumerate(TOKENS):
        text, log_p = list(prompt), 0.0
        for _ in range(6):
            z = np.asarray(logits_of(started[0]["encoder"], np.array([text]))[0, -1], np.float64)
            each = z - np.log(np.exp(z - z.max()).sum()) - z.max()
            token = 1 + int(np.argmax(each[1:8]))
            text, log_p = [*text, token], log_p + each[token]
            if token == eos:
                break
        written = np.pad(text[4:], (0, 10 - len(text)))
        np.testing.assert_array_equal(found["tokens"][row], written)
        np.testing.assert_allclose(found["log_p"][row], log_p, rtol=1e-4)
    tokens, sure = task.target.pseudo(found)
    size = (np.asarray(tokens) > 0).sum(1)
    ends = (np.asarray(tokens)[:, 1:] == eos).any(1) if eos else size > 0
    np.testing.assert_allclose(sure, np.where(ends, np.exp(found["log_p"] / size), 0), rtol=1e-5)


def test_draws_depend_on_seed_and_example_alone(started):
    task = replace(TASK, target=replace(TARGET, temperature=1.0))
    draw = outputs(started, task)["tokens"]
    np.testing.assert_array_equal(draw, outputs(started, task)["tokens"])
    other = replace(task, target=replace(task.target, seed=1))
    assert not np.array_equal(draw, outputs(started, other)["tokens"])
    params, stats = started
    last = {k: v[2:] for k, v in BATCH.items()}
    alone = task.outputs(params, stats, last, key=None, train=False)[0]["tokens"]
    np.testing.assert_array_equal(alone[0], draw[2])


def test_loss_and_bits_are_those_of_gpt(started):
    told = outputs(started, target=jnp.asarray(TRUTH))
    assert told.shape == (3, 6, 9)
    whole = np.concatenate([TOKENS, TRUTH], axis=1)
    want = np.asarray(logits_of(started[0]["encoder"], whole))[:, 3:-1]
    np.testing.assert_allclose(told, want, atol=1e-5)
    p = want - np.log(np.exp(np.float64(want)).sum(-1, keepdims=True))
    nll = -np.take_along_axis(p, TRUTH[..., None], axis=-1)[..., 0] * (TRUTH > 0)
    size = np.array([6, 2, 0])
    weight = np.array([1.0, 0.5, 1.0])
    loss = TARGET.loss(told, jnp.asarray(TRUTH), jnp.asarray(weight))
    np.testing.assert_allclose(loss, weight * nll.sum(1) / np.maximum(size, 1), rtol=1e-5)
    found = TARGET.costs(told, jnp.asarray(TRUTH), {"bytes": jnp.asarray(2 * size)})
    np.testing.assert_allclose(found["bits_per_byte"][0], nll.sum(1) / np.log(2), rtol=1e-5)
    np.testing.assert_array_equal(found["bits_per_byte"][1], 2 * size)
    # GPT itself, on a row of which the first three tokens count for nothing.
    segments = np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]])
    state = (
        GPT(encoder=NET)
        .build(optax.sgd(0.1), updates=1)
        .init(jax.random.key(0), {"tokens": whole[:1], "segments": segments})
    )
    state = replace(state, params={"encoder": started[0]["encoder"]})
    nats, count = GPT(encoder=NET).score(
        state, {"tokens": jnp.asarray(whole[:1]), "segments": jnp.asarray(segments)}
    )["loss"]
    first = np.asarray(logits_of(started[0]["encoder"], whole[:1]), np.float64)[0, :3]
    p = first - np.log(np.exp(first).sum(-1, keepdims=True))
    before = -p[np.arange(3), whole[0, 1:4]].sum()
    assert count[0] == 9
    np.testing.assert_allclose(nats[0], before + nll[0].sum(), rtol=1e-5)


def test_gradients_reach_the_network_through_the_prompt(started):
    def loss(params):
        told = TASK.outputs(params, started[1], BATCH, key=None, train=True, target=TRUTH)[0]
        return jnp.sum(TARGET.loss(told, TRUTH, jnp.ones(3)))

    grads = jax.grad(loss)(started[0])
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(grads["encoder"]))
    assert not jax.tree.leaves(grads["head"])


def test_dropout_of_the_task_would_drop_parameters():
    with pytest.raises(ValueError, match=r"parameters of Continuation.*encoder.dropout"):
        replace(TASK, dropout=0.1)


def test_a_prompt_that_leaves_no_room_is_refused(started):
    with pytest.raises(ValueError, match="need 11 positions, and the network has 10"):
        outputs(started, replace(TASK, target=replace(TARGET, length=7)))


def reader(**fields):
    text = Text(length=6, vocab=20, tokenizer="characters", layout="windows", specials=("[PAD]",))
    return Continuations(text=text, prompt=2, **fields)


def test_reads_windows_and_keeps_lines_in_tables(tmp_path):
    (tmp_path / "train.txt").write_text("abc\nde\tf\\gab")
    (tmp_path / "validation.txt").write_text("abcdef")
    spec = f"text:{tmp_path}"
    data = reader().load(spec)
    assert len(data) == 2  # the thirteenth character fills no window
    rows = data.take(np.arange(2))
    assert data.readable(rows) == ["ab", "\tf"]
    target = Continuation(network=NET, length=4).of(data)
    texts = target.show(rows["continuation"], None)
    assert texts[0] == "c\nde" and rows["bytes"].tolist() == [4, 4]
    np.testing.assert_array_equal(target.from_column(target.column(rows["continuation"])),
                                  rows["continuation"])  # fmt: skip
    examples = Examples(["x", "y"], rows, texts=data.readable(rows))
    target.write(tmp_path / "said.tsv", examples, rows["continuation"], np.array([1.0, 0.5]))
    index, back, sure = target.read(tmp_path / "said.tsv", examples)
    np.testing.assert_array_equal(back, rows["continuation"])
    assert index.tolist() == [0, 1] and sure.tolist() == [1.0, 0.5]
    broken = (tmp_path / "said.tsv").read_text().replace('"c', "c")
    (tmp_path / "said.tsv").write_text(broken)
    with pytest.raises(ValueError, match=r"said.tsv, line 2: .* is no text of JSON"):
        target.read(tmp_path / "said.tsv", examples)


def test_prompts_of_ones_own(tmp_path, caplog):
    (tmp_path / "train.txt").write_text("abcdef" * 3)
    made = reader().prepared(f"text:{tmp_path}")
    rows = made.rows(["a", "abc"])
    a, b, c = made.encode("abc")
    assert rows["tokens"].tolist() == [[0, a], [b, c]]
    assert "1 of 2 prompts have more than 2 tokens and lose their beginning" in caplog.text


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"specials=\(\"\[PAD\]\",\)"):
        Continuations(text=Text(layout="windows", specials=()))
    with pytest.raises(ValueError, match="between 0 and the length 6"):
        replace(reader(), prompt=6)
    (tmp_path / "train.txt").write_text("abcd")
    with pytest.raises(ValueError, match="has 4 tokens and a window 6"):
        reader().load(f"text:{tmp_path}:train")
    with pytest.raises(ValueError, match="read it with Continuations"):
        TARGET.check(type("Plain", (), {"spec": {}})())


def test_distinct_words_and_pairs():
    """Counted by hand: of seven words five are different, of five pairs four."""
    texts = [["a", "b", "a", "b"], ["c", "d", "e"], []]
    assert distinct(texts, 1) == 5 / 7 and distinct(texts, 2) == 4 / 5
    assert distinct([[], ["a"]], 2) == 0
