"""Where arrays live: one mesh with axes (data, model), one placement rule, global batches.

A batch is split over `data`. Parameters, optimizer state and everything in `extra` follow one rule
for each array: replicated, or with `fsdp` split over `data` along its largest divisible axis, and
with `model` > 1 split over `model` along its last axis. XLA inserts the collectives, so a method
sees global arrays.
"""

import math
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# Splitting a small array saves nothing and costs a collective.
_SMALLEST_SPLIT = 2**14


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """How a run is spread over devices."""

    fsdp: bool = False
    """Split parameters, optimizer and targets over the data axis (ZeRO-3) instead of copying them.
    """
    model: int = 1
    """Size of the model axis; the data axis gets the other devices."""

    def mesh(self, devices: Sequence[Any] | None = None) -> Mesh:
        """The mesh over all devices (or the given ones)."""
        devices = jax.devices() if devices is None else devices
        if len(devices) % self.model:
            raise ValueError(
                f"parallel.model {self.model} does not divide the {len(devices)} devices"
            )
        # Explicit axes, the default, would make every z @ z.T over a sharded batch a type error.
        return jax.make_mesh(
            (len(devices) // self.model, self.model),
            ("data", "model"),
            axis_types=(AxisType.Auto, AxisType.Auto),
            devices=devices,
        )

    def place(self, tree: Any, mesh: Mesh) -> Any:
        """A NamedSharding for each leaf of `tree` (arrays or ShapeDtypeStructs)."""
        data, model = mesh.shape["data"], mesh.shape["model"]

        def rule(leaf: Any) -> NamedSharding:
            spec: list[str | None] = [None] * leaf.ndim
            if math.prod(leaf.shape) >= _SMALLEST_SPLIT:
                if model > 1 and leaf.ndim > 1 and leaf.shape[-1] % model == 0:
                    spec[-1] = "model"
                free = [
                    a for a in range(leaf.ndim) if spec[a] is None and leaf.shape[a] % data == 0
                ]
                if self.fsdp and data > 1 and free:
                    spec[max(free, key=lambda a: leaf.shape[a])] = "data"
            return NamedSharding(mesh, P(*spec))

        return jax.tree.map(rule, tree)


def batch_sharding(mesh: Mesh, *, stacked: bool = False) -> NamedSharding:
    """Sharding of a batch [B, ...], or of batches stacked for several steps [S, B, ...]."""
    return NamedSharding(mesh, P(None, "data") if stacked else P("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of an array that every device has in full, so that every host can read it."""
    return NamedSharding(mesh, P())


def check_batch(batch: int, mesh: Mesh) -> None:
    """Raises ValueError where the devices or the hosts do not divide the global batch."""
    data, hosts = mesh.shape["data"], jax.process_count()
    if batch % data or batch % hosts:
        fits = math.lcm(data, hosts)
        near = max(fits, round(batch / fits) * fits)
        raise ValueError(
            f"batch {batch} cannot be divided over {data} devices on {hosts} host(s): "
            f"use a multiple of {fits}, for instance {near}"
        )


def to_global(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Global arrays from the rows that this host has read; nothing moves between hosts."""
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def prefetch(
    source: Iterator[dict[str, np.ndarray]], sharding: NamedSharding, *, stack: int = 1
) -> Generator[dict[str, jax.Array], None, None]:
    """Batches on the devices, loaded in a thread of their own while earlier steps run.

    stack: how many batches are stacked into leaves [stack, B, ...], for several steps in one
    dispatch.
    """
    queue: Queue = Queue(maxsize=2)
    done = threading.Event()

    def load() -> None:
        try:
            while not done.is_set():
                if stack == 1:
                    rows = next(source)
                else:
                    parts = [next(source) for _ in range(stack)]
                    rows = jax.tree.map(lambda *x: np.stack(x), *parts)
                queue.put(rows)
        except StopIteration:  # would end the generator below in silence or in confusion
            queue.put(RuntimeError("the data ran dry: `batches` must go on without end"))
        except BaseException as error:  # raised again in the training thread
            queue.put(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:  # a generator, and the worker processes behind it
                close()

    threading.Thread(target=load, daemon=True).start()
    try:
        while True:
            rows = queue.get()
            if isinstance(rows, BaseException):
                raise rows
            yield to_global(rows, sharding)
    finally:
        done.set()
        while not queue.empty():
            queue.get_nowait()


def bytes_per_device(tree: Any, shardings: Any) -> int:
    """Bytes that the arrays of `tree` take on one device under `shardings`."""
    sizes = jax.tree.map(
        lambda leaf, s: math.prod(s.shard_shape(leaf.shape)) * np.dtype(leaf.dtype).itemsize,
        tree,
        shardings,
    )
    return sum(jax.tree.leaves(sizes))
