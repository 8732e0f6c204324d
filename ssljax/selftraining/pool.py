"""Examples whose labels are hidden, the few that are given, and how a person calls them."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data import Arrays
from ssljax.files import write_json
from ssljax.probes import same_classes
from ssljax.pseudolabels.cells import classes_of, table_of
from ssljax.pseudolabels.labels import Labels, fingerprint
from ssljax.pseudolabels.numbering import Numbering
from ssljax.tasks import Target, Targets

log = logging.getLogger("ssljax")
_MARK = "numbering.json"


def labels_mark(config: Any, about: dict[str, Any] | None, folder: Path) -> str | None:
    """What tells whether the file of labels of a run was edited, None without one. Says where it is
    another one than that which the run has taken its labels from.

    config: the `SelfTraining`. about: what data.json of the run holds, None for a new run.
    """
    then = (about or {}).get("labels")
    if config.labels is None or not Path(config.labels).is_file():
        return then
    now = fingerprint(Path(config.labels))
    if then not in (None, now):
        log.warning(
            "%s is not what it was when the run in %s began, which goes on with the labels of then "
            "(given.parquet): for those of now, choose another --workdir", config.labels, folder
        )  # fmt: skip
    return then or now


def truth_of(data: Arrays, target: Target) -> Targets | None:
    """True targets of all examples, or None where the data has none."""
    return target.truth(data.take(np.arange(len(data))))


def without_labels(data: Arrays, target: Target | None = None) -> Arrays:
    """The same examples, of which nothing but the inputs is known."""
    return data.without(_hidden(() if target is None else target.leaves), classes=data.classes)


def with_classes(data: Arrays, names: tuple[str, ...] | None) -> Arrays:
    """The same data, whose classes are called so where it has none itself."""
    return data if data.classes or names is None else data.without(_hidden(()), classes=names)


def _hidden(leaves: Collection[str]) -> set[str]:
    return {"label", "value", *leaves}


def classes_in(data: Arrays, config: Any, folder: Path) -> tuple[str, ...] | None:
    """Names of the classes: those of the data, else of the given labels; None for other targets.

    config: the `SelfTraining`. folder: of a seed.
    """
    if data.labelled or "value" in data.spec:
        return data.classes if data.labelled else None
    target = next(iter(config.targets), None)  # None: nothing but the labels says what it is
    file = folder / "given.parquet"
    file = file if file.exists() else config.labels and Path(config.labels)
    if file is None or not (target is None or target.has_classes()):
        return None
    if data.classes:
        return data.classes
    try:
        found = classes_of(table_of(file), file)
    except ValueError:
        if target is None:  # numbers that are no classes
            return None
        raise
    count = 0 if target is None else target.require_classes("a file of labels")
    # Numbers below K: those that nobody has used are missed by name.
    fewer = len(found) < count and all(x.isdecimal() and int(x) < count for x in found)
    return tuple(map(str, range(count))) if fewer else found


def check_targets(targets: list[Target], pool: Arrays, test: Arrays) -> None:
    """Raises ValueError, before anything is trained, where networks are asked for something else
    than what the data holds, or training and test data number their classes differently.

    pool: with its classes, see `with_classes`.
    """
    if pool.classes and test.classes and test.labelled:
        same_classes(pool.classes, test.classes)
    for target in targets:
        target.check(pool)


def numbering_of(folder: Path, pool: Arrays, held_out: Arrays | None, target: Target) -> Numbering:
    """How the files of labels in the folder of a seed call the examples of the pool.

    held_out: what was held out of the same data, or None. Folders of older versions, told by a note
    that is missing in them, count the pool itself.
    """
    classes = pool.classes if target.has_classes() else None
    if (folder / "given.parquet").exists() and not (folder / _MARK).exists():
        found = Numbering.plain(len(pool), classes=classes)
        if held_out is not None or pool.skipped:
            log.info("%s: an older version wrote it, index counts the pool without tests", folder)
        return found
    return Numbering.of(pool, classes=classes, held_out=held_out)


def note_numbering(folder: Path) -> None:
    """Says in the folder of a seed what its files of labels count."""
    write_json(folder / _MARK, {"index": "rows of the data, before any was held out or left out"})


def split_off(
    given: Labels, holdout: float, seed: int, target: Target
) -> tuple[Labels, Labels | None]:
    """(labels to train on, labels to estimate quality with): at least one of a class stays."""
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout {holdout} must be at least 0 and below 1")
    if not holdout:
        return given, None
    rng, away = np.random.default_rng([seed, 29]), []
    group = target.hard(given.target) if target.has_classes() else np.zeros(len(given), np.int64)
    for c in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == c))
        away.extend(rows[: min(round(holdout * len(rows)), len(rows) - 1)])
    mask = np.zeros(len(given), bool)
    mask[away] = True
    return given.take(~mask), given.take(mask) if mask.any() else None
