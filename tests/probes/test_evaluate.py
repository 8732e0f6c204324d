"""The evaluation as a whole: with a test split, without one, and without labels."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from ssljax.data import Arrays
from ssljax.probes import (
    KNN,
    Encoder,
    Evaluation,
    Evaluator,
    FewShot,
    Lidar,
    clustering,
    features,
    knn,
    least_squares,
    lidar,
    linear,
    retrieval,
    same_classes,
    table,
)
from ssljax.probes import evaluate as evaluate_all
from ssljax.probes import quick as quick_of
from ssljax.probes.splits import stratified

SMALL = Evaluation(few_shot=FewShot(shots=(1, 5), draws=2), split_seeds=2, lidar=Lidar(views=3))


def pixels(rows):
    return rows["image"].reshape(len(rows["image"]), -1) / 255.0


def constant(rows):
    return np.ones((len(rows["image"]), 3))


def digits(first=0, last=500, labelled=True, **options):
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = {"image": (data.images[first:last, :, :, None] * 15).astype(np.uint8)}
    if labelled:
        rows["label"] = data.target[first:last]
    return Arrays(rows, **options)


def evaluate(*, encoders, train, test, protocol, batch, views=None):
    views = views or {}
    encoders = {name: Encoder(embed, views.get(name)) for name, embed in encoders.items()}
    return evaluate_all(protocol, encoders, protocol.material(train, test, batch=batch))


def quick(embed, train, test, *, batch):
    return quick_of(SMALL, Encoder(embed), SMALL.material(train, test, batch=batch))


def describe(results):
    return results["notes"]


@pytest.fixture(scope="module")
def results():
    return evaluate(
        encoders={"pixels": pixels, "constant": constant},
        train=digits(0, 400),
        test=digits(400, 550),
        protocol=SMALL,
        batch=64,
    )


def test_features_drop_the_padding():
    x, y = features(pixels, digits(0, 70), batch=32)
    assert x.shape == (70, 64) and x.dtype == np.float32
    assert y.shape == (70,)
    assert features(pixels, digits(0, 70), batch=32, limit=40)[0].shape == (40, 64)
    assert features(pixels, digits(0, 70, labelled=False), batch=32)[1] is None
    x2, _ = features(pixels, digits(0, 70), batch=70)
    np.testing.assert_array_equal(x, x2)


def test_with_a_test_split(results):
    json.dumps(results)
    row = results["encoders"]["pixels"]
    train, test = (features(pixels, d, batch=64) for d in (digits(0, 400), digits(400, 550)))
    assert row["knn20_t0.07"] == knn(*train, *test, k=20, temperature=0.07, classes=10)
    assert row["linear_offline"] == linear(*train, *test, classes=10)["accuracy"]
    assert "linear_offline_std" not in row  # one split: nothing to take it over
    assert row["linear_5shot_std"] > 0
    assert row["linear_5shot"] > row["linear_1shot"]
    few = least_squares(*train, *test, classes=10, shots=(1, 5), draws=2)
    assert row["lsq_5shot"] == pytest.approx(few[5].mean())
    for name, value in clustering(*test, classes=10).items():
        assert row[f"kmeans_{name}"] == value
    for name, value in retrieval(*test, classes=10).items():
        assert row[f"retrieval_{name}"] == value
    assert row["kmeans_accuracy"] > 0.5
    assert "lidar" not in row  # nothing was said about random views
    flat = results["encoders"]["constant"]
    assert flat["linear_offline"] < 0.2
    assert flat["feature_std"] < 1e-6
    assert flat["rankme"] == pytest.approx(1, abs=1e-3)


def test_without_a_test_split_encoders_do_not_influence_each_other(results):
    options = {"train": digits(), "test": None, "protocol": SMALL, "batch": 64}
    both = evaluate(encoders={"a": constant, "b": pixels}, **options)
    alone = evaluate(encoders={"b": pixels}, **options)
    assert both["encoders"]["b"] == alone["encoders"]["b"]
    row = alone["encoders"]["b"]
    x, y = features(pixels, digits(), batch=64)
    scores = []
    for seed in range(SMALL.split_seeds):
        kept, held_out = stratified(y, fraction=SMALL.test_fraction, seed=seed)
        fitted = linear(x[kept], y[kept], x[held_out], y[held_out], classes=10, seed=seed)
        scores.append((fitted["accuracy"], fitted["train_accuracy"]))
    # Both splits happen to give the same accuracy: 95 of 100, so only the other one spreads.
    means, spreads = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1)
    assert (row["linear_offline"], row["linear_offline_train"]) == pytest.approx(means)
    assert (row["linear_offline_std"], row["linear_offline_train_std"]) == pytest.approx(spreads)
    assert row["linear_offline_train_std"] > 0
    assert row["knn20_t0.07"] > 0.8
    assert "2 stratified random splits, 20% held out" in " ".join(describe(alone))


def part_of(data, hidden):
    """The same, with labels that nobody knows at `hidden`."""
    rows = data.take(np.arange(len(data)))
    return Arrays({"image": rows["image"], "label": np.where(hidden, -1, rows["label"])})


def test_labels_in_part(caplog):
    """The part that has labels is used, and it is said how large it is; ranks are of all."""
    caplog.set_level("INFO", logger="ssljax")
    train, test = digits(0, 200), digits(200, 300)
    a, b = np.arange(200) % 2 == 0, np.arange(100) % 4 == 0
    options = {"protocol": replace(SMALL, few_shot=None), "batch": 64}
    found = evaluate(
        encoders={"a": pixels}, train=part_of(train, a), test=part_of(test, b), **options
    )
    kept, scored = (d.part(np.flatnonzero(~m)) for d, m in ((train, a), (test, b)))
    want = evaluate(encoders={"a": pixels}, train=kept, test=scored, **options)
    mine, same = found["encoders"]["a"], want["encoders"]["a"]
    free = ("rankme", "feature_std")
    assert {k: v for k, v in mine.items() if k not in free} == {
        k: v for k, v in same.items() if k not in free
    }
    assert (
        mine["rankme"]
        == evaluate(
            encoders={"a": pixels}, train=digits(0, 200, labelled=False), test=None, **options
        )["encoders"]["a"]["rankme"]
    )
    said = " ".join(describe(found))
    assert "200 training examples, the 100 of them that have a label, scored on the 75 of" in said
    assert "100 of 200 examples have no label" in caplog.text
    halves = quick(pixels, part_of(train, a), part_of(test, b), batch=64)
    whole = quick(pixels, kept, scored, batch=64)
    assert {k: v for k, v in halves.items() if k not in free} == {
        k: v for k, v in whole.items() if k not in free
    }
    alone = evaluate(encoders={"a": pixels}, train=part_of(train, a), test=None, **options)
    assert alone["encoders"]["a"]["knn20_t0.07"] > 0.5


def test_hidden_test_labels_are_none():
    hidden = part_of(digits(400, 450), np.ones(50, bool))
    found = evaluate(
        encoders={"a": pixels}, train=digits(0, 100), test=hidden, protocol=SMALL, batch=50
    )
    assert found["encoders"]["a"].keys() == {"rankme", "feature_std", "dimensions"}
    assert quick(pixels, digits(0, 100), hidden, batch=50).keys() == {"rankme", "feature_std"}


def test_classes_are_compared_by_name():
    for train, test in (
        (("a", "b"), ("a",)),
        (("a", "b"), ("0", "1")),
        (("0", "1"), ("a", "b")),
        (("1", "2", "3"), ("1", "2")),
    ):
        same_classes(train, test)
    for train, test in (
        (("a", "b"), ("b", "a")),
        (("1", "2", "3"), ("0", "1", "2")),  # the same numbers for other classes
        (("a", "b"), ("1", "2")),
        (("0", "1"), ("0", "1", "2")),
    ):
        with pytest.raises(ValueError, match="both must number them alike"):
            same_classes(train, test)


def test_it_is_said_how_far_chance_gets(results):
    assert "chance: 1" in " ".join(describe(results))
    assert "constant is no better than chance" in describe(results)
    assert "pixels is no better than chance" not in describe(results)
    one = digits(0, 100)
    one = one.part(np.flatnonzero(one.labels() == 3))
    options = {"protocol": replace(SMALL, few_shot=None), "batch": 5}
    found = evaluate(encoders={"a": pixels}, train=digits(0, 100), test=one, **options)
    assert "all scored examples are of one class, 3: accuracies tell nothing" in describe(found)


def test_without_labels():
    train = digits(labelled=False)
    found = evaluate(encoders={"a": pixels}, train=train, test=None, protocol=SMALL, batch=64)
    assert found["encoders"]["a"].keys() == {"rankme", "feature_std", "dimensions"}
    assert "not labelled" in " ".join(describe(found))
    assert "rankme" in table(found)
    assert quick(pixels, train, None, batch=64).keys() == {"rankme", "feature_std"}


def shifted(rows, count):
    """Each image, and the image moved by one pixel and more."""
    flat = [np.roll(rows["image"], i, axis=2).reshape(len(rows["image"]), -1) for i in range(count)]
    return np.stack(flat, axis=1) / 255.0


def test_lidar_of_random_views():
    options = {"train": digits(0, 70, labelled=False), "test": None, "protocol": SMALL, "batch": 32}
    encoders = {"a": pixels, "b": pixels, "c": pixels}
    still = lambda rows, count: np.repeat(pixels(rows)[:, None], count, axis=1)  # noqa: E731
    found = evaluate(encoders=encoders, views={"a": shifted, "b": still}, **options)["encoders"]
    x = shifted({"image": digits(0, 70)._rows["image"]}, 3)
    assert found["a"]["lidar"] == pytest.approx(lidar(x), rel=1e-5)
    assert "lidar" not in found["b"]  # views that do not differ say nothing
    assert "lidar" not in found["c"]


def test_only_a_part_is_compared():
    part = replace(SMALL, compared=60, linear=None, few_shot=None, knn=None, clustering=None)
    options = {"train": digits(0, 200), "test": digits(200, 500), "batch": 64}
    found = evaluate(encoders={"a": pixels}, protocol=part, **options)["encoders"]["a"]
    x, y = features(pixels, digits(200, 500), batch=64)
    rows = np.random.default_rng(0).permutation(300)[:60]
    assert found["retrieval_map"] == retrieval(x[rows], y[rows], classes=10)["map"]


def test_what_is_switched_off_is_not_there():
    none = Evaluation(
        knn=None, linear=None, few_shot=None, clustering=None, retrieval=None, lidar=None
    )
    found = evaluate(
        encoders={"a": pixels},
        train=digits(0, 100),
        test=digits(100, 150),
        protocol=none,
        batch=50,
        views={"a": shifted},
    )
    assert found["encoders"]["a"].keys() == {"rankme", "feature_std", "dimensions"}
    about = [note.split(":")[0] for note in found["notes"]]
    assert about == ["data", "chance", "rankme, feature_std"]


def test_large_data_is_sampled_at_random():
    """Sorted data would otherwise give one class only."""
    data = digits()
    order = np.argsort(data.labels(), kind="stable")
    rows = {"image": (digits()._rows["image"])[order], "label": data.labels()[order]}
    small = Evaluation(
        few_shot=None,
        knn=KNN(protocols=("knn20_t0.07",)),
        split_seeds=1,
        max_examples=250,
        clustering=None,
    )
    found = evaluate(
        encoders={"a": pixels}, train=Arrays(rows), test=None, protocol=small, batch=64
    )
    assert found["protocol"]["train_examples"] == 250
    assert found["encoders"]["a"]["linear_offline"] < 1
    assert found["encoders"]["a"]["linear_offline"] > 0.7


def test_quick():
    found = quick(pixels, digits(0, 400), digits(400, 550), batch=64)
    assert found.keys() >= {"knn20_t0.07", "knn200_t0.1"}
    assert quick(pixels, digits(), None, batch=64)["knn20_t0.07"] > 0.8
    assert found.keys() >= {"rankme", "feature_std"} and "linear_offline" not in found


def test_small_data_reports_the_k_it_used():
    small = Evaluation(few_shot=None, linear=None, clustering=None, retrieval=None)
    found = evaluate(
        encoders={"a": pixels},
        train=digits(0, 100),
        test=digits(400, 450),
        protocol=small,
        batch=50,
    )
    assert found["encoders"]["a"]["knn200_t0.1_used_k"] == 100
    assert "only 100 here" in " ".join(describe(found))


def test_table(results):
    lines = table(results).splitlines()
    row = results["encoders"]["pixels"]
    assert lines[0].split() == ["pixels", "constant"]
    assert len({len(line) for line in lines}) == 1
    names = [line.split()[0] for line in lines[1:]]
    assert {"linear_offline", "lsq_5shot", "kmeans_nmi", "retrieval_map", "rankme"} <= set(names)
    assert "feature_std" in names
    assert not any(name.endswith(("shot_std", "_l2", "_train", "_used_k")) for name in names)
    assert f"{100 * row['linear_offline']:.1f}" in lines[1 + names.index("linear_offline")]
    mixed = {"encoders": {"x": row, "y": {"rankme": 2.0}}}
    assert table(mixed).splitlines()[1 + names.index("linear_offline")].split()[-1] == "-"


def test_bad_input():
    options = {"encoders": {"a": pixels}, "protocol": SMALL, "batch": 64}
    names = {"classes": tuple("abcdefghij")}
    other = {"classes": tuple("abcdefghik")}
    with pytest.raises(ValueError, match="j / k"):
        evaluate(train=digits(**names), test=digits(**other), **options)
    with pytest.raises(ValueError, match="NaN or infinite features for 1 of 64 examples"):
        features(lambda r: np.where(r["index"] == 3, np.nan, 1.0)[:, None], digits(), batch=64)
    with pytest.raises(ValueError, match=r"features must be \[B, D\]"):
        features(lambda r: np.ones(64), digits(), batch=64)
    with pytest.raises(ValueError, match="choose from knn20"):
        Evaluation(knn=KNN(protocols=("knn5",)))
    with pytest.raises(ValueError, match="draws"):
        Evaluation(few_shot=FewShot(draws=0))
    with pytest.raises(ValueError, match=r"lidar\.views"):
        Evaluation(lidar=Lidar(views=1))


def test_names_of_before_are_refused_with_those_of_now():
    with pytest.raises(ValueError, match=r"shots=...\) is Evaluation\(few_shot=FewShot\(shots="):
        Evaluation(shots=(1,))
    with pytest.raises(ValueError, match=r"is Evaluation\(lidar=Lidar\(views="):
        Evaluation(lidar_views=0)
    for old in ({"knn": ("knn20_t0.07",)}, {"linear": True}, {"retrieval": False}):
        with pytest.raises(ValueError, match=rf"evaluation\.{next(iter(old))} is .* None to leave"):
            Evaluation(**old)
    with pytest.raises(TypeError, match="unexpected keyword argument 'shot'"):
        Evaluation(shot=1)


@dataclass(frozen=True)
class Norms(Evaluator):
    """How long features are."""

    decimals: ClassVar = {"norm": 2}
    name: str = "norm"

    def run(self, subject):
        return {self.name: np.linalg.norm(subject.features, axis=1).mean()}

    def describe(self, results):
        return [f"{self.name}: of {results['protocol']['train_examples']} features"]


def test_an_evaluator_of_ones_own():
    few = replace(SMALL, linear=None, few_shot=None, clustering=None, retrieval=None)
    options = {"encoders": {"a": pixels}, "train": digits(0, 70), "test": None, "batch": 64}
    found = evaluate(protocol=replace(few, more=(Norms(),)), **options)
    norm = np.linalg.norm(pixels(digits(0, 70)._rows), axis=1).mean()
    assert found["encoders"]["a"]["norm"] == pytest.approx(norm, rel=1e-6)
    json.dumps(found)
    assert found["notes"][-1] == "norm: of 70 features"
    (line,) = (text for text in table(found).splitlines() if text.startswith("norm"))
    assert line.split()[-1] == f"{norm:.2f}"  # and not in percent
    with pytest.raises(ValueError, match="Norms measures rankme, and another evaluator"):
        evaluate(protocol=replace(few, more=(Norms("rankme"),)), **options)
    with pytest.raises(ValueError, match="no evaluator"):
        Evaluation(more=(Norms,))


def test_what_a_method_says_of_its_own_task_is_of_its_own_data():
    """Probes read other data; held-out numbers are those of the run."""

    def score(rows):
        return {"loss": (rows["image"][:, 0, 2, 0].astype(float), np.ones(len(rows["image"])))}

    probed, own = (digits(0, 100), digits(100, 150)), (digits(150, 300), digits(300, 400))
    few = replace(SMALL, few_shot=None, clustering=None, retrieval=None, lidar=None)
    encoders = {"a": Encoder(pixels, score=score)}
    found = evaluate_all(few, encoders, few.material(*probed, batch=50, own=own))
    row = found["encoders"]["a"]
    assert row["heldout_loss"] == pytest.approx(own[1]._rows["image"][:, 0, 2, 0].mean())
    assert found["protocol"]["train_examples"] == 100
    same = evaluate(encoders={"a": pixels}, train=probed[0], test=probed[1], protocol=few, batch=50)
    assert row["linear_offline"] == same["encoders"]["a"]["linear_offline"]
