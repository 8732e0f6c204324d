"""Learning from targets with weights, against float64 NumPy on the features of its encoder."""

import jax
import numpy as np
from cases_student import CASES, classes, renewed

from ssljax import nets
from ssljax.views import view_batch

KEY = jax.random.key(3)


def test_student_reference():
    """The mean over all examples of weight times cross-entropy; a weight of 0 is a label less."""
    method, rows = CASES["student_ema"].method, classes()
    params, extra = method.init(KEY, rows)
    x = view_batch(method.task.inputs.view, jax.random.split(KEY)[0], rows["image"])
    h, _ = nets.apply(method.encoder, params["encoder"], extra["stats"]["encoder"], x, train=True)
    head = params["head"]["linear_0"]
    y = np.asarray(h, np.float64) @ head["kernel"] + head["bias"]
    nats = np.log(np.exp(y).sum(1)) - y[np.arange(16), rows["target"]]
    value, _ = method.loss(params, extra, rows, KEY)
    np.testing.assert_allclose(value, np.sum(rows["weight"] * nats) / 16, rtol=1e-4)


def test_labels_are_those_of_an_earlier_network():
    """The first step learns the labels of the round; the next what the first network said, but for
    what a person gave and for what kept its label."""
    method, rows = CASES["student_renew"].method, renewed()
    params, extra = method.init(KEY, rows)
    first, _ = method.loss(params, extra, rows, KEY)
    plain = CASES["student_ema"].method
    same, _ = plain.loss(params, {"stats": extra["stats"]}, rows, KEY)
    np.testing.assert_allclose(first, same, rtol=1e-6)
    _, (after, metrics) = method.loss(params, extra, rows, KEY)
    said = np.argmax(method.task.outputs(params, after["stats"], rows, key=None, train=False)[0], 1)
    new = np.asarray(after["cache"].renewed)
    assert 0 < new.sum() < 10 and not new[rows["given"]].any()
    np.testing.assert_allclose(metrics["renewed"], new.mean())
    again, _ = method.loss(params, after, rows, KEY)
    want = rows | {
        "target": np.where(new, said, rows["target"]).astype(np.int32),
        "weight": np.where(new, 1, rows["weight"]).astype(np.float32),
    }
    value, _ = plain.loss(params, {"stats": after["stats"]}, want, KEY)
    np.testing.assert_allclose(again, value, rtol=1e-6)
