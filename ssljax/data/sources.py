"""Where examples come from: one random-access object per kind of storage, named by a short text.

    digits    tfds:NAME[:SPLIT]    parquet:PATH[:SPLIT]    folder:PATH[:SPLIT]    npz:PATH[:SPLIT]

A source reads records and decodes nothing. It can be pickled to worker processes, where it opens
its files again. Nothing is downloaded, no archive is unpacked, and nothing is ever unpickled from a
file.
"""

import difflib
import functools
import re
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from ssljax.data.folder import folder_splits, open_folder
from ssljax.data.labels import Column, classes_of
from ssljax.data.npz import Npz, npz_splits
from ssljax.data.parquet import Parquet, parquet_files
from ssljax.data.split_names import SPLITS, normal


class Source(Protocol):
    """Random access to records."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes of all splits; None where no split has labels."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> dict[str, Any]:
        """What is stored of example i, such as {"image": bytes or array}; with its label only where
        all labels cannot be read without all of the data.
        """
        ...

    def labels(self) -> np.ndarray | None:
        """All labels, int32 [N], -1 where an example has none; None where none has one."""
        ...

    def name(self, i: int) -> str:
        """What to call example i in a message."""
        ...

    def key(self, i: int) -> str:
        """What a person calls example i: a file below the folder of the data, or file and row."""
        ...


def open_source(
    spec: str, *, split: str, label: str | None = None, most: int = 4 * 2**30
) -> Source:
    """The source that `spec` names. A split in the spec counts more than `split`.

    label: the column of labels in Parquet; None to find it, "" for none. most: bytes of an .npz
    that may be held.
    Raises: ValueError or FileNotFoundError that say what was found and what to do.
    """
    kind, place, named = _parse(spec)
    split = named or normal(split)
    source: Source
    if kind == "tfds":
        source = Tfds(place, split)
    elif kind == "digits":
        source = {"train": Digits}.get(split, lambda: _no_split(spec, split, ("train",)))()
    else:
        parts = {"parquet": parquet_files, "folder": folder_splits, "npz": npz_splits}[kind](place)
        if split not in parts:
            _no_split(spec, split, tuple(s for s in SPLITS if s in parts))
        source = {
            "parquet": lambda: Parquet(place, split, label),
            "folder": lambda: open_folder(place, split),
            "npz": lambda: Npz(place, split, most),
        }[kind]()
    if not len(source):
        raise ValueError(f"{spec} ({split}) holds no examples")
    return source


def _no_split(spec: str, split: str, available: tuple[str, ...]) -> NoReturn:
    hint = "" if spec == "digits" else f"; add one to the name to read it, as in :{available[0]}"
    raise ValueError(f"{spec} has no split {split!r}: it has {', '.join(available)}{hint}")


def splits(spec: str) -> tuple[str, ...]:
    """The splits that `spec` offers, of train, validation and test; just the one that it names."""
    kind, place, named = _parse(spec)
    if named:
        return (named,)
    if kind == "digits":
        return ("train",)
    find = {
        "tfds": lambda name: {normal(s) for s in _tfds_builder(name).info.splits},
        "parquet": parquet_files,
        "folder": folder_splits,
        "npz": npz_splits,
    }
    found = find[kind](place)
    return tuple(s for s in SPLITS if s in found)


def _parse(spec: str) -> tuple[str, str, str | None]:
    """(kind, place, split or None) of "kind:place[:split]"; a place may hold colons itself."""
    kind, _, place = spec.partition(":")
    kinds = ("digits", "tfds", "parquet", "folder", "npz")
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"data {spec!r}: start with digits, tfds:, parquet:, folder: or npz:{hint}"
        )
    if kind == "digits":
        if place:
            raise ValueError(f"data {spec!r}: digits has no path, and no split but train")
        return kind, "", None
    if not place:
        raise ValueError(
            f"data {spec!r}: name what to read, as in {kind}:{'NAME' if kind == 'tfds' else 'PATH'}"
        )
    if kind == "tfds":  # name, name/config, name:1.0.0, each with a split such as train[:80%]
        found = re.fullmatch(r"([^:]+(?::[\d*]+\.[\d*]+\.[\d*]+)?)(?::(.+))?", place)
        if found is None:
            raise ValueError(f"data {spec!r}: write tfds:NAME or tfds:NAME:SPLIT")
        return kind, found[1], found[2] and normal(found[2])
    head, _, tail = place.rpartition(":")
    if head and normal(tail) in SPLITS and not Path(place).exists():
        return kind, head, normal(tail)
    if head and not Path(place).exists() and Path(head).exists():
        raise ValueError(f"data {spec!r}: there is no split {tail!r}, only {', '.join(SPLITS)}")
    return kind, place, None


class Digits:
    """The 1,797 handwritten digits of scikit-learn: 8x8, grey, 0 to 16 scaled to 0 to 255."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # half a second

        digits: Any = load_digits()  # a Bunch, unless it is asked for a pair
        self._images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        self._labels = digits.target.astype(np.int32)
        self.classes = tuple(map(str, range(10)))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"image": self._images[i]}

    def labels(self) -> np.ndarray:
        return self._labels

    def name(self, i: int) -> str:
        return f"digits[{i}]"

    key = name

    def __repr__(self) -> str:
        return "Digits()"


@functools.cache
def _tfds_builder(name: str) -> Any:
    import tensorflow_datasets as tfds  # seconds

    try:
        builder = tfds.builder(name, file_format="array_record")
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(
            name.split("/")[0].split(":")[0], tfds.list_builders(with_community_datasets=False)
        )
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(
            f"tfds:{name}: TensorFlow Datasets knows no such data set{hint}"
        ) from error
    prepare = (
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}').download_and_prepare(file_format='array_record')\""
        "\n(many builders need TensorFlow for that: pip install 'ssljax[tfds-prepare]')"
    )
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"tfds:{name} is not prepared in {builder.data_dir}, and nothing is downloaded "
            f"silently. Prepare it once with\n  {prepare}"
        )
    stored = builder.info.file_format
    if stored is None or stored.value != "array_record":
        raise ValueError(
            f"tfds:{name} in {builder.data_dir} is stored as {stored and stored.value}, "
            f"which has no random access. Move it away and prepare it again with\n  {prepare}"
        )
    return builder


class Tfds:
    """A prepared TensorFlow Datasets data set, read without TensorFlow."""

    def __init__(self, name: str, split: str) -> None:
        import tensorflow_datasets as tfds

        self._name, self._split = name, split
        builder = _tfds_builder(name)
        known = {normal(n): n for n in builder.info.splits}
        base = re.split(r"[\[+]", split)[0]
        if normal(base) not in known:
            raise ValueError(f"tfds:{name} has no split {base!r}: it has {', '.join(known)}")
        split = known[normal(base)] + split[len(base) :]
        features = builder.info.features
        self._image, self._label = (
            next((k for k, f in features.items() if isinstance(f, kind)), None)
            for kind in (tfds.features.Image, tfds.features.ClassLabel)
        )
        if self._image is None:
            raise ValueError(f"tfds:{name} has no images: its features are {', '.join(features)}")
        self.classes = tuple(features[self._label].names) if self._label else None
        # Decoding is ours, so that it happens once and in our processes.
        decoders = {self._image: tfds.decode.SkipDecoding()}
        self._source = builder.as_data_source(split=split, decoders=decoders)
        self._labels: np.ndarray | None = None  # read when they are asked for
        first = range(min(len(self), 100)) if self._label else ()
        if all(self._source[i][self._label] < 0 for i in first):
            self._label = None  # the labels of many test splits are hidden: -1

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, i: int) -> dict[str, Any]:
        row = self._source[i]
        label = {"label": int(row[self._label])} if self._label else {}
        return {"image": row[self._image], **label}

    def labels(self) -> np.ndarray | None:
        if self._label is None:
            return None
        if self._labels is None:
            cells = np.array([self._source[i][self._label] for i in range(len(self))])
            column = {self._split: Column(cells, self.name)}
            self._labels, _ = classes_of(
                column, self._split, place=f"tfds:{self._name}", names=self.classes
            )
        return self._labels

    def name(self, i: int) -> str:
        return f"tfds:{self._name} {self._split}[{i}]"

    def key(self, i: int) -> str:
        return f"{self._split}[{i}]"

    def __reduce__(self) -> tuple:
        return Tfds, (self._name, self._split)

    def __repr__(self) -> str:
        return f"Tfds({self._name}, {self._split})"
