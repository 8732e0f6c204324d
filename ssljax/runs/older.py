"""What older run folders hold in another form, read as it is called today."""

from collections.abc import Callable
from typing import Any

from ssljax.probes import KNN, PROTOCOLS, Evaluation, FewShot, Lidar


def _evaluation(values: dict[str, Any]) -> Evaluation:
    """Until 2026-11 an evaluation was one class with all settings of all probes.

    Raises: ValueError for a field that it did not have.
    """
    values = dict(values)
    names = tuple(values.pop("knn", PROTOCOLS))
    views = values.pop("lidar_views", 10)
    shots = tuple(values.pop("shots", (1, 5, 10)))
    few = {k: values.pop(k) for k in ("draws", "least_squares") if k in values}
    found = {name: None for name in _SWITCHES if not values.pop(name, True)}
    sizes = {k: values.pop(k) for k in _SIZES if k in values}
    if values:
        raise ValueError(f"Evaluation has no field {next(iter(values))!r}")
    return Evaluation(
        knn=KNN(protocols=names) if names else None,
        few_shot=FewShot(shots=shots, **few) if shots else None,
        lidar=Lidar(views=views) if views else None,
        **found,
        **sizes,
    )


_SWITCHES = ("linear", "clustering", "retrieval")
_SIZES = ("compared", "split_seeds", "test_fraction", "max_examples")

READ: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ssljax.probes.evaluate:Evaluation": _evaluation
}
"""By the type that a folder names: its fields, as JSON has them -> what they are now."""
