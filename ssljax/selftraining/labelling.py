"""Labels for any data from a run folder."""

from pathlib import Path

import numpy as np

from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.cells import table_of
from ssljax.pseudolabels.generate import Clusters, Known, Neighbors
from ssljax.pseudolabels.labels import Labels
from ssljax.pseudolabels.numbering import classes_of
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.pool import without_labels
from ssljax.selftraining.teachers import load_teacher
from ssljax.tasks import OneOf

BY = {
    "vote": Neighbors(rule="vote"),
    "propagation": Neighbors(rule="propagation"),
    "spreading": Neighbors(rule="spreading"),
    "kmeans": Clusters(kind="kmeans"),
    "mixture": Clusters(kind="mixture"),
}
"""How a few labels reach the rest of the data over the features of a pretraining run."""


def label(
    folder: Path,
    *,
    data: str | None,
    out: Path,
    file: str | None = None,
    given: Path | None = None,
    by: str = "spreading",
) -> Labels:
    """Labels all examples of `data` (default: the training data of the run).

    Args:
      folder: a run of self-training, whose last teacher labels; or of pretraining, whose features
        say which of the `given` labels an example is near to.
      out: Parquet file to write. file: the experiment file, where the run needs it.
      given: Parquet file of a few labels of that data (index, target), for a pretraining run.
      by: a key of `BY`, for a pretraining run.
    Raises: ValueError or FileNotFoundError where something is missing or does not fit.
    """
    config, teacher, r = load_teacher(folder, file=file)
    reader = config.reader.prepared(config.data, Path(folder))
    options = {"split": "train", "in_memory_bytes": 8 * 2**30, "workers": 0}
    pool = config.load(Path(folder))[0] if data is None else reader.load(data, **options)
    whole = isinstance(config, SelfTraining)
    target = config.learner.target(config.load(Path(folder))[0]) if whole else None
    hidden = without_labels(pool, target)
    if whole or (given is None and teacher.knows_classes):
        guess = teacher.guess(hidden)
        target = target or OneOf(classes=guess.p.shape[1])
    else:
        if given is None:
            raise ValueError(
                f"{folder} is a run of pretraining, which knows no classes: name a file of a few "
                "labels (index, target) with --given FILE"
            )
        target = OneOf(classes=len(classes_of(table_of(given), given)))
        few = tables.read(given, examples=len(pool), target=target)
        tables.every_class(few, target)
        guess = BY[by](Known(teacher, hidden, few.index, few.target, target, seed=0))
    guess = guess.check(str(folder)).whole(target)
    found = Labels.made(
        np.arange(len(pool)),
        guess.target,
        guess.confidence,
        provenance=Path(folder).resolve().name,
        round=r,
    )
    found.write(out, target)
    return found
