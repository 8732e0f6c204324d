"""Images per second that come out of the loaders, before any device sees them.

    python experiments/benchmarks/loader.py                       # two minutes
    python experiments/benchmarks/loader.py --seconds 0.2 --repeats 1 --workers 0

Three rows for images of 32x32x3 in batches of 512, in one run on one machine:

- ssljax.data.Arrays: uint8 in memory, indexed by the permutation of the epoch;
- torch DataLoader over a TensorDataset with the same arrays, shuffled (where torch is installed);
- ssljax.data.Stream: PNG bytes in a Parquet file that this program writes to a temporary folder,
  decoded while reading.

Batches come without end. Before each measurement as many are taken as come in --seconds, untimed:
what workers had prepared while they started is not their speed. A number is the median over
--repeats of `examples / seconds`, in turn A B C A B C, so that a busy machine hurts all alike. A
batch counts when it lies in NumPy (or torch) memory; nothing is copied to a device. The DataLoader
keeps its processes from epoch to epoch (persistent_workers).
"""

import argparse
import importlib.util
import io
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ssljax import data

SIDE, CLASSES = 32, 10
ARRAYS, TORCH = "ssljax Arrays (memory)", "torch DataLoader, TensorDataset"


def made_up(n: int) -> dict[str, np.ndarray]:
    """Smooth images [n, 32, 32, 3] with labels [n]; noise would be the worst case of any codec."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    image = coarse.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    return {"image": image, "label": random.integers(0, CLASSES, n).astype(np.int32)}


def write_parquet(file: Path, rows: dict[str, np.ndarray]) -> None:
    """The images as PNG, in row groups of 1,000."""

    def png(image: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        return buffer.getvalue()

    columns = {"image": [png(i) for i in rows["image"]], "label": rows["label"]}
    pq.write_table(pa.table(columns), file, row_group_size=1000)


def torch_batches(rows: dict[str, np.ndarray], batch: int, workers: int) -> Iterator[Any]:
    """A DataLoader without end."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(
        TensorDataset(torch.from_numpy(rows["image"]), torch.from_numpy(rows["label"])),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


def cases(
    rows: dict[str, np.ndarray], file: Path, *, batch: int, workers: list[int]
) -> dict[str, Callable[[], Iterator[Any]]]:
    """What is timed: name -> a function that begins an endless iterator of batches."""
    arrays = data.Arrays(rows)
    found = {ARRAYS: lambda: arrays.batches(batch, seed=0)}
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: its rows are left out")
    else:
        for w in workers:
            name = f"{TORCH}, workers={w}"
            found[name] = lambda w=w: torch_batches(rows, batch, w)
    for w in workers:
        stream = data.load(f"parquet:{file}", in_memory_bytes=0, workers=w)
        name = f"ssljax Stream (Parquet, PNG), workers={w}"
        found[name] = lambda s=stream: s.batches(batch, seed=0)
    return found


def speed(batches: Iterator[Any], *, batch: int, seconds: float) -> float:
    """Examples per second of the batches that come within `seconds`, at least one."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    return count * batch / (time.perf_counter() - start)


def measure(
    rows: dict[str, np.ndarray],
    file: Path,
    *,
    batch: int,
    workers: list[int],
    seconds: float,
    repeats: int,
) -> dict[str, list[float]]:
    """Name -> examples per second, one for each repeat."""
    found: dict[str, list[float]] = {}
    todo = cases(rows, file, batch=batch, workers=workers)
    for _, (name, begin) in itertools.product(range(repeats), todo.items()):
        iterator = begin()
        speed(iterator, batch=batch, seconds=seconds)
        found.setdefault(name, []).append(speed(iterator, batch=batch, seconds=seconds))
        if hasattr(iterator, "close"):
            iterator.close()  # ends its processes, which would disturb the next
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=50_000, help="in memory")
    parser.add_argument("--streamed", type=int, default=10_000, help="of those, in Parquet")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    where = machine.environment()
    rows = made_up(options.examples)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.parquet"
        write_parquet(file, {k: v[: options.streamed] for k, v in rows.items()})
        found = measure(
            rows,
            file,
            batch=options.batch,
            workers=options.workers,
            seconds=options.seconds,
            repeats=options.repeats,
        )
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    header = [f"loader, batch {options.batch} of 32x32x3", "images/s", "lowest", "highest"]
    rows_of = {name: (statistics.median(v), min(v), max(v)) for name, v in found.items()}
    lines = [[name, *(f"{x:,.0f}" for x in numbers)] for name, numbers in rows_of.items()]
    print(f"\n{machine.table([header, *lines])}")
    peers = [name for name in found if name.startswith(TORCH)]
    ratios = []
    if peers:
        best = max(peers, key=lambda name: statistics.median(found[name]))
        ratios = [
            machine.ratio(
                "loader, 32x32x3 in memory", "images/s", found[ARRAYS], found[best], against=best
            )
        ]
    result = {
        "environment": where,
        "options": vars(options),
        "images_per_second": found,
        "ratios": ratios,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=str) + "\n")
    return result


if __name__ == "__main__":
    main()
