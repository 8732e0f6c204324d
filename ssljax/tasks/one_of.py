"""A target that is one class of K."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.losses.supervised import cross_entropy
from ssljax.measure import Measure
from ssljax.nets import MLP
from ssljax.tasks import cells
from ssljax.tasks.quality import classes_quality
from ssljax.tasks.target import Examples, Target, Targets, joined
from ssljax.tasks.verify import check_numbers

_OF_CLASSES = (
    Measure(key="accuracy", name="right"),
    Measure(key="precision"),
    Measure(key="recall"),
    Measure(key="f1", name="F1"),
)


@dataclass(frozen=True, kw_only=True)
class OneOf(Target):
    """Outputs are logits [B, K]; a target is a class int [B], or a distribution [B, K]."""

    classes: int
    judged: Literal["accuracy", "f1"] = "accuracy"
    """The number of the task: the share that is right, or F1 as the mean over the classes, which
    counts rare classes as much as common ones."""

    leaves = ("label",)
    shown: ClassVar[tuple[Measure, ...]] = _OF_CLASSES

    @property
    def measure(self) -> Measure:
        return Measure(key=self.judged, name="macro F1" if self.judged == "f1" else "")

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        return MLP(widths=(*hidden, self.classes))

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        return weight * cross_entropy(outputs, target)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(classes int32 [B], the largest probability [B])."""
        p = self.probabilities(outputs)
        return jnp.argmax(p, axis=-1).astype(jnp.int32), jnp.max(p, axis=-1)

    def probabilities(self, outputs: jax.Array) -> jax.Array:
        return jax.nn.softmax(outputs.astype(jnp.float32), axis=-1)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Outputs whose probabilities are the mean of those of several."""
        log_p = jax.nn.log_softmax(outputs.astype(jnp.float32), axis=-1)
        return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(outputs))

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "accuracy" and "cross_entropy"."""
        hard = target if target.ndim == 1 else jnp.argmax(target, axis=-1)
        right = (jnp.argmax(outputs, axis=-1) == hard).astype(jnp.float32)
        return {"accuracy": right, "cross_entropy": cross_entropy(outputs, target)}

    def check(self, data: Any) -> None:
        if "value" in data.spec and "label" not in data.spec:
            raise ValueError(
                "the data has values and the target is one of several classes: take Value (of sets "
                "AnyOf) as target, or read the data as classes"
            )
        if data.classes is not None and len(data.classes) != self.classes:
            raise ValueError(
                f"the data has {len(data.classes)} classes and the target {self.classes}: set its "
                f"classes to {len(data.classes)}"
            )

    def require_classes(self, who: str) -> int:
        del who  # there are some
        return self.classes

    def has_classes(self) -> bool:
        return True

    def always(self, truth: Targets) -> Targets:
        hard = self.hard(truth)
        return np.full_like(hard, np.bincount(hard).argmax())

    def hard(self, target: Targets) -> np.ndarray:
        hard = np.asarray(target)
        return hard if hard.ndim == 1 else np.argmax(hard, axis=1).astype(np.int32)

    def known(self, truth: Targets) -> np.ndarray:
        """-1 is no class."""
        return self.hard(truth) >= 0

    def verify(self, target: np.ndarray) -> None:
        if np.ndim(target) == 2:
            check_numbers(target, "probabilities", shape=(self.classes,), low=0, high=1)
        else:
            check_numbers(target, "classes", low=0, high=self.classes - 1, whole=True)

    def join(self, parts: Sequence[np.ndarray]) -> Targets:
        """Classes beside distributions become distributions: the same, written in two ways."""
        if len({np.ndim(part) for part in parts}) > 1:
            eye = np.eye(self.classes, dtype=np.float32)
            parts = [eye[part] if np.ndim(part) == 1 else part for part in parts]
        return joined(parts)

    def right(self, truth: Targets, guess: Targets) -> np.ndarray:
        return self.hard(truth) == self.hard(guess)

    def score(self, truth: Targets, guess: Targets) -> dict[str, float]:
        """ "accuracy" and "f1", the mean over the classes."""
        found = self.quality(truth, guess, np.ones(len(truth), bool))
        return {name: found[name] for name in ("accuracy", "f1")}

    def quality(self, truth: Targets, guess: Targets, chosen: np.ndarray) -> dict[str, Any]:
        """See `tasks.quality.classes_quality`."""
        return classes_quality(self.hard(truth), self.hard(guess), chosen, classes=self.classes)

    def column(self, target: np.ndarray) -> pa.Array:
        """Numbers of classes, or lists of probabilities."""
        return cells.lists(target)

    def from_column(self, column: pa.Array) -> Targets:
        found = cells.numbers(column)
        if found.ndim > 1:
            return found.astype(np.float32)
        whole = found.astype(np.int32)
        bad = np.flatnonzero((whole != found) | (whole < 0) | (whole >= self.classes))
        if len(bad):
            raise ValueError(
                f"row {bad[0] + 1}: target {found[bad[0]]}, but there are {self.classes} classes, "
                f"0 to {self.classes - 1}"
            )
        return whole

    def write(
        self, path: Path, examples: Examples, target: Targets, confidence: np.ndarray
    ) -> None:
        """A CSV file: name, label (the name of the class), confidence."""
        said = self.show(target, examples.classes)
        rows = zip(examples.names, said, (f"{c:.6g}" for c in confidence), strict=True)
        cells.write_csv(path, ("name", "label", "confidence"), rows)

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        index, found, places = cells.read_csv(path, examples.names, ("label",))
        number = {name: i for i, name in enumerate(examples.classes or range(self.classes))}
        number = {str(name): i for name, i in number.items()}
        for label, place in zip(found["label"], places, strict=True):
            if label not in number:
                raise ValueError(f"{place}: {label!r} is none of {len(number)} classes")
        target = np.array([number[label] for label in found["label"]], np.int32)
        return index, target, cells.confidences(found, places)

    def show(self, target: Targets, classes: Sequence[str] | None) -> list[str]:
        hard = self.hard(target)
        return [classes[int(k)] if classes is not None else str(k) for k in hard]
