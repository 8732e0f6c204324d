"""Linear classification of frozen features: all labels, or a few of each class.

Multinomial logistic regression on standardised features, by L-BFGS to convergence:

    minimise over W, b:   mean CE(x W + b, y) + l2/2 |W|^2          (b is not penalised)

which is scikit-learn's `LogisticRegression(C=1 / (N l2))`. The optimum is unique, so coordinates
are free: we optimise along the principal axes of the features (a rotation, so |W| stays), scaled
by the curvature at W = 0. That takes several times fewer iterations than the raw coordinates.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.splits import check, drawn, stratified

L2 = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Searched from strong to weak."""
VALIDATION = 0.2
"""Share of the training data that chooses l2."""


@dataclass(frozen=True)
class Linear(Evaluator):
    """The offline linear probe on all labels: linear_offline."""

    def run(self, subject: Subject) -> dict[str, float]:
        def fitted(part: Part, seed: int) -> dict[str, float]:
            found = linear(*part, classes=subject.data.classes, seed=seed)
            return {
                "linear_offline": found["accuracy"],
                "linear_offline_train": found["train_accuracy"],
                "linear_offline_l2": found["l2"],
            }

        return subject.over_parts(fitted)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "linear_offline"):
            return []
        return [
            "linear_offline: logistic regression on frozen, standardised features; l2 from "
            f"{L2[-1]:g} to {L2[0]:g} chosen on {VALIDATION:.0%} of the training part, then all "
            "of it fitted"
        ]


def linear(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    classes: int,
    seed: int = 0,
) -> dict[str, float]:
    """The offline linear probe.

    l2 is the one of `L2` with the best accuracy on a stratified fifth of the *training* data (ties
    go to the stronger); the classifier is then fitted on all of it. Test labels only score.

    Args:
      train_x, test_x: features [N, D] and [M, D]. train_y, test_y: labels in 0 to classes-1.
      seed: of the part that chooses l2.
    Returns: accuracy, train_accuracy (both in [0, 1]) and the chosen l2.
    Raises: ValueError for shapes or labels that do not fit.
    """
    check(train_x, train_y, classes, "training data")
    check(test_x, test_y, classes, "test data")
    train_x, test_x = standardize(train_x, test_x)
    fit, held_out = stratified(train_y, fraction=VALIDATION, seed=seed)
    search = Logistic(train_x[fit], train_y[fit], classes=classes)
    scores: list[float] = []
    for l2 in L2:
        weights = search.solve(l2, tolerance=1e-4)
        scores.append(accuracy(weights, train_x[held_out], train_y[held_out]))
        if len(scores) >= np.argmax(scores) + 3:
            break  # weaker still only takes longer and overfits more
    l2 = L2[int(np.argmax(scores))]
    weights = Logistic(train_x, train_y, classes=classes).solve(l2)
    return {
        "accuracy": accuracy(weights, test_x, test_y),
        "train_accuracy": accuracy(weights, train_x, train_y),
        "l2": l2,
    }


def few_shot(
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
    """Accuracies [draws] of the linear probe on `shots` labelled examples of each class.

    With so few labels nothing is left to choose l2: it is 1/N for N drawn examples (C = 1 in
    scikit-learn), fixed beforehand. Features are standardised by all of train_x, which reads no
    label. A draw depends on the seed and the labels only, so encoders are compared on the same
    ones; a class with fewer examples gives all that it has.

    Raises: ValueError for shapes or labels that do not fit.
    """
    check(train_x, train_y, classes, "training data")
    check(test_x, test_y, classes, "test data")
    train_x, test_x = standardize(train_x, test_x)
    found: dict[int, np.ndarray] = {}
    for n in shots:
        scores = []
        for draw in range(draws):
            rows = drawn(train_y, count=n, seed=(seed, n, draw))
            problem = Logistic(train_x[rows], train_y[rows], classes=classes)
            weights = problem.solve(1 / len(rows), tolerance=1e-4)
            scores.append(accuracy(weights, test_x, test_y))
        found[n] = np.array(scores)
    return found


def standardize(train_x: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """All arrays less the mean and over the standard deviation of train_x [N, D], in float32.

    Dimensions that are constant in train_x become 0 everywhere: nothing is known of their scale.
    """
    mean, std = train_x.mean(axis=0, dtype=np.float64), train_x.std(axis=0, dtype=np.float64)
    flat = std <= 1e-6 * np.maximum(np.abs(mean), std.max(initial=0))
    factor = np.where(flat, 0, 1 / np.where(flat, 1, std))
    return [((x - mean) * factor).astype(np.float32) for x in (train_x, *others)]


def accuracy(weights: tuple[np.ndarray, np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """Share of rows of x [N, D] that kernel [D, K] and bias [K] put into class y."""
    kernel, bias = weights
    return float(np.mean((x @ kernel + bias).argmax(axis=1) == y))


class Logistic:
    """Logistic regression on one data set, for one or several strengths of l2."""

    def __init__(self, x: np.ndarray, y: np.ndarray, *, classes: int) -> None:
        """x: features [N, D]; y: labels [N] in 0 to classes-1."""
        self._centre = x.mean(axis=0, dtype=np.float64)
        centred = (x - self._centre).astype(np.float32)
        self._axes, self._variance = _principal(centred)
        self._z = jnp.asarray(centred @ self._axes)
        self._y = jnp.asarray(y, jnp.int32)
        # One row a class, its bias last.
        self._start = np.zeros((classes, self._axes.shape[1] + 1))

    def solve(self, l2: float, *, tolerance: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
        """The optimal (kernel [D, K], bias [K]), starting from the last solution.

        tolerance: largest component of the scaled gradient.
        Raises: ValueError for l2 <= 0, where the optimum may lie at infinity.
        """
        if l2 <= 0:
            raise ValueError(f"l2 must be above 0, not {l2}")
        classes = len(self._start)
        curvature = np.append(self._variance, 1.0) * (classes - 1) / classes**2
        scale = 1 / np.sqrt(np.maximum(curvature, 1e-9) + l2)
        device_scale = jnp.asarray(scale, jnp.float32)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            v = flat.reshape(self._start.shape).astype(np.float32)
            value, grad = jax.device_get(_objective(v, device_scale, self._z, self._y, l2))
            return float(value), grad.astype(np.float64).ravel()

        found = _lbfgs(objective, (self._start / scale).ravel(), tolerance=tolerance)
        self._start = found.reshape(self._start.shape) * scale
        kernel = self._axes.astype(np.float64) @ self._start[:, :-1].T
        bias = self._start[:, -1] - self._centre @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)


def _lbfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    *,
    tolerance: float,
    memory: int = 20,
    iterations: int = 1000,
) -> np.ndarray:
    """The minimum of a smooth convex function by L-BFGS (Nocedal and Wright, algorithm 7.5).

    Stops where no component of the gradient exceeds `tolerance`, or where float32 sees no descent.
    """
    value, grad = objective(x)
    pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=memory)
    for _ in range(iterations):
        if np.abs(grad).max() <= tolerance:
            break
        direction, weights = -grad, []
        for s, y, rho in reversed(pairs):
            weights.append(rho * (s @ direction))
            direction = direction - weights[-1] * y
        if pairs:
            s, y, rho = pairs[-1]
            direction = direction / (rho * (y @ y))
        for (s, y, rho), weight in zip(pairs, reversed(weights), strict=True):
            direction = direction + s * (weight - rho * (y @ direction))
        slope, step = grad @ direction, 1.0
        while True:
            new_value, new_grad = objective(x + step * direction)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
            if step < 1e-4:
                return x
        s, y = step * direction, new_grad - grad
        if s @ y > 0:
            pairs.append((s, y, float(1 / (s @ y))))
        x, value, grad = x + s, new_value, new_grad
    return x


@jax.jit
def _objective(
    v: jax.Array, scale: jax.Array, z: jax.Array, y: jax.Array, l2: float
) -> tuple[jax.Array, jax.Array]:
    """Value and gradient in the scaled coordinates v [K, D + 1], the bias last."""
    w, b = (v * scale)[:, :-1], v[:, -1] * scale[-1]
    logits = jnp.dot(z, w.T, precision=jax.lax.Precision.HIGHEST) + b
    log_p = jax.nn.log_softmax(logits, axis=1)
    right = jax.nn.one_hot(y, len(v))
    value = -jnp.mean(jnp.sum(log_p * right, axis=1)) + l2 / 2 * jnp.sum(w**2)
    error = (jnp.exp(log_p) - right) / len(z)
    # By hand and [K, D]: XLA takes five times longer on a CPU for z^T error, as jax.grad writes it.
    slope = jnp.dot(error.T, z, precision=jax.lax.Precision.HIGHEST) + l2 * w
    return value, jnp.concatenate([slope, jnp.sum(error, axis=0)[:, None]], axis=1) * scale


def _principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal axes [D, D] and variances [D] of centred x [N, D].

    The principal axes, or with few rows the given ones: such problems are small already.
    """
    if len(x) <= x.shape[1]:
        return np.eye(x.shape[1], dtype=np.float32), x.var(axis=0, dtype=np.float64)
    variance, axes = np.linalg.eigh((x.T @ x / len(x)).astype(np.float64))
    return axes.astype(np.float32), np.maximum(variance, 0)
