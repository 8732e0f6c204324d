"""A target that is a set of classes: each of K may be in it or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.losses.supervised import binary_cross_entropy
from ssljax.measure import Measure
from ssljax.nets import MLP
from ssljax.tasks import cells
from ssljax.tasks.quality import sets_quality
from ssljax.tasks.target import Examples, Target, Targets, no_classes
from ssljax.tasks.verify import check_numbers

_SMALL = 1e-7


@dataclass(frozen=True, kw_only=True)
class AnyOf(Target):
    """Outputs are logits [B, K]; a target is [B, K] in [0, 1], 1 for the classes in the set.

    A set is as sure as the class that one is least sure of.
    """

    classes: int

    leaves = ("value",)
    measure: ClassVar[Measure] = Measure(key="accuracy", name="whole sets right")
    shown: ClassVar[tuple[Measure, ...]] = (
        Measure(key="accuracy", name="whole sets right"),
        Measure(key="precision"),
        Measure(key="recall"),
        Measure(key="f1", name="F1"),
    )

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        return MLP(widths=(*hidden, self.classes))

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted; the mean over the classes."""
        return weight * binary_cross_entropy(outputs, target)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(0 or 1 for each class, float32 [B, K]; confidence [B] in [0.5, 1])."""
        p = jax.nn.sigmoid(outputs.astype(jnp.float32))
        return (p >= 0.5).astype(jnp.float32), jnp.min(jnp.maximum(p, 1 - p), axis=-1)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities are the mean of those of several."""
        p = jnp.mean(jax.nn.sigmoid(outputs.astype(jnp.float32)), axis=0)
        p = jnp.clip(p, _SMALL, 1 - _SMALL)
        return jnp.log(p) - jnp.log1p(-p)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy" (the whole set is right) and "label_accuracy"."""
        right = (outputs >= 0) == (target >= 0.5)
        return {
            "accuracy": jnp.all(right, axis=-1).astype(jnp.float32),
            "label_accuracy": jnp.mean(right.astype(jnp.float32), axis=-1),
        }

    def check(self, data: Any) -> None:
        no_classes(self, data)
        shape = data.spec["value"][0] if "value" in data.spec else (self.classes,)
        if shape != (self.classes,):
            raise ValueError(
                f"the data has values of shape {shape} and the target sets of {self.classes} "
                "classes: set its classes, or read the data as a set (Table(kind='set'))"
            )

    def known(self, truth: np.ndarray) -> np.ndarray:
        """NaN is unknown."""
        return np.all(np.isfinite(truth), axis=1)

    def verify(self, target: np.ndarray) -> None:
        check_numbers(target, "sets", shape=(self.classes,), low=0, high=1)

    def right(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return ((np.asarray(truth) >= 0.5) == (np.asarray(guess) >= 0.5)).all(1)

    def score(self, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        """See `tasks.quality.sets_quality`."""
        return self.quality(truth, guess, np.ones(len(truth), bool))

    def quality(self, truth: np.ndarray, guess: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
        """See `tasks.quality.sets_quality`: all numbers are of the chosen."""
        return sets_quality(truth, guess, chosen)

    def column(self, target: np.ndarray) -> pa.Array:
        """Lists of K numbers in [0, 1]."""
        return cells.lists(np.asarray(target, np.float32))

    def from_column(self, column: pa.Array) -> Targets:
        found = cells.numbers(column).astype(np.float32)
        if found.shape[1:] != (self.classes,):
            raise ValueError(f"targets are lists of {self.classes} numbers, not {found.shape[1:]}")
        bad = np.flatnonzero(((found < 0) | (found > 1)).any(1))
        if len(bad):
            raise ValueError(f"row {bad[0] + 1}: {found[bad[0]]} does not lie in [0, 1]")
        return found

    def write(
        self, path: Path, examples: Examples, target: np.ndarray, confidence: np.ndarray
    ) -> None:
        """A CSV file: name, a column of 0 and 1 for each class, confidence."""
        inside = (np.asarray(target) >= 0.5).astype(int).tolist()
        rows = (
            (name, *row, f"{c:.6g}")
            for name, row, c in zip(examples.names, inside, confidence, strict=True)
        )
        cells.write_csv(path, ("name", *self._names(examples.classes), "confidence"), rows)

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        names = self._names(examples.classes)
        index, found, places = cells.read_csv(path, examples.names, names)
        target = np.zeros((len(index), self.classes), np.float32)
        for k, name in enumerate(names):
            for i, (cell, place) in enumerate(zip(found[name], places, strict=True)):
                if cell not in ("0", "1"):
                    raise ValueError(f"{place}: {name} is {cell!r}, and must be 0 or 1")
                target[i, k] = float(cell)
        return index, target, cells.confidences(found, places)

    def show(self, target: np.ndarray, classes: Sequence[str] | None) -> list[str]:
        names = self._names(classes)
        inside = np.asarray(target) >= 0.5
        return [", ".join(names[k] for k in np.flatnonzero(row)) or "none" for row in inside]

    def _names(self, classes: Sequence[str] | None) -> list[str]:
        return list(classes) if classes is not None else [f"class{k}" for k in range(self.classes)]
