"""A class for each word: as seqeval scores it, written and read as CoNLL, and masked by -100."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.data import Conll, Text
from ssljax.data.reader import reads_values
from ssljax.methods import Student
from ssljax.nets import MLP, Bert
from ssljax.tasks import Examples, Tags, Task, TokenInput
from ssljax.tasks.tags import entities_of

NAMES = ("O", "B-a", "I-a", "B-b", "I-b")
TARGET = Tags(tags=NAMES)
TRUTH = np.array([[-100, 1, 2, -100, 0, 3], [-100, 0, 0, 1, -100, -100]], np.int32)


def test_strict_entities_are_those_of_seqeval():
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    rng = np.random.default_rng(0)
    truth = np.where(rng.random((60, 9)) < 0.2, -100, rng.integers(0, 5, (60, 9)))
    guess = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, 5, truth.shape))
    guess = np.where(truth < 0, -100, np.maximum(guess, 0))
    found = TARGET.score(truth, guess)
    lists = [
        [[NAMES[k] for k, t in zip(row, true) if t >= 0] for row, true in zip(x, truth)]
        for x in (truth, guess)
    ]
    options = {"mode": "strict", "scheme": scheme.IOB2}
    for name in ("precision", "recall", "f1"):
        want = getattr(metrics, f"{name}_score")(*lists, **options)
        assert found[name] == pytest.approx(want, abs=1e-12)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(*lists))


def test_entities_by_hand():
    assert entities_of(["B-a", "I-a", "I-b", "B-b", "B-b", "O", "I-a"]) == {
        (0, 2, "a"), (3, 4, "b"), (4, 5, "b")
    }  # fmt: skip


def test_what_is_not_chosen_lowers_recall_and_not_precision():
    found = TARGET.quality(TRUTH, TRUTH, np.array([True, False]))
    assert found["precision"] == 1 and found["recall"] == pytest.approx(2 / 3)
    assert found["accuracy"] == 1 and found["coverage"] == 0.5
    parts = Tags(tags=("H", "E", "_"))
    assert not parts.entities and parts.measure.key == "accuracy"
    assert parts.score(np.array([[0, 1, -100]]), np.array([[0, 2, 1]])) == {"accuracy": 0.5}


def test_loss_counts_words_and_no_padding():
    logits = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    outputs = TARGET.complete(jnp.asarray(logits), {"starts": TRUTH >= 0})
    weight = np.random.default_rng(1).random((2, 6)).astype(np.float32)
    want = []
    for z, row, w in zip(logits.astype(np.float64), TRUTH, weight):
        nll = [-w[i] * (z[i, k] - np.log(np.exp(z[i]).sum())) for i, k in enumerate(row) if k >= 0]
        want.append(np.sum(nll) / len(nll))
    np.testing.assert_allclose(TARGET.loss(outputs, TRUTH, jnp.asarray(weight)), want, rtol=1e-5)
    half = TARGET.loss(outputs, TRUTH, jnp.array([0.5, 0.0]))
    np.testing.assert_allclose(half[1], 0)
    np.testing.assert_allclose(2 * half[0], TARGET.loss(outputs, TRUTH, jnp.ones(2))[0], rtol=1e-6)

    def total(z):
        return TARGET.loss({**outputs, "logits": z}, TRUTH, jnp.ones(2)).sum()

    grads = jax.grad(total)(jnp.asarray(logits))
    assert not np.any(np.asarray(grads)[TRUTH < 0]) and np.all(np.any(grads[TRUTH >= 0], axis=-1))


def test_pseudo_tags_are_of_words_and_sentences_as_sure_as_said():
    logits = 9.0 * jax.nn.one_hot(jnp.maximum(TRUTH, 0), 5)
    outputs = TARGET.complete(logits.at[0, 1].mul(0.1), {"starts": TRUTH >= 0})
    tags, sure = TARGET.pseudo(outputs)
    np.testing.assert_array_equal(tags, TRUTH)
    assert not np.any(np.asarray(sure)[TRUTH < 0])
    low, high = np.exp(0.9) / (np.exp(0.9) + 4), np.exp(9) / (np.exp(9) + 4)
    np.testing.assert_allclose(TARGET.whole(np.asarray(sure), tags), [low, high], rtol=1e-5)
    mean = Tags(tags=NAMES, sure="mean").whole(np.asarray(sure), tags)
    np.testing.assert_allclose(mean, [(low + 3 * high) / 4, high], rtol=1e-5)
    several = jax.tree.map(lambda x: jnp.stack([x, x]), outputs)
    np.testing.assert_allclose(TARGET.pseudo(TARGET.average(several))[1], sure, rtol=1e-5)
    np.testing.assert_array_equal(TARGET.from_column(TARGET.column(TRUTH)), TRUTH)
    assert TARGET.show(TRUTH, None) == ["1:B-a 2:I-a 4:B-b", "3:B-a"]


FILE = "# id = 7\nNew\tB-loc\nYork\tI-loc\nis\tO\nbig\tO\n\nhi\tO\n\u200b\tO\nBob\tB-per\n\n"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "train.conll").write_text(FILE, "utf-8")
    return f"conll:{tmp_path}"


def test_conll_is_read_and_written(data, tmp_path):
    reader = Conll(text=Text(length=12, vocab=60)).prepared(data)
    found = reader.load(data)
    assert found.classes == ("O", "B-loc", "I-loc", "B-per")
    assert found.names == ["train.conll:2", "train.conll:7"]
    rows = found.take(np.arange(2))
    assert rows["starts"].sum(1).tolist() == [4, 3]  # a word of which nothing is left is [UNK]
    assert [row[row >= 0].tolist() for row in rows["tags"]] == [[1, 2, 0, 0], [0, 0, 3]]
    assert np.all((rows["tags"] >= 0) == rows["starts"])
    assert reader.shapes().keys() | {"index"} == found.spec.keys()
    assert not reads_values(reader)  # its words and tags lie in files alone
    target = Tags(tags=found.classes)
    target.check(found)
    texts = found.readable(rows)
    assert texts == ["New York is big", "hi \u200b Bob"]
    examples = Examples(found.names, {"starts": rows["starts"]}, texts=texts)
    target.write(tmp_path / "out.conll", examples, rows["tags"], np.array([1, 0.5]))
    index, again, sure = target.read(tmp_path / "out.conll", examples)
    np.testing.assert_array_equal(again, rows["tags"])
    assert index.tolist() == [0, 1] and sure.tolist() == [1, 0.5]
    with pytest.raises(ValueError, match="the data has the tags O, B-loc"):
        TARGET.check(found)
    with pytest.raises(ValueError, match="is none of these 1"):
        target.read(tmp_path / "out.conll", Examples(["x"], {"starts": rows["starts"]}))


def test_long_sentences_are_cut_and_said(data, caplog):
    reader = Conll(text=Text(length=5, vocab=200)).prepared(data)
    rows = reader.load(data).take(np.arange(2))
    assert rows["starts"].sum(1).max() < 4 and np.all(rows["segments"].sum(1) <= 5)
    assert "lose their last words" in caplog.text


def test_bad_conll(tmp_path):
    (tmp_path / "train.conll").write_text("a\tO\nb\n", "utf-8")
    with pytest.raises(ValueError, match=r"train\.conll, line 2: 1 columns, the first has 2"):
        Conll().prepared(f"conll:{tmp_path}")
    (tmp_path / "train.conll").write_text("a\tO\n", "utf-8")
    (tmp_path / "test.conll").write_text("a\tB-x\n", "utf-8")
    with pytest.raises(ValueError, match=r"test\.conll:1: the tag 'B-x' is none of the training"):
        Conll().prepared(f"conll:{tmp_path}").load(f"conll:{tmp_path}", split="test")
    with pytest.raises(FileNotFoundError, match="there is no"):
        Conll().splits(f"conll:{tmp_path}/x")


def test_a_task_tags_what_the_batch_asks_for():
    """Through the network of a pretraining, and learnt: the loss of a few steps falls."""
    net = Bert(vocab=12, width=8, depth=1, heads=2, hidden=16, length=6, dropout=0.0)
    task = Task(
        inputs=TokenInput(), encoder=net.clone(attention_dropout=0.0), target=TARGET, dropout=0.1
    )
    batch = {
        "tokens": np.random.default_rng(0).integers(2, 12, (2, 6)).astype(np.int32),
        "segments": np.ones((2, 6), np.int32),
        "starts": TRUTH >= 0,
        "target": TRUTH,
        "weight": np.ones((2, 6), np.float32),
    }
    student = Student(task=task)
    params, extra = student.init(jax.random.key(0), batch)
    assert {"encoder", "head"} == set(params)

    @jax.jit
    def step(params):
        loss = lambda p: student.loss(p, extra, batch, jax.random.key(1))[0]  # noqa: E731
        value, grads = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.5 * g, params, grads), value

    losses = []
    for _ in range(20):
        params, value = step(params)
        losses.append(float(value))
    assert losses[-1] < 0.5 * losses[0]
    outputs, _ = task.outputs(params, extra["stats"], batch, key=None, train=False)
    tags, _ = task.pseudo(outputs)
    assert np.all((np.asarray(tags) >= 0) == (TRUTH >= 0))
    with pytest.raises(ValueError, match="Tags reads 'tokens' of the encoder, and MLP has no such"):
        Task(inputs=TokenInput(), encoder=MLP(widths=(4,)), target=TARGET)
