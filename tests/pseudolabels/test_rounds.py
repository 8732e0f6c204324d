"""Rounds on disk: as scikit-learn's self-training, killed and resumed, edited, never peeking."""

import dataclasses
import json
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_fscore_support
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from ssljax.data import Arrays
from ssljax.pseudolabels.generate import Clusters, Model, Neighbors, Rules
from ssljax.pseudolabels.labels import Guess, Labels, read
from ssljax.pseudolabels.refine import Agree, Confident, OverGraph, Soft, Temporal, Weigh
from ssljax.pseudolabels.rounds import Rounds, self_train, transduction
from ssljax.pseudolabels.select import Adaptive, Greedy, Percentile, Threshold
from ssljax.selftraining.learners import Scikit
from ssljax.selftraining.pool import without_labels
from ssljax.tasks import OneOf


@dataclass(frozen=True)
class Bayes:
    def __call__(self):
        return GaussianNB()


@dataclass(frozen=True)
class Logistic:
    def __call__(self):
        return LogisticRegression(max_iter=1000)


@dataclass(frozen=True)
class High:
    """A labelling function: class 0 where a feature is high, class 1 where it is low."""

    column: int

    def __call__(self, rows):
        x = rows["features"][:, self.column]
        return np.where(x > 1, 0, np.where(x < -0.5, 1, -1))


@pytest.fixture(scope="module")
def cancer():
    found = load_breast_cancer()
    x = StandardScaler().fit_transform(found.data).astype(np.float32)
    return Arrays({"features": x, "label": found.target})


def given(data, count=25, seed=0):
    rng, y = np.random.default_rng(seed), data.labels()
    index = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:count] for c in range(2)])
    return Labels.given(np.sort(index), y[np.sort(index)])


def run(folder, data, plan, *, estimator=Bayes(), truth=None, labels=None, spy=None, **options):
    pool, learner = without_labels(data), Scikit(estimator=estimator)

    def train(labels, r, place, teacher):
        if spy is not None:
            spy(r, labels)
        return learner.train(pool, labels, place, seed=0)

    def score(teacher):
        return {"score": float((teacher.guess(pool).target == data.labels()).mean())}

    return self_train(
        folder,
        plan,
        pool=pool,
        given=labels or given(data),
        target=OneOf(classes=2),
        train=train,
        score=score,
        truth=truth,
        **options,
    )


@pytest.mark.parametrize(
    ("select", "peer", "estimator"),
    [
        (Threshold(value=0.95, strict=True), {"threshold": 0.95}, Logistic()),
        (Threshold(value=0.999, strict=True), {"threshold": 0.999}, Logistic()),
        # 20 would cut between two that are equally sure, which scikit-learn orders by chance.
        (Greedy(budget=25), {"criterion": "k_best", "k_best": 25}, Logistic()),
        (Threshold(value=0.75, strict=True), {"threshold": 0.75}, Bayes()),
    ],
)
def test_selections_are_those_of_sklearn(tmp_path, cancer, select, peer, estimator):
    labels = given(cancer)
    y = np.full(len(cancer), -1)
    y[labels.index] = labels.target
    x = cancer.take(np.arange(len(cancer)))["features"]
    other = SelfTrainingClassifier(estimator(), max_iter=10, **peer).fit(x, y)
    rows, ended = run(
        tmp_path, cancer, Rounds(count=10, select=select, keep=True), estimator=estimator
    )
    target, at = transduction(tmp_path, labels, target=OneOf(classes=2), size=len(cancer))
    np.testing.assert_array_equal(target, other.transduction_)
    np.testing.assert_array_equal(at, other.labeled_iter_)
    assert ended == other.termination_condition_
    assert rows[-1]["test"]["score"] == (other.predict(x) == cancer.labels()).mean()


def tables(folder):
    return {p.parent.name: p.read_bytes() for p in sorted(folder.glob("rounds/*/labels.parquet"))}


def test_killed_anywhere_it_goes_on_alike(tmp_path, cancer):
    plan = Rounds(count=3, select=Percentile(step=30), refine=(Temporal(),))
    straight, _ = run(tmp_path / "a", cancer, plan)

    class Killed(Exception):
        pass

    for at in range(4):
        for inside in ("train", "score"):
            folder = tmp_path / f"{at}{inside}"

            def stop(r, labels, at=at):
                if r == at:
                    raise Killed

            if inside == "train":
                with pytest.raises(Killed):
                    run(folder, cancer, plan, spy=stop)
            else:  # after the student was trained and before its numbers were written
                run(folder, cancer, dataclasses.replace(plan, count=at))
                (folder / "rounds" / f"{at:02d}" / "round.json").unlink()
            resumed, _ = run(folder, cancer, plan)
            assert resumed == straight
            assert tables(folder) == tables(tmp_path / "a")


def test_a_round_can_be_repeated_from_disk(tmp_path, cancer):
    plan = Rounds(count=3, select=Percentile(step=30))
    straight, _ = run(tmp_path, cancer, plan)
    before = tables(tmp_path)
    shutil.rmtree(tmp_path / "rounds" / "03")
    again, _ = run(tmp_path, cancer, plan)
    assert again == straight and tables(tmp_path) == before


def test_labels_never_see_the_truth(tmp_path, cancer):
    """Lies about the pool change what is measured, and no label, no student and no score."""
    truth = cancer.labels()
    plan = Rounds(count=2, select=Percentile(step=40), refine=(Confident(), Weigh()))
    honest, _ = run(tmp_path / "a", cancer, plan, truth=truth)
    lied, _ = run(tmp_path / "b", cancer, plan, truth=1 - truth)
    unknown, _ = run(tmp_path / "c", cancer, plan)
    assert tables(tmp_path / "a") == tables(tmp_path / "b") == tables(tmp_path / "c")
    assert [r["test"] for r in honest] == [r["test"] for r in lied] == [r["test"] for r in unknown]
    assert honest[1]["quality"]["accuracy"] > 0.8
    assert honest[1]["quality"]["accuracy"] == pytest.approx(1 - lied[1]["quality"]["accuracy"])
    assert "quality" not in unknown[1] and unknown[1]["coverage"] == honest[1]["coverage"]


def test_an_edited_file_is_fed_back(tmp_path, cancer):
    plan = Rounds(count=2, select=Percentile(step=40))
    run(tmp_path, cancer, plan)
    path = tmp_path / "rounds" / "01" / "labels.parquet"
    labels = read(path, examples=len(cancer), target=OneOf(classes=2))
    edited = labels.take(np.arange(len(labels)) >= 5)
    edited.target[:3] = 1 - edited.target[:3]
    edited.write(path, OneOf(classes=2))
    second, seen = tables(tmp_path)["02"], {}
    run(tmp_path, cancer, plan, spy=lambda r, found: seen.setdefault(r, found))
    here = seen[1].take(~seen[1].is_given)
    np.testing.assert_array_equal(here.index, edited.index)
    np.testing.assert_array_equal(here.target, edited.target)
    assert tables(tmp_path)["02"] != second  # what follows from it was made anew


def test_keep_never_relabels_and_rounds_otherwise_do(tmp_path, cancer):
    rounds = {}
    for keep in (True, False):
        folder = tmp_path / str(keep)
        select = Greedy(budget=60, growing=not keep)
        run(folder, cancer, Rounds(count=3, select=select, keep=keep))
        files = sorted(folder.glob("rounds/*/labels.parquet"))
        rounds[keep] = [read(p, examples=len(cancer), target=OneOf(classes=2)) for p in files]
        assert [len(x) for x in rounds[keep]] == [60, 120, 180]
    kept = rounds[True][2].take(np.isin(rounds[True][2].index, rounds[True][0].index))
    np.testing.assert_array_equal(kept.target, rounds[True][0].target)
    assert set(rounds[True][2].round) == {1, 2, 3} and set(rounds[False][2].round) == {3}


def test_quality_from_a_hold_out(tmp_path, cancer):
    labels = given(cancer)
    held_out = labels.take(np.arange(len(labels)) % 5 == 0)
    rest = labels.take(np.arange(len(labels)) % 5 != 0)
    seen = []
    rows, _ = run(
        tmp_path,
        cancer,
        Rounds(count=1, select=Percentile(step=50)),
        labels=rest,
        held_out=held_out,
        spy=lambda r, found: seen.append(found.index),
    )
    assert rows[1]["estimate"]["examples"] == len(held_out)
    estimate = rows[1]["estimate"]
    # As scikit-learn says it of the held-out examples, those that are not sure enough left out.
    here = tmp_path / "rounds" / "01"
    used = read(here / "labels.parquet", examples=len(cancer), target=OneOf(classes=2))
    with np.load(here / "guess.npz") as guess:
        said, m = guess["target"][held_out.index], guess["confidence"][held_out.index]
    sure, truth = m >= used.confidence.min(), held_out.target
    options = {"labels": [0, 1], "average": "macro", "zero_division": 0}
    precision, *_ = precision_recall_fscore_support(truth[sure], said[sure], **options)
    left = np.where(sure, said, -1)
    _, recall, f1, _ = precision_recall_fscore_support(truth, left, **options)
    want = {"accuracy": (said == truth)[sure].mean(), "coverage": sure.mean()}
    want |= {"precision": precision, "recall": recall, "f1": f1}
    assert {k: estimate[k] for k in want} == pytest.approx(want, abs=1e-12)
    assert not np.isin(held_out.index, np.concatenate(seen)).any()


@pytest.mark.parametrize(
    "source",
    [
        Clusters(clusters=10),
        Clusters(kind="mixture", clusters=6),
        Clusters(kind="agglomerative", clusters=10),
        Neighbors(rule="vote", k=3),
        Neighbors(rule="propagation", k=8),
        Neighbors(rule="spreading", k=8),
        Rules(functions=(High(0),), combine="majority"),
        Rules(functions=(High(0), High(6), High(7)), combine="model"),
    ],
    ids=lambda s: f"{type(s).__name__}-{getattr(s, 'rule', getattr(s, 'kind', ''))}",
)
def test_every_source_labels_well(tmp_path, cancer, source):
    rows, _ = run(
        tmp_path,
        cancer,
        Rounds(count=1, generate=source, select=Threshold(value=0.7)),
        truth=cancer.labels(),
    )
    assert rows[1]["coverage"] > 0.25
    assert rows[1]["quality"]["accuracy"] > 0.85


def test_known_limits_are_said():
    even, skewed = np.array([100, 90, 110]), np.array([900, 100, 20])
    plain = Rounds(select=Threshold())
    assert plain.limits(even, 10) == plain.limits(skewed, 10) == []
    (said,) = Rounds(select=Adaptive()).limits(skewed, 10)
    assert "from 20 to 900" in said and "differ by class" in said
    assert Rounds(select=Adaptive()).limits(even, 10) == []
    (said,) = Rounds(select=Greedy(per_class=5)).limits(skewed, 10)
    assert "rare classes" in said
    assert Rounds(select=Greedy(budget=5)).limits(skewed, 10) == []
    (said,) = plain.limits(even, 4)
    assert "4 labels of a class" in said
    assert Rounds(generate=Neighbors(), select=Threshold()).limits(even, 4) == []


def test_sources_by_round(tmp_path, cancer):
    """Rules first, then what was trained on their labels."""
    first = Rules(functions=(High(0),), combine="majority")
    plan = Rounds(count=3, generate=(first, Model()), select=Percentile(step=100))
    run(tmp_path, cancer, plan)
    files = sorted(tmp_path.glob("rounds/*/labels.parquet"))
    said = [set(read(p, examples=len(cancer), target=OneOf(classes=2)).provenance) for p in files]
    assert said == [{"Rules"}, {"Model"}, {"Model"}]
    with pytest.raises(ValueError, match="no source"):
        Rounds(generate=())


def test_neighbours_in_features_that_no_label_has_moved(tmp_path, cancer):
    """The source and the refinements ask what was pretrained, and not the teacher."""

    class Pretrained:
        def features(self, data):
            return np.eye(2)[cancer.labels()]  # tells the classes apart by itself

    plan = Rounds(
        count=1,
        generate=Neighbors(rule="vote", k=3, features="pretrained"),
        refine=(
            Agree(k=3, features="pretrained"),
            OverGraph(features="pretrained"),
            Confident(k=3, features="pretrained"),
        ),
        select=Percentile(step=100),
    )
    rows, _ = run(tmp_path, cancer, plan, truth=cancer.labels(), pretrained=Pretrained())
    assert rows[1]["quality"]["accuracy"] == 1 and rows[1]["coverage"] == 1
    with pytest.raises(ValueError, match="no pretrained features"):
        run(tmp_path / "none", cancer, plan)


def test_refinement_reaches_the_file(tmp_path, cancer):
    plan = Rounds(count=1, select=Percentile(step=50), refine=(OverGraph(), Soft(), Weigh()))
    pool = without_labels(cancer)

    class Stub:
        def guess(self, data, **options):
            return Guess.of(np.random.default_rng(0).dirichlet([1, 1], len(data)))

        def features(self, data):
            return data.take(np.arange(len(data)))["features"]

    def train(labels, r, place, teacher):
        return Stub()

    options = {"target": OneOf(classes=2), "train": train, "score": lambda t: {}}
    self_train(tmp_path, plan, pool=pool, given=given(cancer), **options)
    labels = read(
        tmp_path / "rounds" / "01" / "labels.parquet", examples=len(cancer), target=OneOf(classes=2)
    )
    assert labels.target.shape[1:] == (2,) and labels.weight.max() < 1
    np.testing.assert_allclose(labels.target.sum(1), 1, rtol=1e-5)


def test_an_empty_round_ends_with_a_word(tmp_path, cancer, caplog):
    rows, ended = run(
        tmp_path,
        cancer,
        Rounds(count=2, select=Threshold(value=1.0, strict=True)),
        estimator=Logistic(),
    )
    assert len(rows) == 1 and ended == "nothing_selected"
    assert "the largest confidence is" in caplog.text


@dataclass(frozen=True)
class Silent:
    def __call__(self, rows):
        return np.full(len(rows["index"]), -1)


def test_bad_input(tmp_path, cancer):
    silent = Rules(functions=(Silent(),) * 3)
    with pytest.raises(ValueError, match="round 1, Rules abstains on all"):
        run(tmp_path / "a", cancer, Rounds(generate=silent))
    one = given(cancer)
    with pytest.raises(ValueError, match="no labelled example of 1 of 2 classes"):
        run(tmp_path / "b", cancer, Rounds(), labels=one.take(one.target == 0))
    with pytest.raises(ValueError, match="random views are of networks"):
        run(tmp_path / "c", cancer, Rounds(generate=Model(views=2)))
    with pytest.raises(ValueError, match="fresh or warm"):
        Rounds(restart="cold")


def test_a_class_that_dies_out_is_named(tmp_path, cancer):
    plan = Rounds(count=1, select=Greedy(budget=20))
    pool = without_labels(cancer)

    class OneClass:
        def guess(self, data, **options):
            return Guess.of(np.tile([0.9, 0.1], (len(data), 1)))

    rows, _ = self_train(
        tmp_path, plan, pool=pool, given=given(cancer), target=OneOf(classes=2), score=lambda t: {},
        train=lambda *_: OneClass(), names=("bad", "good"),
    )  # fmt: skip
    assert rows[1]["warnings"] == [
        "1 of 2 classes got no label: good. Choose by class (a number for each) or lower the "
        "threshold"
    ]
    assert json.loads((tmp_path / "rounds" / "01" / "round.json").read_text()) == rows[1]
