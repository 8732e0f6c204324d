"""Translations as targets: BLEU as sacrebleu's, the loss by loops, columns and tables, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.nets import T5Decoder, T5Encoder
from ssljax.tasks import Examples, Task, TokenInput, Translation
from ssljax.tasks.bleu import bleu, words_of

TRUTH = ["A man, 3.5 feet tall, sits.", "Two dogs run over the grass &amp; play.", "A U.S. flag."]
GUESS = ["A man 3.5 feet tall sits down.", "Two dogs play on the grass & run.", "A flag"]
NET = T5Encoder(vocab=12, width=8, depth=1, heads=2, head_width=4, hidden=16, dropout=0.1)
DECODER = T5Decoder(depth=1, heads=2, head_width=4, hidden=16, dropout=0.1)
TARGET = Translation(decoder=DECODER, length=6, beams=2, smoothing=0.1)


class Letters:
    """4 is a, 5 is b, ..."""

    def encode(self, text):
        return np.array([ord(c) - 93 for c in text], np.int32)

    def decode(self, numbers):
        return "".join(chr(n + 93) for n in numbers if n > 3)


DATA = Arrays(
    {
        "tokens": np.array([[2, 4, 5, 3], [2, 6, 3, 0]]),
        "segments": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
    },
    vocabulary=Letters(),
)
KNOWN = TARGET.of(DATA)


def test_words_and_bleu_are_those_of_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu", reason="the peer of these numbers")
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    odd = ["x-\ny 3.,4 #1 50% @me a/b c\\d [e] ;f :g", "“q” — ü$%^_`{|}~ é,é. 5-a 5. .5", ""]
    for text in [*TRUTH, *GUESS, *odd]:
        assert words_of(text) == Tokenizer13a()(text).split()
    for guess in (GUESS, TRUTH, TRUTH[::-1], ["", "", ""], ["A man", "Two", "A"]):
        want = sacrebleu.corpus_bleu(guess, [TRUTH]).score
        assert bleu(TRUTH, guess) == pytest.approx(want, abs=1e-9)
    assert bleu(TRUTH, TRUTH) == pytest.approx(100) and 0 < bleu(TRUTH, GUESS) < 60


def test_loss_by_a_loop_in_float64():
    logits = np.random.default_rng(0).normal(size=(2, 3, 5))
    target, weight = np.array([[4, 3, 0], [1, 2, 3]]), np.array([2.0, 1.0])
    want = []
    for row, ids, w in zip(logits, target, weight):
        each = []
        for z, i in zip(row, ids):
            log_p = z - np.log(np.exp(z).sum())
            q = np.full(5, 0.1 / 5)
            q[i] += 0.9
            each += [-(q * log_p).sum()] if i else []
        want.append(w * np.mean(each))
    found = TARGET.loss(jnp.asarray(logits, jnp.float32), jnp.asarray(target), jnp.asarray(weight))
    np.testing.assert_allclose(found, want, rtol=1e-5)
    nothing = TARGET.loss(jnp.zeros((1, 3, 5)), jnp.zeros((1, 3), jnp.int32), jnp.ones(1))
    assert nothing == 0


def test_a_task_learns_from_what_it_is_told_and_writes_alone():
    """Told a target the logits of a token do not depend on it or on what follows, only on what is
    before; alone it gives texts with a confidence."""
    task = Task(inputs=TokenInput(), encoder=NET, target=TARGET)
    batch = jax.tree.map(jnp.asarray, DATA.take(np.arange(2)))
    params, stats = task.init(jax.random.key(0), batch)
    assert set(params["head"]) == {"decoder"}

    def told(target, key=None):
        options = {"key": key, "train": key is not None, "target": jnp.asarray(target)}
        return task.outputs(params, stats, batch, **options)[0]

    one = told([[4, 5, 3, 0, 0, 0]] * 2)
    assert one.shape == (2, 6, 12)
    two = told([[4, 9, 9, 9, 9, 9]] * 2)
    np.testing.assert_allclose(one[:, :2], two[:, :2], atol=1e-6)
    assert np.abs(one[:, 2] - two[:, 2]).max() > 1e-4
    noisy = [told([[4, 5, 3, 0, 0, 0]] * 2, jax.random.key(i)) for i in range(2)]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-4  # the networks drop out
    outputs, _ = task.outputs(params, stats, batch, key=None, train=False)
    text, sure = task.pseudo(outputs)
    assert text.shape == (2, 6) and np.all((sure >= 0) & (sure <= 1))
    own = {"encoder": params["encoder"], "decoder": params["head"]["decoder"], "other": {}}
    again = task.started(own)
    assert set(again) == {"encoder", "head"} and again["head"].keys() == params["head"].keys()
    assert set(task.started({"encoder": {}})) == {"encoder"}


def test_who_abstains():
    tokens = jnp.array([[4, 5, 3, 0], [3, 0, 0, 0], [4, 4, 4, 4]])
    _, sure = TARGET.pseudo({"tokens": tokens, "log_p": jnp.log(jnp.array([0.125, 0.5, 0.5]))})
    np.testing.assert_allclose(sure, [0.5, 0, 0], rtol=1e-6)


def test_columns_and_tables_there_and_back(tmp_path, caplog):
    texts = np.array([[4, 5, 3, 0, 0, 0], [6, 3, 0, 0, 0, 0]], np.int32)
    np.testing.assert_array_equal(KNOWN.from_column(KNOWN.column(texts)), texts)
    unknown = np.zeros((1, 6), np.int32)
    assert KNOWN.column(unknown).to_pylist() == [None] and not KNOWN.known(unknown).any()
    examples = Examples(["train.de:1", "train.de:2"], {}, texts=["x\ty", "z"])
    file = tmp_path / "labels.tsv"
    KNOWN.write(file, examples, texts, np.array([0.5, 1]))
    index, again, sure = KNOWN.read(file, examples)
    assert index.tolist() == [0, 1] and sure.tolist() == [0.5, 1]
    np.testing.assert_array_equal(again, texts)
    with pytest.raises(ValueError, match=r"line 2: 'train\.de:1' is none of these 1 examples"):
        KNOWN.read(file, examples._replace(names=examples.names[1:]))
    file.write_text("a\tb\n")
    with pytest.raises(ValueError, match="line 1: its columns are not file, confidence, text"):
        KNOWN.read(file, examples)
    assert KNOWN._encoded(["aaaaaaaa"]).tolist() == [[4, 4, 4, 4, 4, 3]]
    assert "1 of 1 texts have more than 6 tokens" in caplog.text


def test_quality_is_of_what_was_chosen():
    truth = np.array([[4, 5, 3], [6, 3, 0]], np.int32)
    guess = np.array([[4, 5, 3], [7, 3, 0]], np.int32)
    best = KNOWN.quality(truth, guess, np.array([True, False]))
    assert best["precision"] == 1 and best["recall"] == 0.5 and best["coverage"] == 0.5
    every = KNOWN.quality(truth, guess, np.array([True, True]))
    assert every["precision"] == every["recall"] == every["f1"] == 0.5
    none = KNOWN.quality(truth, guess, np.array([False, False]))
    assert none["bleu"] == none["precision"] == none["recall"] == 0
    assert {m.key for m in KNOWN.shown} <= every.keys()


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="read it with Parallel"):
        TARGET.check(Arrays({"tokens": np.zeros((1, 4), np.int32)}))
    longer = {"translation": np.zeros((1, 9), np.int32)}
    with pytest.raises(ValueError, match="translations of 9 tokens and the target 6"):
        TARGET.check(Arrays(longer, vocabulary=Letters()))
    with pytest.raises(ValueError, match="the data tells"):
        TARGET.show(np.array([[4]]), None)
    with pytest.raises(ValueError, match="beams needs 1 or more"):
        Translation(beams=0)
