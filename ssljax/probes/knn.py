"""Weighted k-nearest-neighbour classification of frozen features: nothing is trained.

Wu et al. 2018, arXiv:1805.01978, section 3.4; the two usual settings are those of DINO (k = 20,
T = 0.07) and of lightly's CIFAR-10 benchmark (k = 200, T = 0.1):

    class(x) = argmax_c  sum over the k training rows nearest to x by cosine, of class c,
               of exp(cos(x, row) / T)
"""

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.splits import check

log = logging.getLogger("ssljax")

PROTOCOLS: dict[str, dict[str, float]] = {
    "knn20_t0.07": {"k": 20, "temperature": 0.07},
    "knn200_t0.1": {"k": 200, "temperature": 0.1},
}
# Similarities held at a time.
_ENTRIES = 2**26


@dataclass(frozen=True, kw_only=True)
class KNN(Evaluator):
    """Weighted k-nearest neighbours: knn20_t0.07 and knn200_t0.1, an accuracy each."""

    quick: ClassVar[bool] = True

    protocols: tuple[str, ...] = tuple(PROTOCOLS)
    """The usual settings of k and T, by name."""

    def __post_init__(self) -> None:
        for name in self.protocols:
            if name not in PROTOCOLS:
                raise ValueError(f"knn.protocols {name!r}: choose from {', '.join(PROTOCOLS)}")
        if not self.protocols:
            raise ValueError("knn.protocols names none: to leave k-NN out, set knn to None")

    def run(self, subject: Subject) -> dict[str, float]:
        return subject.over_parts(lambda part, seed: self._of(part, subject.data.classes))

    def _of(self, part: Part, classes: int) -> dict[str, float]:
        """Accuracy by protocol; the neighbours are searched once for all of them."""
        check(part.train_x, part.train_y, classes, "training data")
        check(part.test_x, part.test_y, classes, "test data")
        largest = max(int(PROTOCOLS[name]["k"]) for name in self.protocols)
        similarity, index = nearest(part.train_x, part.test_x, k=largest)
        found = {}
        for name in self.protocols:
            k, temperature = int(PROTOCOLS[name]["k"]), PROTOCOLS[name]["temperature"]
            labels = part.train_y[index]
            ids = vote(similarity, labels, k=k, temperature=temperature, classes=classes)
            found[name] = float(np.mean(ids == part.test_y))
            if k > len(part.train_x):
                found[f"{name}_used_k"] = float(len(part.train_x))
        return found

    def describe(self, results: dict[str, Any]) -> list[str]:
        lines, rows = [], results["encoders"].values()
        for name in self.protocols if measured(results, "knn") else ():
            k, t = PROTOCOLS[name]["k"], PROTOCOLS[name]["temperature"]
            used = next((row[n] for row in rows if (n := f"{name}_used_k") in row), None)
            short = f", only {used:.0f} here: there are no more" if used else ""
            lines.append(
                f"{name}: weighted k-nearest neighbours by cosine, k {k:g}{short}, T {t:g}"
            )
        return lines


def knn(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    k: int,
    temperature: float,
    classes: int,
) -> float:
    """Accuracy in [0, 1] of weighted k-NN.

    Args:
      train_x, test_x: features [N, D] and [M, D]; their length does not matter.
      train_y, test_y: labels [N] and [M] in 0 to classes-1.
      k: neighbours that vote; more than N becomes N, with a warning that says so.
      temperature: T > 0; votes weigh exp(cos / T).
    Raises: ValueError for shapes or labels that do not fit, or T <= 0.
    """
    check(train_x, train_y, classes, "training data")
    check(test_x, test_y, classes, "test data")
    if k > len(train_x):
        log.warning("k-NN with k = %d uses all %d training examples", k, len(train_x))
    similarity, index = nearest(train_x, test_x, k=k)
    votes = vote(similarity, train_y[index], k=k, temperature=temperature, classes=classes)
    return float(np.mean(votes == test_y))


def nearest(bank: np.ndarray, queries: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The min(k, N) rows of `bank` [N, D] nearest to each of `queries` [M, D] by cosine.

    Exact, in float32, on the device; [chunk, N] similarities are held at a time.

    Returns: (similarity float32 [M, k], index int32 [M, k]), nearest first.
    """
    k = min(k, len(bank))
    unit_bank = _unit(jnp.asarray(bank, jnp.float32))
    chunk = max(1, min(1024, len(queries), _ENTRIES // len(bank)))
    similarity = np.empty((len(queries), k), np.float32)
    index = np.empty((len(queries), k), np.int32)
    for start in range(0, len(queries), chunk):
        rows = np.asarray(queries[start : start + chunk], np.float32)
        size = len(rows)
        rows = np.pad(rows, ((0, chunk - size), (0, 0)))  # one shape, one compilation
        s, i = jax.device_get(_top(unit_bank, rows, k))
        similarity[start : start + size], index[start : start + size] = s[:size], i[:size]
    return similarity, index


def vote(
    similarity: np.ndarray, labels: np.ndarray, *, k: int, temperature: float, classes: int
) -> np.ndarray:
    """Class ids [M] by the weighted vote of the first k neighbours.

    Args:
      similarity: [M, K], nearest first. labels: of those neighbours, [M, K].
    """
    if temperature <= 0 or k < 1:
        raise ValueError(f"k-NN needs k >= 1 and temperature > 0, not {k} and {temperature}")
    similarity, labels = similarity[:, :k].astype(np.float64), labels[:, :k]
    # Less the largest, which changes no winner: exp(1 / 0.001) is infinite.
    weight = np.exp((similarity - similarity[:, :1]) / temperature)
    cell = np.arange(len(labels))[:, None] * classes + labels
    votes = np.bincount(cell.ravel(), weight.ravel(), minlength=len(labels) * classes)
    return votes.reshape(-1, classes).argmax(axis=1)


@jax.jit
def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _top_k(bank: jax.Array, rows: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    similarity = jnp.dot(_unit(rows), bank.T, precision=jax.lax.Precision.HIGHEST)
    return jax.lax.top_k(similarity, k)


_top = jax.jit(_top_k, static_argnums=2)
