"""Labels for any data from a run folder."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.part import file_of, part_of, rows_of_part, said, whole
from ssljax.data.reader import tells_time
from ssljax.data.stream import loaded
from ssljax.probes import same_classes
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.cells import classes_of, table_of
from ssljax.pseudolabels.generate import Clusters, LabelContext, Neighbors
from ssljax.pseudolabels.labels import GIVEN, Labels
from ssljax.pseudolabels.numbering import Numbering
from ssljax.runs.experiment import Experiment
from ssljax.runs.folder import config_of
from ssljax.runs.load import reader_of
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.pool import without_labels
from ssljax.selftraining.teachers import Embedded, Opened
from ssljax.tasks import Examples, OneOf

_MOST = 8 * 2**30  # bytes of decoded examples that are held
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
    shard: str | None = None,
) -> tuple[Path, Labels | None]:
    """Labels all examples of `data` (default: the training data of the run); what a person has
    given stays as it is. Nothing in the folder of the run is written.

    Args:
      folder: a run of self-training, whose last teacher labels; or of pretraining, whose features
        say which of the `given` labels an example is near to.
      out: Parquet file to write; with another ending, in the format of the field (`Target.write`):
        CSV of classes, sets and values, CoNLL of tags, a manifest of transcripts.
      file: the experiment file, where the run needs it.
      given: Parquet or CSV file of a few labels of that data (index or file, target or class), for
        a pretraining run; a weight of 0 is no label.
      by: a key of `BY`, for a pretraining run.
      shard: "i/n", i from 0 to n - 1: one of n nearly equal parts of the data, which is written to
        NAME-0000i-of-0000n.parquet. A part that is there is not done again.
    Returns: (the file, its labels; None in place of a part that was there).
    Raises: ValueError or FileNotFoundError where something is missing or does not fit.
    """
    folder, out, few, r = Path(folder), Path(out), None, 0
    part = None if shard is None else part_of(shard)
    if part is not None and given is not None:
        raise ValueError(
            "--shard with --given: a few labels spread over all of the data at once. Label with a "
            "run of self-training, or of a method that predicts classes"
        )
    out = out if part is None else file_of(out, *part)
    config = config_of(folder, file)
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"--out {out} lies in the run folder, which stays as it is: name another")
    if given is not None and out.resolve() == Path(given).resolve():
        raise ValueError(f"--out {out} is the file of --given, which stays as it is: name another")
    about = {"run": str(folder.resolve()), "labels": data, "shard": shard}
    if isinstance(config, SelfTraining):
        if given is not None:
            raise ValueError(f"{folder} is a run of self-training, which labels without --given")
        run = Opened(folder, file=file)
        r, target = run.round, run.target
        about |= {"round": r}
        if part is not None and _there(out, about):
            return out, None
        teacher = run.teacher
        if data is None:
            pool, called, few = run.pool, run.numbering, run.given
        else:
            pool = _other(config, folder, data, part)
            names = run.classes if target.has_classes() else None
            called = Numbering.of(pool, classes=_same_names(names, pool))
            target = target.of(pool)
        rows, some = _part(pool, part)
        guess = teacher.guess(without_labels(some, target))
    else:
        teacher = Embedded(folder, file=file)
        if part is not None and _there(out, about):
            return out, None
        pool = teacher.data if data is None else _other(config, folder, data, part)
        rows, some = _part(pool, part)
        # Data that streams from disk keeps its labels, at which none of these sources looks.
        hidden = without_labels(some) if hasattr(some, "take") else some
        names = pool.classes if pool.labelled else None
        if given is None:
            if not teacher.knows_classes:
                raise ValueError(
                    f"{folder} is a run of pretraining, which knows no classes: name a file of a "
                    "few labels (index or file, target or class) with --given FILE"
                )
            called, guess = Numbering.of(pool, classes=names), teacher.guess(hidden)
            assert guess.p is not None  # of a classifier
            target = OneOf(classes=guess.p.shape[1])
        else:
            names = names or classes_of(table_of(given), given)
            target, called = OneOf(classes=len(names)), Numbering.of(pool, classes=names)
            few = tables.read(given, examples=called, target=target)
            tables.every_class(few, target, names)
            guess = BY[by](LabelContext(teacher, hidden, few.index, few.target, target, seed=0))
    guess = guess.check(str(folder), target)
    guess, parts = guess.whole(target), np.array(guess.confidence)
    found = Labels.made(
        rows, guess.target, guess.confidence, provenance=folder.resolve().name, round=r
    )
    if few is not None:  # what a person gave stays as it was given
        few = few.take(np.isin(few.index, rows))
        few = dataclasses.replace(few, provenance=np.full(len(few), GIVEN, object))
        found = found.take(~np.isin(found.index, few.index)).joined(few, target)
        parts[np.isin(rows, few.index)] = 1
    if out.suffix == ".parquet":
        found.write(out, target, called, said(about))
        return out, found
    rows = without_labels(pool, target).take(found.index)
    names = [str(i) for i in called.origin] if called.names is None else called.names
    texts = None if pool.readable is None else pool.readable(rows)
    seconds = config.reader.durations(rows).tolist() if tells_time(config.reader) else None
    examples = Examples(names, rows, called.classes, texts, seconds)
    target.write(out, examples, found.target, parts)
    return out, found


def _other(
    config: SelfTraining | Experiment, folder: Path, data: str, part: tuple[int, int] | None
) -> Any:
    """Other data than that of the run: training, or whatever there is. A part is cut out of data
    that stays on disk where it can; an .npz is read as a whole."""
    reader = reader_of(config, folder)
    offered = reader.splits(data)
    split = "train" if "train" in offered else offered[0]
    most = _MOST if part is None or data.startswith("npz:") else 0
    return reader.load(data, split=split, in_memory_bytes=most, workers=0)


def _part(pool: Any, part: tuple[int, int] | None) -> tuple[np.ndarray, Any]:
    """(places in the pool, those examples), which lie in memory where they are a part."""
    if part is None:
        return np.arange(len(pool)), pool
    some = loaded(pool.part(np.array(rows_of_part(pool, *part))), _MOST)
    order = np.argsort(pool.origin)  # what cannot be read is left out of what was loaded
    return order[np.searchsorted(pool.origin, some.origin, sorter=order)], some


def _there(out: Path, about: dict[str, Any]) -> bool:
    """Whether a part is done. Raises: ValueError where the file is another one."""
    if out.exists() and whole(out, about) is None:
        raise ValueError(f"{out} is there already, of another run or data: name another file")
    return out.exists()


def _same_names(classes: tuple[str, ...] | None, pool: Any) -> tuple[str, ...] | None:
    """The classes that the teacher knows. Raises: ValueError where the data has others."""
    if classes and pool.labelled:
        same_classes(classes, pool.classes)
    return classes
