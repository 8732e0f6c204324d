"""Ratings as targets of self-training: what is given of each user, hidden and measured."""

import numpy as np
import pytest

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Interactions
from ssljax.nets import MLP, DeepFields, FieldVectors
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.selftraining.pool import without_labels
from ssljax.selftraining.run import run_self_training
from ssljax.tasks import FieldInput, Task, Value

RATING = Value(leaves=("rating",), mean=3.0, std=1.5, by="rmse", scale=(1.0, 5.0), at_least=4.0)


def plan(folder, **fields):
    """8 users of 12 films; each has rated ten, the first only four, by which kind they are."""
    rng, rows = np.random.default_rng(0), ["user,item,rating"]
    for user in range(8):
        for item in rng.permutation(12)[: 4 if user == 0 else 10]:
            rows.append(f"{user},{item},{5 if item % 2 == user % 2 else 1}")
    (folder / "interactions.csv").write_text("\n".join(rows))
    table = FieldVectors(count=20, width=3, sizes=(1, 1))
    task = Task(
        inputs=FieldInput(drop=0.1),
        encoder=DeepFields(table=table, deep=MLP(widths=(4,), norm=False)),
        target=RATING,
    )
    return SelfTraining(
        learner=Network(
            task=task,
            optimizer=Optimizer(name="adam", learning_rate=0.05, per_batch=None),
            steps=4,
            batch=16,
            members=2,
            cadence=Cadence(log=4, save=4, keep=1, monitor=0),
        ),
        data=f"interactions:{folder}",
        reader=Interactions(),
        rounds=Rounds(count=1, select=Greedy(budget=10)),
        seeds=(0,),
        full=False,
        **fields,
    )


def test_a_few_of_each_user_are_given_and_what_is_liked_is_measured(tmp_path):
    (tmp_path / "data").mkdir()
    config = plan(tmp_path / "data", few=3, each="user")
    results = run_self_training(config, tmp_path / "run")
    seed = results["seeds"][0]
    assert seed["labels"] == 7 * 3 + 2  # of the first user the training part has but two
    assert results["measure"]["key"] == "rmse"
    for row in seed["rounds"]:
        assert row["test"]["score"] == row["test"]["rmse"] > 0
        assert {"precision", "recall", "f1"} <= row["test"].keys()
    assert {"precision", "recall", "f1", "rmse"} <= seed["rounds"][1]["quality"].keys()
    hidden = without_labels(config.load()[0], RATING)
    assert "rating" not in hidden.spec and {"feature", "amount"} <= hidden.spec.keys()
    with pytest.raises(ValueError, match="the data has no number 'people' for an example"):
        run_self_training(plan(tmp_path / "data", each="people"), tmp_path / "other")


def test_values_that_are_found():
    truth, guess = np.array([5.0, 4, 4, 2, 1]), np.array([4.5, 3, 4, 4, 1])
    found = RATING.quality(truth, guess, np.array([True, True, True, True, False]))
    assert found["precision"] == pytest.approx(2 / 3) and found["recall"] == pytest.approx(2 / 3)
    less = RATING.quality(truth, guess, np.array([True, False, False, True, True]))
    assert less["precision"] == 0.5 and less["recall"] == pytest.approx(1 / 3)
    assert less["f1"] == pytest.approx(0.4)
    assert {m.key for m in RATING.shown} == {"rmse", "r2", "mae", "precision", "recall", "f1"}
    none = RATING.quality(truth, guess, np.zeros(5, bool))
    assert none["f1"] == none["recall"] == none["rmse"] == 0
    value, confidence = RATING.pseudo(np.array([[9.0, 0.0], [0.0, -1.0]], np.float32))
    np.testing.assert_allclose(value, [5.0, 3.0])
    assert confidence[0] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="one leaf"):
        Value(leaves=("a", "b"))
    with pytest.raises(ValueError, match="from the lowest"):
        Value(scale=(5.0, 1.0))
