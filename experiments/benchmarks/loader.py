"""Images per second that come out of the loaders, before any device sees them.

    python experiments/benchmarks/loader.py                       # two minutes
    python experiments/benchmarks/loader.py --seconds 0.2 --repeats 1 --workers 0
    python experiments/benchmarks/loader.py --pictures 1000       # and JPEGs of 500x400, as below

Three rows for images of 32x32x3 in batches of 512, in one run on one machine:

- ssljax.data.Arrays: uint8 in memory, indexed by the permutation of the epoch;
- torch DataLoader over a TensorDataset with the same arrays, shuffled (where torch is installed);
- ssljax.data.Stream: PNG bytes in a Parquet file that this program writes to a temporary folder,
  decoded while reading.

With --pictures N also N JPEGs of 500x400 (about 95 KB each) that become 224x224, in
batches of 64: from their folder by ssljax and by a DataLoader that does the same with Pillow, and
from the shards that `ssljax prepare` makes of them once, with the shorter side at 256 and at 224.

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
from ssljax.data.prepare import prepare

SIDE, CLASSES = 32, 10
LARGE, PLAIN = 64, 224  # batch and side of pictures that were large
ARRAYS, TORCH = "ssljax Arrays (memory)", "torch DataLoader, TensorDataset"
PEER = "torch DataLoader, folder of JPEG"


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


def write_pictures(folder: Path, n: int) -> None:
    """JPEGs of 500x400 in two classes: blurred colours under grain."""
    random = np.random.default_rng(0)
    for i in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (16, 20, 3), dtype=np.uint8))
        grain = random.normal(0, 12, (400, 500, 1))
        image = np.asarray(coarse.resize((500, 400), Image.Resampling.BICUBIC)) + grain
        file = folder / "ab"[i % 2] / f"{i:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(file, quality=90)


class Pictures:
    """A map-style data set for a DataLoader: what `Images(size=224)` does, in Pillow's words."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        image = Image.open(self._files[i]).convert("RGB")
        scale = PLAIN / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), 3)
        left, top = (image.width - PLAIN) // 2, (image.height - PLAIN) // 2
        array = np.asarray(image.crop((left, top, left + PLAIN, top + PLAIN)))
        return array, int(self._files[i].parent.name == "b")


def picture_cases(folder: Path, *, workers: int) -> dict[str, Callable[[], Iterator[Any]]]:
    """As `cases`, of the JPEGs in `folder`/pictures, which are prepared beside them."""
    place, found = folder / "pictures", {}
    specs = {"ssljax Stream, folder of JPEG": f"folder:{place}"}
    for side in (256, PLAIN):
        prepare(f"folder:{place}", folder / f"side{side}", size=side, shard=256)
        specs[f"ssljax Stream, prepared at {side}"] = f"parquet:{folder / f'side{side}'}"
    if importlib.util.find_spec("torch") is not None:

        def peer() -> Iterator[Any]:
            from torch.utils.data import DataLoader

            loader = DataLoader(
                Pictures(place),  # pyright: ignore[reportArgumentType]  # has what is called of it
                batch_size=LARGE,
                shuffle=True,
                drop_last=True,
                num_workers=workers,
                persistent_workers=workers > 0,
                # A fork copies locks that threads of this process may hold.
                multiprocessing_context="spawn" if workers else None,
            )
            while True:
                yield from loader

        found[PEER] = peer
    for name, spec in specs.items():
        images = data.Images(size=PLAIN)
        stream = data.load(spec, images=images, in_memory_bytes=0, workers=workers)
        found[name] = lambda s=stream: s.batches(LARGE, seed=0)
    return found


def speed(batches: Iterator[Any], *, batch: int, seconds: float) -> float:
    """Examples per second of the batches that come within `seconds`, at least one."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    return count * batch / (time.perf_counter() - start)


def measure(
    todo: dict[str, Callable[[], Iterator[Any]]], *, batch: int, seconds: float, repeats: int
) -> dict[str, list[float]]:
    """Name -> examples per second, one for each repeat."""
    found: dict[str, list[float]] = {}
    for _, (name, begin) in itertools.product(range(repeats), todo.items()):
        iterator = begin()
        speed(iterator, batch=batch, seconds=seconds)
        found.setdefault(name, []).append(speed(iterator, batch=batch, seconds=seconds))
        if hasattr(iterator, "close"):
            iterator.close()  # ends its processes, which would disturb the next
    return found


def lines_of(found: dict[str, list[float]], head: str) -> str:
    """A table: median, lowest and highest of each case."""
    header = [head, "images/s", "lowest", "highest"]
    rows = {name: (statistics.median(v), min(v), max(v)) for name, v in found.items()}
    lines = [[name, *(f"{x:,.0f}" for x in numbers)] for name, numbers in rows.items()]
    return machine.table([header, *lines])


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=50_000, help="in memory")
    parser.add_argument("--streamed", type=int, default=10_000, help="of those, in Parquet")
    parser.add_argument("--pictures", type=int, default=0, help="JPEGs of 500x400; 0: none")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    where = machine.environment()
    rows, how = made_up(options.examples), {"seconds": options.seconds, "repeats": options.repeats}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.parquet"
        write_parquet(file, {k: v[: options.streamed] for k, v in rows.items()})
        todo = cases(rows, file, batch=options.batch, workers=options.workers)
        found = measure(todo, batch=options.batch, **how)
        large: dict[str, list[float]] = {}
        if options.pictures:
            write_pictures(Path(folder) / "pictures", options.pictures)
            todo = picture_cases(Path(folder), workers=max(options.workers))
            large = measure(todo, batch=LARGE, **how)
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    print(f"\n{lines_of(found, f'loader, batch {options.batch} of 32x32x3')}")
    if large:
        print(f"\n{lines_of(large, f'JPEG of 500x400 to 224x224, {max(options.workers)} workers')}")
    peers = [name for name in found if name.startswith(TORCH)]
    ratios = []
    if peers:
        best = max(peers, key=lambda name: statistics.median(found[name]))
        ratios = [
            machine.ratio(
                "loader, 32x32x3 in memory", "images/s", found[ARRAYS], found[best], against=best
            )
        ]
    for name in (name for name in large if PEER in large and name != PEER):
        what = f"pictures, {name.removeprefix('ssljax Stream, ')}"
        ratios.append(machine.ratio(what, "images/s", large[name], large[PEER], against=PEER))
        print(f"{name}: {ratios[-1]['ratio']:.2f} of {PEER}")
    result = {
        "environment": where,
        "options": vars(options),
        "images_per_second": found | large,
        "ratios": ratios,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=str) + "\n")
    return result


if __name__ == "__main__":
    main()
