"""What every kind of target keeps: columns and files there and back, numbers, and refusals."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ssljax.data import Arrays
from ssljax.measure import Measure
from ssljax.pseudolabels.labels import Guess
from ssljax.selftraining.results import scores
from ssljax.tasks import AnyOf, Boxes, Examples, Mask, OneOf, Tags, Transcript, Value
from ssljax.tasks.transcript import edits

TEXT = Transcript(letters="abc ")
NAMES = ("x.png", "y.png", "z, é.png")
CASES = {
    "one": (OneOf(classes=3), np.array([2, 0, 1], np.int32), "l.csv"),
    "any": (AnyOf(classes=2), np.array([[1, 0], [0, 0], [1, 1]], np.float32), "l.csv"),
    "value": (Value(), np.array([0.5, -1e-3, 1e6], np.float32), "l.csv"),
    "text": (TEXT, np.array([TEXT.encode(t, 4) for t in ("ab c", "", "ca")]), "l.jsonl"),
    "kaldi": (TEXT, np.array([TEXT.encode(t, 4) for t in ("ab c", "b", "ca")]), "text"),
}


@pytest.mark.parametrize("name", CASES)
def test_columns_and_files_there_and_back(name, tmp_path):
    target, truth, file = CASES[name]
    found = target.from_column(target.column(truth))
    np.testing.assert_array_equal(found, truth)
    assert np.issubdtype(found.dtype, np.integer) == np.issubdtype(truth.dtype, np.integer)
    names = [n.replace(" ", "") if name == "kaldi" else n for n in NAMES]
    examples = Examples(names, {}, ("cat", "dog, big", "cow")[: getattr(target, "classes", 0)])
    examples = examples._replace(classes=examples.classes or None)
    target.write(tmp_path / file, examples, truth, np.array([1, 0.25, 0.5]))
    index, again, sure = target.read(tmp_path / file, examples)
    np.testing.assert_array_equal(index, [0, 1, 2])
    np.testing.assert_array_equal(again, truth)
    np.testing.assert_array_equal(sure, [1, 0.25, 0.5] if name != "kaldi" else 1)
    assert len(target.show(truth, examples.classes)) == 3
    with pytest.raises(ValueError, match=r"line \d: 'x\.png' is none of these 2 examples"):
        target.read(tmp_path / file, examples._replace(names=names[1:]))


@pytest.mark.parametrize("name", CASES)
def test_the_truth_is_perfect_and_nothing_is_chosen_by_nobody(name):
    target, truth, _ = CASES[name]
    every, none = np.ones(3, bool), np.zeros(3, bool)
    best = 1.0 if target.measure.better == "higher" else 0.0
    assert target.score(truth, truth)[target.measure.key] == best
    found, nothing = target.quality(truth, truth, every), target.quality(truth, truth, none)
    assert {m.key for m in target.shown} <= found.keys() == nothing.keys()
    assert found["coverage"] == 1 and nothing["coverage"] == 0
    assert found[target.shown[0].key] == best
    assert all(np.isfinite(nothing[m.key]) for m in target.shown)
    if target.right(truth, truth) is not None:
        assert target.right(truth, truth).tolist() == [True] * 3


def test_classes_are_asked_for_in_one_sentence():
    assert OneOf(classes=3).require_classes("anything") == 3
    for target in (AnyOf(classes=3), Value(), TEXT):
        assert not target.has_classes()
        with pytest.raises(ValueError, match="clusters needs targets that are classes of exam"):
            target.require_classes("clusters")


def test_joined_targets_are_padded_and_of_one_form():
    classes, soft = np.array([1, 0], np.int32), np.array([[0.25, 0.75]], np.float32)
    assert OneOf(classes=2).join([classes, classes]).dtype == np.int32
    both = OneOf(classes=2).join([classes, soft])
    np.testing.assert_allclose(both, [[0, 1], [1, 0], [0.25, 0.75]])
    texts = TEXT.join([np.array([[1, 2, 3]]), np.array([[1]])])
    assert texts.tolist() == [[1, 2, 3], [1, 0, 0]]


def test_cells_that_are_no_targets():
    for target, cells, message in (
        (OneOf(classes=2), [0, 2], "row 2: target 2, but there are 2 classes, 0 to 1"),
        (OneOf(classes=2), [0.5, 1.0], "row 1: target 0.5"),
        (OneOf(classes=2), ["cat"], "row 1: 'cat' is no number"),
        (OneOf(classes=2), [[0.5, 0.5], [1.0]], "from 1 to 2 numbers"),
        (AnyOf(classes=2), [[0.0, 2.0]], "row 1: .* does not lie in"),
        (AnyOf(classes=2), [[0.0]], "lists of 2 numbers"),
        (Value(), [float("inf")], "NaN or infinite"),
        (TEXT, ["ab", "xyz"], "row 2: 'xyz'"),
        (TEXT, [3], "row 1: 3 is no text"),
    ):
        with pytest.raises(ValueError, match=message):
            target.from_column(pa.array(cells))
    assert OneOf(classes=2).from_column(pa.array([1.0, 0.0])).dtype == np.int32  # from pandas


def test_data_that_holds_other_targets_is_refused():
    x = np.zeros((4, 2), np.float32)
    classes = Arrays({"features": x, "label": np.arange(4)})
    OneOf(classes=4).check(classes)
    with pytest.raises(ValueError, match="the data has 4 classes and the target 3"):
        OneOf(classes=3).check(classes)
    sets = Arrays({"features": x, "value": x})
    AnyOf(classes=2).check(sets)
    with pytest.raises(ValueError, match="sets of 3"):
        AnyOf(classes=3).check(sets)
    with pytest.raises(ValueError, match="one number"):
        Value().check(sets)
    with pytest.raises(ValueError, match="letter number 5"):
        TEXT.check(Arrays({"features": x, "text": np.full((4, 1), 5)}))
    assert OneOf(classes=2).truth({"features": x}) is None
    for target in (OneOf(classes=3), AnyOf(classes=2), Value(), TEXT):
        target.check(Arrays({"features": x}))  # nothing to compare with


def objects(*corners, kind=0):
    return {
        "boxes": np.array([[corners]], np.float32),
        "kinds": np.array([[kind]]),
        "scores": np.ones((1, 1), np.float32),
    }


BOX = Boxes(classes=("a", "b"), size=8)
TRUE = objects(0, 0, 4, 4)
UNLIKE = [
    (OneOf(classes=3), np.array([2]), np.array([-1]), "-1 is not from 0 to 2"),
    (OneOf(classes=3), np.array([2]), np.array([2, 0]), "2 labels to be scored by 1 true"),
    (OneOf(classes=3), np.array([2]), np.array([2.0]), "float64: needs integers"),
    (OneOf(classes=3), np.array([2]), np.eye(4)[[2]], r"\(1, 4\): needs \[3\]"),
    (OneOf(classes=3), np.array([2]), np.full((1, 3), np.nan), "probabilities of example 1: nan"),
    (AnyOf(classes=2), np.ones((2, 2)), np.ones(2), r"sets of shape \(2,\)"),
    (AnyOf(classes=2), np.ones((1, 2)), np.array([[1, np.nan]]), "nan is not from 0 to 1"),
    (
        Value(),
        np.arange(2.0),
        np.arange(2.0)[:, None],
        r"values of shape \(2, 1\): needs one number",
    ),
    (Value(), np.arange(2.0), np.array([0, np.nan]), "values of example 2: nan"),
    (TEXT, np.array([[1]]), np.array([[5]]), "letters of example 1: 5 is not from 0 to 4"),
    (Tags(tags=("O", "B-x")), np.array([[0, 1]]), np.array([[0]]), "the same tokens"),
    (Tags(tags=("O", "B-x")), np.array([[0]]), np.array([[2]]), "2 is not from 0 to 1"),
    (Mask(classes=2), np.ones((1, 2, 2), int), np.ones((1, 4, 4), int), "the same pixels"),
    (Mask(classes=2), np.ones((1, 1, 1), int), np.full((1, 1, 1), -1), "mask 1: class -1"),
    (BOX, TRUE, objects(0, 0, 4, 4, kind=2), "class 2 is no box"),
    (BOX, TRUE, objects(4, 0, 0, 4), "is no box x1, y1"),
    (BOX, TRUE, objects(0, 0, 4, np.nan), "corners of boxes of example 1: nan"),
    (BOX, TRUE, {"boxes": TRUE["boxes"]}, "boxes, kinds, scores"),
]


@pytest.mark.parametrize(("target", "truth", "guess", "message"), UNLIKE)
def test_labels_that_are_none_have_no_score(target, truth, guess, message):
    """Each of these had one, or was cut or broadcast in silence."""
    sure = np.ones(len(next(iter(guess.values())) if isinstance(guess, dict) else guess))
    target.verify(truth)
    with pytest.raises(ValueError, match=message):
        scores(target, truth, Guess(guess, sure))


def test_a_guess_says_what_it_is_not():
    guess = Guess(np.array([-1, 3]), np.array([0.0, 1.0]))  # who abstains may say anything
    guess.check("a rule", OneOf(classes=4))
    with pytest.raises(ValueError, match="a rule: classes of example 1: 3 is not from 0 to 2"):
        guess.check("a rule", OneOf(classes=3))


def test_words_said_in_silence_are_wrong():
    silence, said = np.array([TEXT.encode("", 3)]), np.array([TEXT.encode("a b", 3)])
    assert TEXT.score(silence, said) == {"wer": 2.0, "cer": 3.0, "accuracy": 0.0}
    assert TEXT.score(silence, silence) == {"wer": 0.0, "cer": 0.0, "accuracy": 1.0}


def test_word_and_letter_errors():
    jiwer = pytest.importorskip("jiwer")
    rng = np.random.default_rng(0)
    words = ["a", "ab", "ca", "bb"]
    texts, guesses = ([" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(30)],) * 2
    guesses = [" ".join(rng.choice(words, rng.integers(1, 6))) for _ in texts]
    truth, guess = (TEXT._encoded(t, t) for t in (texts, guesses))
    found = TEXT.score(truth, guess)
    assert found["wer"] == pytest.approx(jiwer.wer(texts, guesses), abs=1e-12)
    assert found["cer"] == pytest.approx(jiwer.cer(texts, guesses), abs=1e-12)


def test_edits_by_hand():
    assert edits("abc", "abc") == (0, 3) and edits("", "ab") == (2, 0) and edits("ab", "") == (2, 0)
    assert edits("kitten", "sitting") == (3, 4)
    quality = TEXT.quality(*(np.array([TEXT.encode(t, 7)]) for t in ("a b c", "a c c")), [True])
    assert quality["wer"] == pytest.approx(1 / 3)
    assert quality["precision"] == quality["recall"] == pytest.approx(2 / 3)


def test_rare_classes_count_as_much_where_f1_is_asked_for():
    truth, guess = np.array([0] * 8 + [1, 2]), np.array([0] * 9 + [2])
    plain, fair = OneOf(classes=3), OneOf(classes=3, judged="f1")
    assert plain.measure.key == "accuracy" and fair.measure.title == "macro F1 (%)"
    found = scores(fair, truth, Guess(guess, np.ones(10)))
    assert found["score"] == pytest.approx((16 / 17 + 0 + 1) / 3) and found["accuracy"] == 0.9


def test_a_measure_knows_its_direction_and_its_unit():
    up, down = Measure(key="accuracy"), Measure(key="rmse", name="RMSE", better="lower", unit="K")
    assert up.format({"mean": 0.7125, "std": 0.01}) == "71.2 ± 1.0" and down.format(2.0) == "2.0"
    assert up.format({"mean": 0.7125, "std": 0.0, "values": [0.7125]}) == "71.2"  # one seed
    assert up.title == "accuracy (%)" and down.title == "RMSE (K, lower is better)"
    assert up.gap_closed(0.8, 0.85, 0.9) == pytest.approx(0.5)
    assert down.gap_closed(4.0, 3.0, 2.0) == pytest.approx(0.5)
    assert down.gap_closed(4.0, 5.0, 2.0) == pytest.approx(-0.5)
    assert down.gap_closed(2.0, 1.0, 3.0) is None and up.gap_closed(0.9, 0.95, 0.9) is None
    assert Measure(**json.loads(json.dumps(down.to_json()))) == down
