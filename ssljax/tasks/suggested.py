"""The kind of target that the leaves of a data set suggest, for learners that bring none."""

from typing import Any

import numpy as np

from ssljax.tasks.any_of import AnyOf
from ssljax.tasks.boxes import Boxes
from ssljax.tasks.one_of import OneOf
from ssljax.tasks.tags import Tags
from ssljax.tasks.target import Target
from ssljax.tasks.value import Value


def suggested(data: Any) -> Target:
    """Tags where the data has "starts", boxes where it has "boxes", else classes where it has
    some; of "value", sets where it is [N, K] and else values.

    data: as in `ssljax.data`. Raises: ValueError where it has neither.
    """
    if "starts" in data.spec and data.classes:
        return Tags(tags=tuple(data.classes))
    if "boxes" in data.spec and data.classes:
        return Boxes(classes=tuple(data.classes), size=data.spec["image"][0][0])
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


def one_number(data: Any) -> OneOf | Value:
    """As `suggested`, for what learns a class or a value. Raises: ValueError for other targets."""
    found = suggested(data)
    if not isinstance(found, OneOf | Value):
        raise ValueError(
            f"this data has targets {type(found).__name__}: an estimator of scikit-learn learns "
            "classes or values, a Network also others"
        )
    return found
