"""The kind of target that the leaves of a data set suggest, for learners that bring none."""

from typing import Any

import numpy as np

from ssljax.tasks.any_of import AnyOf
from ssljax.tasks.one_of import OneOf
from ssljax.tasks.target import Target
from ssljax.tasks.value import Value


def suggested(data: Any) -> Target:
    """Classes where the data has "label"; of "value", sets where it is [N, K] and else values.

    data: as in `ssljax.data`. Raises: ValueError where it has neither.
    """
    if data.classes:
        return OneOf(classes=len(data.classes))
    if "value" not in data.spec:
        raise ValueError(
            f"this data has neither labels nor values to learn, only {', '.join(data.spec)}: name "
            "what to predict in its reader, or give a file of labels"
        )
    shape = data.spec["value"][0]
    if shape:
        return AnyOf(classes=shape[0])
    value = np.asarray(data.take(np.arange(len(data)))["value"], np.float64)
    value = value[np.isfinite(value)]
    spread = float(value.std()) if len(value) else 0.0
    return Value(mean=float(value.mean()) if len(value) else 0.0, std=max(spread, 1e-8))
