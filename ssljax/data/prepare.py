"""Pictures of any data written once, small, as shards that training reads fast: `ssljax prepare`.

DIR/train-00000-of-00013.parquet (see `packed`) holds pictures in the order of the data. Each is
whole or absent, so a job that was killed goes on where it was, and several machines may write into
one folder. DIR/prepare.json says what was asked for; other wishes need another folder.
"""

import logging
import os
import re
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ssljax.data import packed
from ssljax.data.corrupt import CorruptExample
from ssljax.data.decode import READ_ERRORS
from ssljax.data.images import Images
from ssljax.data.sources import Source, open_source, splits
from ssljax.files import read_json, write_json

log = logging.getLogger("ssljax")
SHARD = 4096  # pictures of a shard
_ABOUT = "prepare.json"


class Prepared(NamedTuple):
    """What a call of `prepare` has done, and what there is now."""

    written: int
    """Shards that this call has written."""
    there: int
    """Shards that were there before."""
    shards: int
    """Shards of the whole."""
    pictures: int
    """In the shards that are there."""
    left_out: list[str]
    """Pictures that cannot be read, in the shards that are there: name and reason."""


def prepare(
    spec: str,
    out: Path,
    *,
    size: int,
    label: str | None = None,
    part: tuple[int, int] = (0, 1),
    shard: int = SHARD,
) -> Prepared:
    """Writes all splits of `spec` into the folder `out`, from which parquet:OUT reads them with the
    same names, classes and order.

    Args:
      spec: as of `ssljax.data.load`, of pictures.
      size: the shorter side in pixels; what is no larger is kept byte for byte.
      label: the column of labels in Parquet; None to find it, "" for none.
      part: (i, n) writes each n-th shard alone, from the i-th on: for n machines at once.
      shard: pictures of one shard.
    Raises: ValueError or FileNotFoundError where the data cannot be read, where `out` holds
      anything else, and where no picture at all can be read.
    """
    images = Images(size=size)
    sources = {name: open_source(spec, split=name, label=label) for name in splits(spec)}
    _enter(out, spec, _settings(spec, sources, size=size, label=label, shard=shard))
    counts = {name: -(-len(source) // shard) for name, source in sources.items()}
    todo = [(name, k) for name, count in counts.items() for k in range(count)]
    written, start = 0, time.perf_counter()
    mine = todo[part[0] :: part[1]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for at, (name, k) in enumerate(mine, 1):
            path = _path(out, name, k, counts[name])
            if _finished(path, counts[name]) is not None:
                continue
            rows = range(k * shard, min((k + 1) * shard, len(sources[name])))
            _write(path, sources[name], rows, images.shrunk, pool, shards=counts[name])
            written += 1
            each = (time.perf_counter() - start) / written
            rest = (len(mine) - at) * each / 60
            log.info("%s: shard %d of %d, %.1f minutes to go", path.name, at, len(mine), rest)
    paths = [_path(out, name, k, counts[name]) for name, k in todo]
    pairs = zip(paths, todo, strict=True)
    found = [s for path, (name, _) in pairs if (s := _finished(path, counts[name])) is not None]
    done = Prepared(
        written=written,
        there=len(found) - written,
        shards=len(todo),
        pictures=sum(s.rows for s in found),
        left_out=[reason for s in found for reason in s.left_out],
    )
    if len(found) == len(todo) and not done.pictures:
        raise ValueError(f"{spec}: no picture can be read, such as {done.left_out[0]}")
    return done


def _write(
    path: Path,
    source: Source,
    rows: range,
    shrink: Callable[[Any, str], bytes],
    pool: ThreadPoolExecutor,
    *,
    shards: int,
) -> None:
    def one(i: int) -> bytes | str:
        name = source.name(i)
        try:
            return shrink(source[i]["image"], name)
        except CorruptExample as error:
            return str(error)
        except READ_ERRORS as error:
            return f"{name}: cannot be read: {error}"

    for left in path.parent.glob(f".{path.name}.*.tmp.parquet"):  # of a call that was killed
        left.unlink(missing_ok=True)
    made = list(pool.map(one, rows))
    bad = [x for x in made if isinstance(x, str)]
    for reason in bad:
        log.warning("left out: %s", reason)
    good = [(i, x) for i, x in zip(rows, made, strict=True) if isinstance(x, bytes)]
    labels = source.labels()
    packed.write(
        path,
        [x for _, x in good],
        [source.key(i) for i, _ in good],
        None if labels is None else [int(labels[i]) for i, _ in good],
        classes=source.classes,
        shards=shards,
        left_out=bad,
    )


def _enter(out: Path, spec: str, wanted: dict[str, Any]) -> None:
    """Makes the folder, or checks that it is one of the same wishes."""
    place = Path(re.sub(r"^\w+:", "", spec))
    if place.exists() and out.resolve().is_relative_to(place.resolve()):
        raise ValueError(f"--out {out} lies in the data itself: name a folder elsewhere")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file: name a folder")
    if not (out / _ABOUT).is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"--out {out} holds something else: name a new or empty folder")
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / _ABOUT, wanted)
    found = read_json(out / _ABOUT, dict, remedy="Name another folder")
    if other := [key for key in wanted if found.get(key) != wanted[key]]:
        what = ", ".join(f"{k} {found.get(k)} instead of {wanted[k]}" for k in other)
        raise ValueError(f"--out {out} was prepared otherwise ({what}): name another folder")


def _settings(spec: str, sources: dict[str, Source], **wishes: Any) -> dict[str, Any]:
    """What makes the shards: the wishes, and names and labels of the data."""
    content = 0
    for source in sources.values():
        for i in range(len(source)):
            content = zlib.crc32(source.key(i).encode("utf-8", "surrogateescape"), content)
        if (labels := source.labels()) is not None:
            content = zlib.crc32(labels.tobytes(), content)
    kind, _, place = spec.partition(":")
    whole = f"{kind}:{Path(place).resolve()}" if Path(place).exists() and place else spec
    sizes = {name: len(source) for name, source in sources.items()}
    classes = next((list(s.classes) for s in sources.values() if s.classes), None)
    said = {"data": whole, "splits": sizes, "names": content, "classes": classes}
    return wishes | said


def _path(out: Path, split: str, k: int, count: int) -> Path:
    word = re.split(r"[^a-zA-Z]", split)[0]  # of train[:80%] too
    return out / f"{word}-{k:05d}-of-{count:05d}.parquet"


def _finished(path: Path, shards: int) -> packed.Shard | None:
    """What a shard says that is there; None where it is not, or is damaged."""
    if not path.is_file():
        return None
    try:
        found = packed.about(path)
    except ValueError as error:
        log.warning("written once more: %s", error)
        return None
    return found if found is not None and found.shards == shards else None
