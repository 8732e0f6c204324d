"""A target that is a number: the network says which, and how sure it is of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from ssljax.losses.supervised import LOG_VAR, gaussian_nll
from ssljax.measure import Measure
from ssljax.nets import MLP
from ssljax.tasks import cells
from ssljax.tasks.quality import values_quality
from ssljax.tasks.target import Examples, Target, Targets, no_classes
from ssljax.tasks.verify import check_numbers

_MEASURES = {
    "r2": Measure(key="r2", unit="%"),
    "rmse": Measure(key="rmse", name="RMSE", better="lower", unit="", digits=3),
    "mae": Measure(key="mae", name="mean absolute error", better="lower", unit="", digits=3),
}
_FOUND = (Measure(key="precision"), Measure(key="recall"), Measure(key="f1", name="F1"))


@dataclass(frozen=True, kw_only=True)
class Value(Target):
    """Outputs are mean and log variance [B, 2] of the standardised value; a target is float [B].

    Confidence is 1 / (1 + variance): 1 where the network is certain, 1/2 where it knows no more
    than the spread of the targets.
    """

    mean: float = 0.0
    """Of the targets in training."""
    std: float = 1.0
    """Spread of the targets in training."""
    by: Literal["r2", "rmse", "mae"] = "r2"
    """The number of the task: share of the variance that is explained, root of the mean squared
    error, or mean absolute error, both in the unit of the target."""

    leaves: tuple[str, ...] = ("value",)
    """The one leaf that holds the truth, such as rating."""
    scale: tuple[float, float] | None = None
    """Lowest and highest value that there is, at which guesses end; None: any."""
    at_least: float | None = None
    """The value from which on an example counts as found, such as a rating of 4: then precision,
    recall and F1 of those are measured too."""

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise ValueError(f"the spread of the targets must be above 0, not {self.std}")
        if self.by not in _MEASURES:
            raise ValueError(f"values are not measured by {self.by!r}: {', '.join(_MEASURES)}")
        if len(self.leaves) != 1:
            raise ValueError(f"a value is one leaf of the data, not {self.leaves}")
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {self.scale} must go from the lowest to the highest value")

    @property
    def measure(self) -> Measure:
        return _MEASURES[self.by]

    @property
    def shown(self) -> tuple[Measure, ...]:
        others = (m for m in _MEASURES.values() if m.key != self.by)
        return (self.measure, *others, *(() if self.at_least is None else _FOUND))

    def head(self, hidden: tuple[int, ...]) -> nn.Module:
        return MLP(widths=(*hidden, 2))

    def loss(self, outputs: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[B], weighted: a density, which may be negative."""
        return weight * gaussian_nll(outputs[:, 0], outputs[:, 1], (target - self.mean) / self.std)

    def pseudo(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(values float32 [B], confidence [B])."""
        variance = jnp.exp(jnp.clip(outputs[:, 1].astype(jnp.float32), -LOG_VAR, LOG_VAR))
        value = outputs[:, 0].astype(jnp.float32) * self.std + self.mean
        if self.scale is not None:
            value = jnp.clip(value, *self.scale)
        return value, 1 / (1 + variance)

    def average(self, outputs: jax.Array) -> jax.Array:
        """Mean and variance of the mixture of several: unsure where they disagree."""
        outputs = outputs.astype(jnp.float32)
        means, variances = outputs[..., 0], jnp.exp(jnp.clip(outputs[..., 1], -LOG_VAR, LOG_VAR))
        variance = jnp.mean(variances, axis=0) + jnp.var(means, axis=0)
        return jnp.stack([jnp.mean(means, axis=0), jnp.log(variance)], axis=-1)

    def metrics(self, outputs: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        """ "absolute_error" and "squared_error", in units of the target."""
        error = self.pseudo(outputs)[0] - target.astype(jnp.float32)
        return {"absolute_error": jnp.abs(error), "squared_error": error**2}

    def check(self, data: Any) -> None:
        no_classes(self, data)
        name = self.leaves[0]
        if name in data.spec and data.spec[name][0]:
            raise ValueError(
                f"the data has values of shape {data.spec[name][0]}, and the target is one "
                "number: read one column (Table(kind='value')), or take AnyOf for sets"
            )

    def known(self, truth: np.ndarray) -> np.ndarray:
        """NaN is unknown."""
        return np.isfinite(truth)

    def verify(self, target: np.ndarray) -> None:
        check_numbers(target, "values")

    def score(self, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        """ "r2", "rmse" and "mae"; with `at_least` also "precision", "recall" and "f1"."""
        return self.quality(truth, guess, np.ones(len(truth), bool))

    def quality(self, truth: np.ndarray, guess: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
        """See `tasks.quality.values_quality`."""
        return values_quality(truth, guess, chosen, at_least=self.at_least)

    def column(self, target: np.ndarray) -> pa.Array:
        """Numbers."""
        return cells.lists(np.asarray(target, np.float32))

    def from_column(self, column: pa.Array) -> Targets:
        found = cells.numbers(column).astype(np.float32)
        if found.ndim > 1:
            raise ValueError("targets are lists, and must be one number each")
        return found

    def write(
        self, path: Path, examples: Examples, target: np.ndarray, confidence: np.ndarray
    ) -> None:
        """A CSV file: name, value, confidence."""
        numbers = ((f"{v:.9g}", f"{c:.6g}") for v, c in zip(target, confidence, strict=True))
        rows = ((name, *row) for name, row in zip(examples.names, numbers, strict=True))
        cells.write_csv(path, ("name", "value", "confidence"), rows)

    def read(self, path: Path, examples: Examples) -> tuple[np.ndarray, Targets, np.ndarray]:
        index, found, places = cells.read_csv(path, examples.names, ("value",))
        values = [cells.number_of(x, p) for x, p in zip(found["value"], places, strict=True)]
        return index, np.array(values, np.float32), cells.confidences(found, places)

    def show(self, target: np.ndarray, classes: Sequence[str] | None) -> list[str]:
        del classes  # there are none
        return [f"{v:.4g}" for v in target]
