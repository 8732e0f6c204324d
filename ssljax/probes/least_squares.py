"""Few-shot least squares: a ridge regression onto the classes, in closed form and almost free.

The few-shot evaluation of Dosovitskiy et al. 2020 (ViT), arXiv:2010.11929, section 4.1, with the
constants of big_vision, so that its numbers can be compared:

    minimise over W:   |X W - Y|^2 + 1024 |W|^2,    Y = 1 for the class of a row, -1 for all others

X are the features of the drawn examples, standardised by their own mean and deviation, with one
more column of 100: a bias that the penalty hardly touches. `few_shot` (`linear.py`) asks the same
question with logistic regression, on the same draws.
"""

from collections.abc import Sequence

import numpy as np

from ssljax.probes.linear import accuracy
from ssljax.probes.splits import check, drawn

_L2 = 1024.0
_BIAS = 100.0
_EPS = 1e-5


def least_squares(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    classes: int,
    shots: Sequence[int] = (1, 5, 10),
    draws: int = 10,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Accuracies [draws] of the regression on `shots` labelled examples of each class, in float64.

    Args:
      train_x, test_x: features [N, D] and [M, D]. train_y, test_y: labels in 0 to classes-1.
    Raises: ValueError for shapes or labels that do not fit.
    """
    check(train_x, train_y, classes, "training data")
    check(test_x, test_y, classes, "test data")
    found: dict[int, np.ndarray] = {}
    for n in shots:
        scores = []
        for draw in range(draws):
            rows = drawn(train_y, count=n, seed=(seed, n, draw))
            weights = ridge(train_x[rows], train_y[rows], classes=classes)
            scores.append(accuracy(weights, test_x, test_y))
        found[n] = np.array(scores)
    return found


def ridge(x: np.ndarray, y: np.ndarray, *, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(kernel [D, K], bias [K]) of the regression on features x [N, D] and labels y [N]."""
    x = np.asarray(x, np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0) + _EPS
    x = np.pad((x - mean) / std, ((0, 0), (0, 1)), constant_values=_BIAS)
    target = 2.0 * np.eye(classes)[y] - 1.0
    if len(x) < x.shape[1]:  # the smaller of two systems with the same solution
        w = x.T @ np.linalg.solve(x @ x.T + _L2 * np.eye(len(x)), target)
    else:
        w = np.linalg.solve(x.T @ x + _L2 * np.eye(x.shape[1]), x.T @ target)
    # The kernel takes the standardisation, so that the many test features need none.
    kernel = w[:-1] / std[:, None]
    return kernel, _BIAS * w[-1] - mean @ kernel
