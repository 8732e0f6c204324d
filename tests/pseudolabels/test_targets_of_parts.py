"""The engine of pseudo-labels on targets that are no classes of examples: of parts, and of several
arrays, through files and back."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssljax.data import Arrays
from ssljax.measure import Measure
from ssljax.pseudolabels.generate import Neighbors
from ssljax.pseudolabels.labels import Guess, Labels, read
from ssljax.pseudolabels.refine import Parts, Weigh
from ssljax.pseudolabels.rounds import Rounds, self_train
from ssljax.pseudolabels.select import ClassThresholds, Greedy, Threshold
from ssljax.tasks import Tags
from ssljax.tasks.target import Target

TAGS = Tags(tags=("O", "B-x", "I-x"))
POOL = Arrays({"features": np.zeros((8, 1), np.float32)})
TRUTH = np.array([[0, 1, 2], [1, 2, -100]] * 4, np.int32)


class Teacher:
    """Says what it is made with."""

    def __init__(self, guess):
        self.said = guess

    def guess(self, data, **options):
        return self.said


def run(folder, target, truth, guess, plan, index=(0, 1), **options):
    rows = np.array(index)
    given = Labels.given(rows, {k: v[rows] for k, v in truth.items()} if isinstance(truth, dict)
                         else truth[rows])  # fmt: skip
    seen = []

    def train(labels, r, place, teacher):
        seen.append(labels)
        return Teacher(guess)

    found, _ = self_train(
        folder, plan, pool=POOL, given=given, target=target, train=train,
        score=lambda teacher: {}, truth=truth, **options,
    )  # fmt: skip
    return found, seen


def sure():
    m = np.full(TRUTH.shape, 0.95, np.float32)
    m[TRUTH < 0] = 0
    m[3, 0], m[4:, 1] = 0.5, 0.7
    return m


def test_sentences_are_chosen_by_their_words_and_weighed_by_word(tmp_path):
    wrong = np.array(TRUTH)
    wrong[2, 1:] = 0
    plan = Rounds(count=1, select=Threshold(value=0.6), refine=(Parts(value=0.9), Weigh()))
    rows, seen = run(tmp_path, TAGS, TRUTH, Guess(wrong, sure()), plan)
    labels = read(tmp_path / "rounds" / "01" / "labels.parquet", examples=8, target=TAGS)
    assert labels.index.tolist() == [2, 4, 5, 6, 7]  # 3 has a word that is not sure enough
    np.testing.assert_allclose(labels.confidence, [0.95, 0.7, 0.7, 0.7, 0.7], rtol=1e-6)
    np.testing.assert_allclose(labels.weight[0], 0.95, rtol=1e-6)
    np.testing.assert_allclose(labels.weight[1], [0.95, 0, 0.95], rtol=1e-6)
    joined = seen[1]
    assert joined.weight.shape == (7, 3) and joined.weight[:2].min() == 1
    np.testing.assert_array_equal(joined.target[3:], TRUTH[4:])
    # Of six entities in the pool five are labelled, and one of those is missed.
    assert rows[1]["quality"]["precision"] == 1
    assert rows[1]["quality"]["recall"] == pytest.approx(4 / 6)
    assert rows[1]["coverage"] == pytest.approx(5 / 6)
    (mistake,) = rows[1]["mistakes"]
    assert mistake[:3] == [2, "no entity", "2:B-x 3:I-x"]
    table = pq.read_table(tmp_path / "rounds" / "01" / "labels.parquet")
    assert table["target"].to_pylist()[2] == ["B-x", "I-x", None]


@dataclass(frozen=True)
class Points(Target):
    """Places of different number, padded, and whether each is real: the form of boxes."""

    leaves = ("place", "real")
    measure = Measure(key="rmse", better="lower", unit="")
    shown = (measure,)

    def check(self, data):
        pass

    def quality(self, truth, guess, chosen):
        size = min(truth["place"].shape[1], guess["place"].shape[1])
        gap = (truth["place"][:, :size] - guess["place"][:, :size])[chosen]
        return {"coverage": float(np.mean(chosen)), "rmse": float(np.sqrt(np.mean(gap**2)))}

    def score(self, truth, guess):
        return self.quality(truth, guess, np.ones(len(truth["place"]), bool))

    def column(self, target):
        pairs = zip(target["place"], target["real"], strict=True)
        return pa.array([place[real].tolist() for place, real in pairs], pa.list_(pa.float32()))

    def from_column(self, column):
        cells = column.to_pylist()
        parts = [{"place": np.array([c], np.float32), "real": np.ones((1, len(c)), bool)}
                 for c in cells]  # fmt: skip
        return self.join(parts)

    def whole(self, confidence, target):
        return confidence.max(1)


def test_targets_of_several_arrays_go_through_files_and_are_padded(tmp_path):
    place = np.arange(24, dtype=np.float32).reshape(8, 3)
    truth = {"place": place, "real": place % 5 < 3}
    guess = {"place": place[:, :2] + 0.5, "real": np.ones((8, 2), bool)}
    m = np.linspace(0, 1, 16).reshape(8, 2)
    plan = Rounds(count=1, select=Greedy(budget=2))
    held_out = Labels.given(np.array([7]), {k: v[[7]] for k, v in truth.items()})
    rows, seen = run(tmp_path, Points(), truth, Guess(guess, m), plan, held_out=held_out)
    with np.load(tmp_path / "rounds" / "01" / "guess.npz") as stored:
        assert {"target.place", "target.real", "confidence"} == set(stored.files)
    joined = seen[1]
    assert joined.index.tolist() == [0, 1, 5, 6] and joined.target["place"].shape == (4, 3)
    assert joined.target["real"].dtype == bool and not joined.target["real"][2:, 2].any()
    np.testing.assert_array_equal(joined.target["place"][2:, :2], guess["place"][5:7])
    assert rows[1]["quality"]["rmse"] == pytest.approx(0.5)
    assert rows[1]["estimate"]["examples"] == 1 and "mistakes" not in rows[1]
    again, _ = run(tmp_path, Points(), truth, Guess(guess, m), plan, held_out=held_out)
    assert again == rows


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Rounds(count=1, generate=Neighbors()), "labelling by neighbours needs targets that are"),
        (Rounds(count=1, select=ClassThresholds(values=(0.5,))), "a threshold for each class"),
        (Rounds(count=1, select=Greedy(per_class=1)), "a number of each class needs targets"),
    ],
)
def test_what_needs_classes_says_so_in_a_sentence(tmp_path, plan, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, TAGS, TRUTH, Guess(TRUTH, sure()), plan)
