"""Given labels are on the examples that a person means: by row of the whole data and by name."""

import json
import logging
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.naive_bayes import GaussianNB

from ssljax.data import Images
from ssljax.nets import SmallConv
from ssljax.pseudolabels.labels import Guess, fingerprint, read
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Percentile
from ssljax.selftraining import plan as plans
from ssljax.selftraining.labelling import label
from ssljax.selftraining.learners import Network, Scikit
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.results import notes, scores, table, what_is_scored
from ssljax.selftraining.run import run_self_training
from ssljax.tasks import AnyOf, ImageInput, OneOf, Task, Transcript, Value
from ssljax.views import plain_only

CLASSES, COUNT = ("ant", "bee", "cow"), 20


@dataclass(frozen=True)
class Bayes:
    def __call__(self):
        return GaussianNB(var_smoothing=1e-2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 60 pictures of three colours, of which one is cut short; 12 are held out."""
    folder = tmp_path_factory.mktemp("pictures")
    for k, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for i in range(COUNT):
            pixels = np.random.default_rng(100 * k + i).integers(0, 90, (8, 8, 3)).astype(np.uint8)
            pixels[..., k] += 120
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


def names():
    return [f"{c}/{i:02d}.png" for c in CLASSES for i in range(COUNT)]


def plan(folder, **options):
    reader = Images(size=8, channels=3)
    options = {
        "learner": Scikit(estimator=Bayes(), reader=reader),
        "rounds": Rounds(count=1, select=Percentile(step=100)),
        "seeds": (0,),
        "full": False,
    } | options
    return SelfTraining(data=f"folder:{folder}", reader=reader, **options)


def write(path, rows, **columns):
    """A file of labels of these rows of the whole data, with their true classes."""
    pq.write_table(pa.table({"index": rows, "target": [i // COUNT for i in rows]} | columns), path)
    return str(path)


def test_a_file_of_labels_means_the_whole_data(pictures, tmp_path, caplog):
    """With a fifth held out, labels lie on the examples that the file means, weights with them."""
    caplog.set_level(logging.INFO, logger="ssljax")
    rows = list(range(0, 60, 2))
    weight = [0.0 if i % 20 == 4 else 0.5 for i in rows]
    wrong = [(i // COUNT + 1) % 3 if i % 20 == 4 else i // COUNT for i in rows]  # and rejected
    config = plan(pictures, labels=write(tmp_path / "l.parquet", rows, weight=weight, target=wrong))
    run_self_training(config, tmp_path / "run")
    seed = tmp_path / "run" / "seed0"
    given = pq.read_table(seed / "given.parquet").to_pydict()
    pool, test = config.load()
    held = np.isin(rows, test.origin)
    assert f"{held.sum()} of its 30 labels are of examples that were held out" in caplog.text
    assert given["index"] == [i for i in rows if i in pool.origin and i % 20 != 4]
    assert given["file"] == [names()[i] for i in given["index"]]
    assert given["class"] == [CLASSES[i // COUNT] for i in given["index"]]
    assert set(given["provenance"]) == {"given"} and set(given["weight"]) == {0.5}
    made = pq.read_table(seed / "rounds" / "01" / "labels.parquet").to_pydict()
    assert len(made["index"]) == len(pool) - len(given["index"])
    assert made["file"] == [names()[i] for i in made["index"]]
    right = [a == f.split("/")[0] for a, f in zip(made["class"], made["file"], strict=True)]
    assert np.mean(right) > 0.9
    # What labels of the run say comes back as labels of another: the same examples.
    _, found = label(tmp_path / "run", data=None, out=tmp_path / "out.parquet", file=__file__)
    assert found.is_given.sum() == len(given["index"])
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["file"].to_pylist() == [names()[i] for i in np.sort(pool.origin)]
    only_names = out.select(["file", "class"])
    pq.write_table(only_names, tmp_path / "names.parquet")
    again = run_self_training(
        replace(config, labels=str(tmp_path / "names.parquet"), rounds=Rounds(count=0)),
        tmp_path / "again",
    )
    assert again["supervised"]["mean"] == 1


def test_other_data_under_a_run_is_noticed(pictures, tmp_path, caplog):
    """Its files of labels mean rows and names: on other data they would lie on other examples."""
    data, file = shutil.copytree(pictures, tmp_path / "data"), tmp_path / "l.parquet"
    config = plan(data, labels=write(file, list(range(0, 60, 2))))
    run_self_training(config, tmp_path / "run")
    write(file, list(range(1, 60, 2)))
    run_self_training(config, tmp_path / "run")
    assert "l.parquet is not what it was when the run in" in caplog.text
    (data / "ant").rename(data / "x")
    (data / "bee").rename(data / "ant")
    (data / "x").rename(data / "bee")
    with pytest.raises(ValueError, match=r"was trained on: .*of other content"):
        run_self_training(config, tmp_path / "run")
    out = {"data": None, "file": __file__}
    with pytest.raises(ValueError, match=r"was trained on: put that back"):
        label(tmp_path / "run", out=tmp_path / "out.parquet", **out)
    assert not (tmp_path / "out.parquet").exists()
    with pytest.raises(ValueError, match=r"labels\.parquet lies in the run folder, which stays"):
        label(tmp_path / "run", out=tmp_path / "run/seed0/rounds/01/labels.parquet", **out)


def test_folders_of_older_versions_go_on(pictures, tmp_path):
    """Their files count the pool and have no names; nothing in them is read as something else."""
    config = plan(pictures, few=3)
    before = run_self_training(config, tmp_path / "run")
    seed = tmp_path / "run" / "seed0"
    pool, _ = config.load()
    place = {int(o): i for i, o in enumerate(pool.origin)}
    for path in (seed / "given.parquet", seed / "rounds" / "01" / "labels.parquet"):
        rows = pq.read_table(path)
        index = pa.array([place[i] for i in rows["index"].to_pylist()])
        rows = rows.drop_columns(["file", "class"]).set_column(0, "index", index)
        pq.write_table(rows, path)
    done = seed / "rounds" / "01" / "round.json"
    mark = fingerprint(path)
    done.write_text(json.dumps(json.loads(done.read_text()) | {"labels": mark}))
    (done.parent / "student" / "labels.sha256").write_text(mark)
    (seed / "numbering.json").unlink()
    assert (
        run_self_training(config, tmp_path / "run")["seeds"][0]["rounds"][0]
        == (before["seeds"][0]["rounds"][0])
    )
    given = read(seed / "given.parquet", examples=len(pool), target=OneOf(classes=3))
    np.testing.assert_array_equal(given.target, pool.labels()[given.index])
    # As labels of a new run such a file would mean other examples.
    with pytest.raises(ValueError, match="older version, whose index counts the examples"):
        run_self_training(replace(config, labels=str(path)), tmp_path / "new")


def network(target):
    view = plain_only(size=8, mean=(0.3,), std=(0.4,))
    task = Task(inputs=ImageInput(view=view), encoder=SmallConv(widths=(8,)), target=target)
    return Network(task=task, steps=1, batch=8)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (OneOf(classes=9), "the data has 3 classes and the target 9"),
        (OneOf(classes=2), "the data has 3 classes and the target 2"),
        (AnyOf(classes=3), "target is AnyOf: take OneOf"),
        (Value(), "target is Value: take OneOf"),
    ],
)
def test_classes_are_counted_before_anything_trains(pictures, tmp_path, target, message):
    with pytest.raises(ValueError, match=message):
        run_self_training(plan(pictures, learner=network(target)), tmp_path / "run")
    config = plan(pictures, student=network(target))
    with pytest.raises(ValueError, match=message):
        run_self_training(config, tmp_path / "student")
    assert not list(tmp_path.glob("*/seed0"))


def test_labels_known_in_part(tmp_path):
    """-1 is no label: not drawn, not learnt, not measured; tests without any give no score."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = (np.eye(3)[y] * 150 + rng.integers(0, 90, (90, 3))).astype(np.uint8)
    x = np.broadcast_to(x[:, None, None, :], (90, 8, 8, 3))
    train = {"x_train": x[:60], "y_train": np.where(np.arange(60) < 45, y[:60], -1)}
    few = np.where(np.arange(30) < 10, y[60:], -1)
    for name, tested in (("part", few), ("none", np.full(30, -1))):
        np.savez(tmp_path / f"{name}.npz", x_test=x[60:], y_test=tested, **train)
        config = replace(plan(tmp_path, few=2, full=True), data=f"npz:{tmp_path}/{name}.npz")
        found = run_self_training(config, tmp_path / name)
        row = found["seeds"][0]["rounds"][1]
        assert sum(row["quality"]["prior"]) == 45 - 6 and sum(row["selected"]) == 54
        assert found["test"]["examples"] == (10 if name == "part" else 0)
        if name == "part":
            assert found["full"]["mean"] == found["self_trained"]["mean"] == 1
            assert "scores are of 10 test examples; to say" in table(found)
        else:
            assert "supervised" not in found
            assert "the test data has no labels, so there are no scores" in table(found)


def test_classes_come_from_the_file_where_the_data_has_none(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 90, (30, 8, 8, 3)).astype(np.uint8)
    x[::2, ..., 0] += 150
    np.savez(tmp_path / "u.npz", image=x)
    (tmp_path / "few.csv").write_text("index,class\n0,red\n1,dark\n2,red\n3,dark\n4,red\n29,dark\n")
    config = replace(plan(tmp_path), data=f"npz:{tmp_path}/u.npz", labels=f"{tmp_path}/few.csv")
    run_self_training(config, tmp_path / "run")
    label(tmp_path / "run", data=None, out=tmp_path / "out.parquet", file=__file__)
    out = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert out["class"] == ["red" if i % 2 == 0 else "dark" for i in out["index"]]


def test_data_that_streams_is_refused(pictures, monkeypatch):
    monkeypatch.setattr(plans, "_MEMORY", 1 << 10)
    with pytest.raises(ValueError, match=r"60 examples take more .* needs them in memory"):
        plan(pictures).load()


def test_scores_are_of_what_is_known():
    def guess(target):
        return Guess(np.asarray(target), np.ones(len(target)))

    two, truth = OneOf(classes=2), np.array([0, -1, 1, 1])
    assert scores(two, truth, guess([0, 1, 1, 0]))["score"] == pytest.approx(2 / 3)
    assert scores(Value(), np.array([1.0, np.nan, 3]), guess([1.0, 9, 3]))["score"] == 1
    assert scores(two, np.array([-1, -1]), guess([0, 1])) == {}
    text = np.array([[3, 1, 20, 0], [1, 14, 20, 0]])
    assert scores(Transcript(), text, guess(text[::-1]))["score"] > 0.5  # errors of letters


def test_scores_say_what_they_are_of():
    facts = what_is_scored(OneOf(classes=2), np.array([0, 1, 1, 1, -1]), ("a", "b"))
    assert facts == {"examples": 4, "classes": 2, "largest": "b", "majority": 0.75}
    # By the number of the task: F1 of a is 0, of b 2 * .75 / 1.75.
    by_f1 = what_is_scored(OneOf(classes=2, judged="f1"), np.array([0, 1, 1, 1]), ("a", "b"))
    assert by_f1["majority"] == pytest.approx(3 / 7)
    said = notes({"test": facts, "self_trained": {"mean": 0.75}, "full": {"mean": 0.8}})
    assert said == [
        "scores are of 4 test examples; to say b always would score 75.0%",
        "self-trained is no better than that",
    ]
    (said,) = notes({"test": what_is_scored(OneOf(classes=2), np.array([1, 1]), ("a", "b"))})
    assert said == "scores are of 2 test examples, all of the class b: such scores tell nothing"
    assert notes({"test": what_is_scored(Value(), np.array([0.5, 2]), None)}) == [
        "scores are of 2 test examples"
    ]
