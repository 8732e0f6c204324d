"""What a run folder knows of its data, in data.json: enough to restore, export and use the networks
after the data has moved or gone, and to notice when other data lies in its place.

The fingerprint is a hash over some decoded examples, drawn from the whole data set, so that it is
as cheap for data that streams as for data in memory. It sees another number of examples, other
classes or shapes and any wholesale change; one changed example in many it may not see.
"""

import dataclasses
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.data.stream import without_workers
from ssljax.files import read_json, write_json
from ssljax.runs.experiment import Experiment

log = logging.getLogger("ssljax")
FILE = "data.json"
_LOOKED_AT = 32  # examples in the fingerprint
_REMEDY = "Remove it to go on: the run then takes the data as it finds it"


def about(experiment: Any, train: Any, test: Any | None, feed: Any) -> dict[str, Any]:
    """What data.json holds of the data sets of a run, without the names of files."""
    return {
        "data": experiment.data,
        "folder": os.getcwd(),
        "fingerprint": fingerprint(train, feed),
        "train": _described(train),
        "feed": _described(feed),
        "test": None if test is None else _described(test),
        "test_fingerprint": None if test is None else fingerprint(test, test),
    }


def _described(dataset: Any) -> dict[str, Any]:
    classes = getattr(dataset, "classes", None)
    spec = {k: [list(shape), np.dtype(dtype).name] for k, (shape, dtype) in dataset.spec.items()}
    return {
        "examples": len(dataset),
        "labelled": bool(getattr(dataset, "labelled", False)),
        "classes": None if classes is None else list(map(str, classes)),
        "spec": spec,
    }


def fingerprint(train: Any, feed: Any) -> str:
    """Of what training reads: some examples, and which labels it sees where those are few."""
    found = hashlib.sha256()
    with without_workers():
        # The first batch of a permutation of all examples, whatever the batch of the run is.
        count = max(min(_LOOKED_AT, len(train)), train.smallest_batch)
        rows = next(train.batches(count, seed=0))
    few = getattr(feed, "given", None)
    rows |= {} if few is None else {"few": few[0], "few_labels": few[1]}
    for name, leaf in sorted(rows.items()):
        array = np.ascontiguousarray(leaf)
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:32]


def read(folder: Path) -> dict[str, Any] | None:
    """What data.json of a run folder holds; None in folders of older versions.

    Raises: ValueError that names the file where it is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    known = read_json(folder / FILE, dict, remedy=_REMEDY)
    try:
        for part in ("train", "feed"):
            spec_of(known[part])
        if known["test"] is not None:
            spec_of(known["test"])
        _ = list(known["files"]), str(known["fingerprint"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{folder / FILE} is damaged: {error!r}. {_REMEDY}") from error
    return known


def saved(folder: Path) -> int:
    """The last step that a run has saved; 0 for none."""
    path = folder / "saved.json"
    return int(read_json(path, dict).get("step", 0)) if path.is_file() else 0


def spec_of(described: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Leaves of an example, name -> (shape, dtype)."""
    return {k: (tuple(shape), np.dtype(d)) for k, (shape, d) in described["spec"].items()}


def check_same(known: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raises ValueError that says what has changed where the data is not that of the run."""
    changed = _changed(known["train"], now["train"])
    if not changed and known["fingerprint"] != now["fingerprint"]:
        changed.append("examples, or labels, of other content")
    if changed:
        raise ValueError(
            f"the data {now['data']} is not what the run in {folder} was trained on: it has "
            f"{'; '.join(changed)}. Name the place of the same data with --data, or choose another "
            f"--workdir; to go on with it nevertheless, remove {folder / FILE}"
        )


def check_same_test(known: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """As `check_same`, of the test data, where numbers of the run were measured on it already."""
    then, found = known["test"], now["test"]
    if then is None or found is None:
        changed = [] if then is found else ["no test split" if found is None else "a test split"]
    else:
        changed = _changed(then, found)
    # Folders of older versions have no fingerprint of the test data.
    print_of_then = known.get("test_fingerprint", now["test_fingerprint"])
    if not changed and print_of_then != now["test_fingerprint"]:
        changed.append("examples, or labels, of other content")
    if changed:
        raise ValueError(
            f"the test data is not what the run in {folder} was measured on: it has "
            f"{'; '.join(changed)}. Name the place of the same data with --test, or choose another "
            "--workdir"
        )


def _changed(then: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs between two data sets as data.json describes them."""
    changed = []
    if then["examples"] != found["examples"]:
        changed.append(f"{found['examples']:,} examples in place of {then['examples']:,}")
    if then["classes"] != found["classes"]:
        changed.append(f"classes {_listed(found)} in place of {_listed(then)}")
    if spec_of(then) != spec_of(found):
        changed.append(f"examples of {spec_of(found)} in place of {spec_of(then)}")
    return changed


def _listed(described: dict[str, Any]) -> str:
    names = described["classes"] or []
    return f"{len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def accept(known: dict[str, Any], folder: Path, files: Path) -> None:
    """Writes data.json, with the files that the reader has learned from the data beside it.

    files: the run folder itself, or the folder of `learning`.
    """
    if jax.process_index() != 0:
        return
    names = known.get("files")
    if files != folder:
        before = folder / FILE
        for name in read_json(before, dict).get("files", ()) if before.exists() else ():
            (folder / name).unlink(missing_ok=True)  # of an earlier start that trained nothing
        names = sorted(str(p.relative_to(files)) for p in files.rglob("*") if p.is_file())
        shutil.copytree(files, folder, dirs_exist_ok=True)
    write_json(folder / FILE, known | {"files": names or []})


@contextmanager
def learning(folder: Path, known: dict[str, Any] | None, *, fresh: bool) -> Iterator[Path]:
    """Where the reader finds what it has learned from the data, such as a tokenizer: for a new run
    a folder that goes again, so that a start that fails leaves nothing.

    Raises: FileNotFoundError where something that was learned has gone.
    """
    if not fresh:
        check_files(folder, known)
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def check_files(folder: Path, known: dict[str, Any] | None) -> None:
    """Raises FileNotFoundError where something that the reader has learned is gone."""
    for name in known["files"] if known else ():
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} is gone, which the reader of the run has learned from its data: "
                "put it back"
            )


class Remembered:
    """A data set as data.json describes it, which is read when the first example is asked for."""

    def __init__(self, described: dict[str, Any], load: Callable[[], Any]) -> None:
        self.spec = spec_of(described)
        self.labelled, self._size = described["labelled"], described["examples"]
        names = described["classes"]
        self.classes = None if names is None else tuple(names)
        self._load, self._data = load, None

    def __len__(self) -> int:
        return self._size

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copy and pickle look for
            raise AttributeError(name)
        return getattr(self.opened(), name)

    def opened(self) -> Any:
        """The data set itself. Warns where it is no longer of the same size."""
        if self._data is None:
            self._data = self._load()
            if len(self._data) != self._size:
                text = "the data has %d examples, and had %d when the run was made"
                log.warning(text, len(self._data), self._size)
        return self._data


def remembered(
    config: Any, folder: Path, about: dict[str, Any]
) -> tuple[Remembered, Remembered | None]:
    """(training data, test data or None) of a run, read when somebody needs an example.

    config: an `Experiment`, or whatever has `data`, `test` and `load`. about: see `read`.
    """

    @cache
    def both() -> tuple[Any, Any]:
        check_files(folder, about)
        try:
            return from_here(config, about).load(folder)
        except FileNotFoundError as error:
            raise moved(error, folder) from error

    tested = about["test"]
    test = None if tested is None else Remembered(tested, lambda: both()[1])
    return Remembered(about["train"], lambda: both()[0]), test


def moved(error: FileNotFoundError, folder: Path) -> FileNotFoundError:
    """What to say where the data of a run are not found."""
    return FileNotFoundError(
        f"{error}. This needs the data of the run in {folder}, which is no longer where it was: "
        "put it back there, or name data with --data where the command takes it"
    )


def from_here(config: Any, known: dict[str, Any]) -> Any:
    """`config` with data that is found from the folder in which the run was started, where its
    place is relative and the run is looked at from elsewhere.
    """
    places = {"data": config.data, "test": config.test}
    found = {k: place_from(known["folder"], v) for k, v in places.items() if v is not None}
    return dataclasses.replace(config, **found)


def place_from(folder: str, data: str) -> str:
    """`data` as it is found from here, where it is relative to the folder of the start."""
    kind, _, place = data.partition(":")
    plain = place.split(":")[0]
    if not plain or Path(plain).exists() or not (Path(folder) / plain).exists():
        return data
    return f"{kind}:{Path(folder) / place}"


def place_of(experiment: Experiment, folder: Path) -> str:
    """The name of the training data of a run, as it is found from here."""
    known = read(folder)
    return experiment.data if known is None else from_here(experiment, known).data
