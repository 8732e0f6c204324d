"""Parts of data that are done on several machines, each by itself: --shard I/N, one file a part.

The files are called so that they sort, and each says in its metadata what it was made of: a part
that is there is not done again, and together they are one data set of Parquet.
"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ssljax.data.dataset import divisible

_ABOUT = b"ssljax"


def part_of(shard: str) -> tuple[int, int]:
    """(i, n) of "i/n". Raises: ValueError unless 0 <= i < n."""
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    if found is None or not int(found[1]) < int(found[2]):
        raise ValueError(f"--shard {shard}: write i/n with i from 0 to n - 1, such as 0/8")
    return int(found[1]), int(found[2])


def file_of(out: Path, i: int, n: int) -> Path:
    """NAME-0000i-of-0000n.parquet for NAME.parquet. Raises: ValueError for other endings."""
    if out.suffix != ".parquet":
        raise ValueError(f"--out {out}: shards are .parquet, which is read as one data set")
    return out.with_name(f"{out.stem}-{i:05d}-of-{n:05d}.parquet")


def rows_of_part(dataset: Any, i: int, n: int) -> range:
    """The consecutive examples of part i of n. Raises: ValueError where the data has no parts."""
    size = len(dataset)
    if not divisible(dataset):
        raise ValueError(
            "this data is one long text, or pairs, and is not split: leave out --shard"
        )
    if n > size:
        raise ValueError(f"--shard {i}/{n}: the data has only {size:,} examples")
    return range(size * i // n, size * (i + 1) // n)


def said(about: dict[str, Any]) -> dict[bytes, bytes]:
    """What a file says of itself, as metadata of its schema."""
    return {_ABOUT: json.dumps(about).encode()}


def whole(path: Path, about: dict[str, Any]) -> int | None:
    """The rows of a finished file that says just this of itself; None for any other."""
    try:
        found = pq.read_metadata(path)
        now = json.loads((found.metadata or {})[_ABOUT])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return found.num_rows if now == about else None
