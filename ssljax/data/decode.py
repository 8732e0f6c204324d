"""Records to examples: what is corrupt is named, what fits is kept in memory."""

import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.sources import Source

log = logging.getLogger("ssljax")
Decode = Callable[[dict[str, Any], str], Rows]
"""(record, its name) -> leaves of an example; raises CorruptExample. `Images.decode` is one."""
# More corrupt examples than this share means that something else is wrong.
MAX_CORRUPT = 0.01
# RuntimeError: a zip member with a password or a compression that Python lacks.
READ_ERRORS = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read(source: Source, decode: Decode, i: int, spec: Spec | None = None) -> Rows:
    """Example i, decoded; with its label only where the record holds that itself.

    Raises: CorruptExample, or ValueError where the shape of a leaf is not that of `spec`.
    """
    try:
        record = source[i]
    except READ_ERRORS as error:
        raise CorruptExample(source.name(i), f"cannot be read: {error}") from error
    leaves = decode(record, source.name(i))
    shapes = {} if spec is None else {name: tuple(spec[name][0]) for name in leaves}
    for name, known in shapes.items():
        value = leaves[name]
        if np.shape(value) == known:
            continue
        if name != "image":
            raise ValueError(
                f"examples differ in shape: {name} of {source.name(i)} is {value.shape}, of "
                f"others {known}: set the reader so that all come out alike"
            )
        what = "channels" if value.shape[:2] == known[:2] else "size"
        raise ValueError(
            f"images differ in shape: {source.name(i)} is {value.shape}, others are {known}. Set "
            f"{what} so that all come out alike: Images({what}=...), on the command line "
            f"--reader.{what}"
        )
    return leaves | ({"label": np.array(record["label"], np.int32)} if "label" in record else {})


def first_good(source: Source, decode: Decode) -> Rows:
    """The first example that can be decoded, which gives the leaves and their shapes."""
    reasons = []
    for i in range(min(len(source), 100)):
        try:
            return read(source, decode, i)
        except CorruptExample as error:
            reasons.append(str(error))
    raise ValueError(
        f"{source!r}: none of the first {len(reasons)} examples can be decoded:\n  "
        + "\n  ".join(reasons[:5])
    )


def spec_of(leaves: Rows) -> Spec:
    """Shape and dtype of each leaf of an example."""
    return {name: (np.shape(value), np.asarray(value).dtype) for name, value in leaves.items()}


def size_of(source: Source, decode: Decode) -> int:
    """Bytes of all examples, decoded."""
    return len(source) * sum(np.asarray(x).nbytes for x in first_good(source, decode).values())


def check_corrupt(skipped: Sequence[str], size: int) -> None:
    """Raises ValueError with the list where more than 1% of the examples are corrupt."""
    if len(skipped) > MAX_CORRUPT * size:
        more = f"\n  and {len(skipped) - 20} more" if len(skipped) > 20 else ""
        raise ValueError(
            f"{len(skipped)} of {size} examples are corrupt, more than {MAX_CORRUPT:.0%}: repair "
            "or remove them\n  " + "\n  ".join(skipped[:20]) + more
        )


def in_memory(source: Source, decode: Decode) -> Arrays:
    """All of `source`, decoded by threads; corrupt examples are left out, counted and named.

    Small images cost about 0.15 ms each whatever the number of threads, most of it spent by Pillow
    in Python on the header; large ones scale with the cores.
    """
    spec, size = spec_of(first_good(source, decode)), len(source)
    rows = {name: np.empty((size, *shape), dtype) for name, (shape, dtype) in spec.items()}

    def load(i: int) -> str | None:
        try:
            leaves = read(source, decode, i, spec)
        except CorruptExample as error:
            return str(error)
        for name, value in leaves.items():
            rows[name][i] = value
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = list(pool.map(load, range(size)))
    skipped = [reason for reason in reasons if reason is not None]
    check_corrupt(skipped, size)
    if "label" not in rows and (labels := source.labels()) is not None:
        rows["label"] = labels
    origin = np.arange(size)
    if skipped:
        log.warning(
            "left out %d corrupt example(s) of %d: %s", len(skipped), size, "; ".join(skipped[:10])
        )
        origin = np.array([i for i, reason in enumerate(reasons) if reason is None])
        rows = {key: value[origin] for key, value in rows.items()}
    names = [source.key(i) for i in origin.tolist()]
    return Arrays(rows, classes=source.classes, names=names, origin=origin, skipped=skipped)
