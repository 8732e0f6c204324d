"""Learning from targets with weights, against float64 NumPy on the features of its encoder."""

import jax
import numpy as np
from cases_student import CASES, classes

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
