"""Learning from targets with weights, small: classes with a moving average, and values."""

import numpy as np
from laws import NET, VIEW, Case, images

from ssljax.methods import Student
from ssljax.tasks import ImageInput, OneOf, Task, Value

_PICTURES = {"inputs": ImageInput(view=VIEW), "encoder": NET}


def classes(size: int = 16) -> dict[str, np.ndarray]:
    weight = np.linspace(0, 1, size, dtype=np.float32)
    return images(size) | {"target": images(size)["label"], "weight": weight}


def values(size: int = 16) -> dict[str, np.ndarray]:
    return classes(size) | {"target": np.linspace(-1, 3, size, dtype=np.float32)}


def renewed(size: int = 16) -> dict[str, np.ndarray]:
    return classes(size) | {"given": np.arange(size) % 3 == 0}


CASES = {
    "student": Case(
        Student(task=Task(**_PICTURES, target=OneOf(classes=4), hidden=(8,), dropout=0.2)),
        classes,
    ),
    "student_ema": Case(Student(task=Task(**_PICTURES, target=OneOf(classes=4)), ema=0.9), classes),
    "student_renew": Case(
        Student(task=Task(**_PICTURES, target=OneOf(classes=4)), renew=0.5, pool=16), renewed
    ),
    "student_value": Case(Student(task=Task(**_PICTURES, target=Value(mean=1, std=2))), values),
}
