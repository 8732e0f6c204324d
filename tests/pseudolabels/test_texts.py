"""Pseudo-labels that are texts: which can be believed, and which the data brings."""

from types import SimpleNamespace

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.pseudolabels.labels import Guess
from ssljax.pseudolabels.texts import Believable, Brought, Varied
from ssljax.tasks import Translation


class Words:
    def encode(self, text):
        return np.array([int(word) for word in text.split()], np.int32)

    def decode(self, numbers):
        return " ".join(str(n) for n in numbers if n > 3)


def context(rows):
    pool = Arrays(
        rows | {"tokens": np.arange(len(next(iter(rows.values()))))},
        readable=lambda rows: [["x y z", "x y", "4 5 q", "a b c d"][i] for i in rows["tokens"]],
        vocabulary=Words(),
    )
    target = Translation(length=5).of(pool)
    return SimpleNamespace(pool=pool, target=target)


def test_which_texts_can_be_believed():
    rule = Believable()
    assert rule.accepts("a b c", "x y z w")
    assert not rule.accepts("a b c", "x")  # too short
    assert not rule.accepts("a b", "x y z w v")  # too long
    assert not rule.accepts("a b c", "a b x")  # two in three copied
    assert rule.accepts("a b c d", "x x x y") and not rule.accepts("a b c d", "x x x x")
    assert not rule.accepts("a", "")
    texts = np.array([[4, 5, 6, 3], [4, 5, 6, 3], [4, 5, 7, 3], [4, 4, 4, 4]])
    found = rule.guess(Guess(texts, np.full(4, 0.5)), context({"a": np.zeros(4)}))
    assert found.confidence.tolist() == [0.5, 0.5, 0, 0]


def test_what_the_data_brings_takes_the_place_of_a_guess():
    brought = np.array([[0] * 5, [7, 8, 3, 0, 0], [0] * 5])
    here = context({"brought": brought, "sure": np.array([0, 0.25, 0], np.float32)})
    guess = Guess(np.array([[4, 3, 0, 0]] * 3), np.array([0.5, 0.6, 0.7]))
    both = Brought().guess(guess, here)
    np.testing.assert_allclose(both.confidence, [0.5, 0.25, 0.7])
    assert both.target.tolist() == [[4, 3, 0, 0, 0], [7, 8, 3, 0, 0], [4, 3, 0, 0, 0]]
    np.testing.assert_allclose(Brought(alone=True).guess(guess, here).confidence, [0, 0.25, 0])
    with pytest.raises(ValueError, match="brings no labels"):
        Brought().guess(guess, context({"a": np.zeros(3)}))


def test_texts_that_repeat_themselves_abstain():
    rule = Varied()
    assert rule.accepts("to be or not to be") and rule.accepts("ab")
    assert not rule.accepts("the the the the sun") and not rule.accepts("hahahahahahaha")
    assert not rule.accepts(" \n ")
    # Of abababab 2 of 5 runs of four are different ones
    assert not Varied(distinct=0.41).accepts("abababab")
    assert Varied(distinct=0.4).accepts("abababab")
    texts = np.array([[4, 5, 6, 3], [4, 4, 4, 4]])
    found = rule.guess(Guess(texts, np.full(2, 0.5)), context({"a": np.zeros(4)}))
    assert found.confidence.tolist() == [0.5, 0]
