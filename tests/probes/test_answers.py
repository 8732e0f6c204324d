"""Ratings and clicks against numbers worked out by hand, and through the evaluator."""

import numpy as np
import pytest

from ssljax.data import Interactions
from ssljax.probes import Answers, Evaluation
from ssljax.probes.answers import of_clicks, of_ratings
from ssljax.probes.evaluator import Encoder, Subject

ROWS = "\n".join(
    ["user,item,rating"] + [f"u{u},i{i},{1 + (u * 3 + i) % 5}" for u in range(6) for i in range(20)]
)


def test_errors_and_what_was_liked():
    said = np.array([4.5, 3.0, 4.0, 1.0])
    found = of_ratings(said, np.array([5.0, 4.0, 2.0, 1.0]), liked=4.0)
    assert found["rmse"] == pytest.approx(np.sqrt((0.25 + 1 + 4) / 4))
    assert found["mae"] == pytest.approx(3.5 / 4)
    assert (found["liked_precision"], found["liked_recall"], found["liked_f1"]) == (0.5, 0.5, 0.5)
    assert of_ratings(said - 4, said, liked=4.0)["liked_f1"] == 0


def test_clicks():
    logit, clicked = np.array([2.0, -1.0, 0.5]), np.array([1.0, 0.0, 0.0])
    found = of_clicks(logit, clicked)
    p = 1 / (1 + np.exp(-logit))
    assert found["log_loss"] == pytest.approx(-np.log([p[0], 1 - p[1], 1 - p[2]]).mean())
    assert found["auc"] == 1
    assert of_clicks(-logit, clicked)["auc"] == 0
    assert "auc" not in of_clicks(logit, np.ones(3))


@pytest.mark.parametrize("learn", ["rating", "click"])
def test_the_evaluator_asks_about_the_whole_test_part(tmp_path, learn):
    (tmp_path / "a.csv").write_text(ROWS)
    spec, reader = f"interactions:{tmp_path / 'a.csv'}", Interactions(learn=learn)
    train, test = reader.load(spec), reader.load(spec, split="test")

    def predict(rows):
        return rows["item"][:, None] / 4.0

    encoder = Encoder(lambda rows: rows["value"], classifiers={"accuracy": predict})
    data = Evaluation().material(train, test, batch=5)
    found = Answers().run(Subject(encoder, data))
    whole = test.take(np.arange(len(test)))
    if learn == "rating":
        assert found == of_ratings(predict(whole)[:, 0], whole["rating"], liked=4.0)
    else:
        assert found == of_clicks(predict(whole)[:, 0], whole["clicked"])
    assert any(
        "rmse" in line or "auc" in line
        for line in Answers().describe({"encoders": {"trained": found}})
    )
    without = Encoder(lambda rows: rows["value"])
    assert Answers().run(Subject(without, data)) == {}
