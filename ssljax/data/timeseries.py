"""Multivariate time series in the .ts format of the UEA archive (Bagnall et al. 2018,
arXiv:1811.00075): channels separated by colons, numbers by commas, the class at the end.

    ts:PATH    a folder with NAME_TRAIN.ts and NAME_TEST.ts, or one file

A row is {"series": float32 [T, C], "steps": bool [T]}: shorter series are padded with zeros, and
`steps` says which steps are real.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ssljax.data.cells import read_text
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.learnt import Prepared, learnt
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.walk import find

log = logging.getLogger("ssljax")
FILE = "scaling.json"


@dataclass(frozen=True, kw_only=True)
class TimeSeries:
    """How series become rows."""

    plain_name: ClassVar[str] = "mean and spread"
    length: int | None = None
    """Steps of a row, T; longer series are cut. None: those of the longest training series."""
    standardize: bool = True
    """Every channel less its mean, over its spread, in the training split."""

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise ValueError(f"length {self.length}: a series needs at least one step")

    def prepared(self, spec: str, folder: Path | None = None) -> "TimeSeries | Prepared":
        """With mean and spread of the channels of the training split of `spec`, and the steps of
        its longest series, kept in `folder`; itself without a folder: it then reads them from
        whatever data it is given.
        """
        if folder is None or not (self.standardize or self.length is None):
            return self
        return Prepared(self, learnt(folder, FILE, lambda: _scaling(self._first(spec))))

    def _first(self, spec: str) -> list[np.ndarray]:
        """The series of the training split, or of the one that there is."""
        files = _files(spec)
        return read_ts(files["train" if "train" in files else next(iter(files))]).series

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        found = _files(spec)
        return tuple(s for s in SPLITS if s in found)

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`. Raises: ValueError or FileNotFoundError that say what to do."""
        del in_memory_bytes, workers
        return self.scaled(spec, normal(split), None)

    def scaled(self, spec: str, split: str, known: dict[str, Any] | None) -> Arrays:
        """A split by the mean and spread of other data; None: those of `spec` itself."""
        files = _files(spec, say=True)
        if normal(split) not in files:
            raise ValueError(f"{spec} has no split {split!r}: it has {', '.join(files)}")
        series, labels, classes, lines = read_ts(files[normal(split)])
        train = read_ts(files["train"]) if "train" in files else None
        if train is not None and labels is not None and train.classes != classes:
            labels, classes = _renumbered(labels, classes, train.classes, files[normal(split)])
        if train is not None and train.series[0].shape[1] != series[0].shape[1]:
            raise ValueError(
                f"{files[normal(split)]}: {series[0].shape[1]} channels, and {files['train']} has "
                f"{train.series[0].shape[1]}"
            )
        if known is None:
            known = _scaling(series if train is None else train.series)
        found = self.rows_of(series, known, str(spec))
        lengths, most = np.array([len(x) for x in series]), found["steps"].shape[1]
        if (lengths > most).any():
            log.warning(
                "%s (%s): %d of %d series are longer than %d steps and are cut (the longest has "
                "%d): raise --reader.length to keep all of them",
                *(spec, normal(split), (lengths > most).sum(), len(series)),
                *(most, lengths.max()),
            )
        if labels is not None:
            found["label"] = labels
        file = files[normal(split)].name
        return Arrays(found, classes=classes, names=[f"{file}:{n}" for n in lines])

    def rows_of(
        self, series: Sequence[np.ndarray], scaling: dict[str, Any] | None, what: str
    ) -> Rows:
        """Rows of series [T, C], scaled and padded. Raises: ValueError for another C."""
        channels = series[0].shape[1]
        length = self.length or (scaling or {}).get("steps") or max(map(len, series))
        mean, std = 0.0, 1.0
        if scaling is not None and self.standardize:
            mean, std = (np.array(scaling[name]) for name in ("mean", "std"))
            if channels != len(mean):
                raise ValueError(
                    f"{what} has {channels} channels, and the data of the run had {len(mean)}"
                )
        rows = np.zeros((len(series), length, channels), np.float32)
        real = np.zeros((len(series), length), bool)
        for i, x in enumerate(series):
            n = min(len(x), length)
            rows[i, :n], real[i, :n] = ((x - mean) / std)[:n], True
        return {"series": rows, "steps": real}

    def rows(self, series: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """Rows of series [T, C] as they are. Raises: ValueError where they are to be scaled."""
        if self.standardize:
            raise ValueError(
                "this run is of an older version, which kept no mean and spread of its channels: "
                "name data in place of arrays"
            )
        return self.given(series, None, like)

    def given(self, values: Sequence[Any], known: dict[str, Any] | None, like: Any) -> Rows:
        """Rows of series [T, C] from Python. Raises: ValueError for other shapes or values."""
        del like
        found = [np.asarray(x, np.float64) for x in values]
        for i, x in enumerate(found):
            if x.ndim != 2 or not len(x) or x.shape[1] != found[0].shape[1]:
                raise ValueError(f"example {i}: series are [T, C] with one C, not {x.shape}")
            if not np.isfinite(x).all():
                raise ValueError(f"example {i}: missing values are not read here: fill them in")
        return self.rows_of(found, known, "this series")

    def shapes(self) -> Spec | None:
        """None: the number of channels is in the data."""
        return None

    def plain(self, rows: Rows) -> np.ndarray:
        """Mean and standard deviation of each channel over the real steps, [B, 2 C]."""
        x, real = rows["series"].astype(np.float64), rows["steps"][..., None]
        count = np.maximum(real.sum(1), 1)
        mean = (x * real).sum(1) / count
        spread = np.sqrt((((x - mean[:, None]) ** 2) * real).sum(1) / count)
        return np.concatenate([mean, spread], axis=1).astype(np.float32)


def _scaling(series: Sequence[np.ndarray]) -> dict[str, Any]:
    steps = np.concatenate(series)
    std = np.maximum(steps.std(0), 1e-8)
    longest = max(map(len, series))
    return {"mean": steps.mean(0).tolist(), "std": std.tolist(), "steps": longest}


def _files(spec: str, *, say: bool = False) -> dict[str, Path]:
    kind, _, place = spec.partition(":")
    if kind != "ts" or not place:
        raise ValueError(f"data {spec!r}: time series are ts:PATH")
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"{spec}: there is no such file or folder")
    files = [path]
    if path.is_dir():
        names = find(place, kind="ts", suffixes=[".ts"], what="series")
        files = [path / name for name in names.names]
        if say:
            names.say(spec)
    found: dict[str, Path] = {}
    for file in files:
        word = normal(file.stem.rpartition("_")[2].lower())
        split = word if word in SPLITS else "train"
        if split in found:
            raise ValueError(
                f"{spec}: {found[split].name} and {file.name} are both {split}: name one"
            )
        found[split] = file
    return found


def _renumbered(
    labels: np.ndarray, classes: tuple[str, ...] | None, train: tuple[str, ...] | None, file: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels by the classes of the training split, which its head lists in another order."""
    classes, train = classes or (), train or ()
    strange = [name for name in classes if name not in train]
    if strange:
        raise ValueError(f"{file}: class {strange[0]!r} is none of training, {', '.join(train)}")
    place = np.array([train.index(name) for name in classes] + [-1], np.int32)
    return place[labels], train


class Series(NamedTuple):
    """What is in a .ts file: series, each float64 [T, C]; classes int32 [N] or None; their names or
    None; the line of each.
    """

    series: list[np.ndarray]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    lines: list[int]


def read_ts(path: Path) -> Series:
    """A .ts file.

    Raises: ValueError that names the line: for missing values, time stamps, an unknown class,
      channels that differ in number or length, what is asked for that is no class.
    """
    series: list[np.ndarray] = []
    labels: list[int] = []
    lines: list[int] = []
    names: tuple[str, ...] | None = None
    data = False
    for number, line in enumerate(read_text(Path(path)).split("\n"), start=1):
        line, where = line.strip(), f"{path}, line {number}"
        if not line or line.startswith("#"):
            continue
        if not data:
            tag, *words = line.split()
            tag, true = tag.lower(), words[:1] != [] and words[0].lower() == "true"
            if tag == "@classlabel" and true:
                names = tuple(words[1:])
                if not names or len(set(names)) < len(names):
                    raise ValueError(f"{where}: names no class, or one of them twice")
            if tag == "@timestamps" and true:
                raise ValueError(f"{where}: series with time stamps are not read here")
            if tag == "@targetlabel" and true:
                raise ValueError(f"{where}: series with a number to predict are not read here")
            data = tag == "@data"
            continue
        channels = line.split(":")
        if names is not None:
            label = channels.pop().strip()
            if label in ("", "?"):
                labels.append(-1)
            elif label not in names:
                raise ValueError(f"{where}: class {label!r}, but the classes are {list(names)}")
            else:
                labels.append(names.index(label))
        try:
            x = np.array([[float(v) for v in c.split(",")] for c in channels]).T
        except ValueError as error:
            raise ValueError(f"{where}: not a series of numbers, equally long: {error}") from error
        if series and x.shape[1] != series[0].shape[1]:
            raise ValueError(f"{where}: {x.shape[1]} channels, others have {series[0].shape[1]}")
        if not np.isfinite(x).all():
            raise ValueError(f"{where}: missing values are not read here: fill them in first")
        if np.abs(x).max() > np.finfo(np.float32).max:
            raise ValueError(f"{where}: {np.abs(x).max():g} is more than a float32 holds")
        series.append(x)
        lines.append(number)
    if not series:
        raise ValueError(f"{path} holds no series: is it a .ts file with @data?")
    return Series(series, np.array(labels, np.int32) if names else None, names, lines)
