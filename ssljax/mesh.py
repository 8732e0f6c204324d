"""What a function knows of the devices that it is traced for, and the one place that tells it.

Whoever compiles something for a mesh traces it `within` that mesh. Inside, `devices` says for which
platform the program is made and how batches are split, which a loss over all pairs and a kernel
that XLA cannot split have to know. The devices need not be here: `ssljax compile` describes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh

# One device of any kind: for programs that must run everywhere, such as an exported one.
ANY = AbstractMesh((1, 1), ("data", "model"), (AxisType.Auto, AxisType.Auto))


class Devices(NamedTuple):
    """The devices of a program."""

    platform: str
    """ "cpu", "gpu", "tpu" or another backend; "any": the program must run on all."""
    count: int
    mesh: AbstractMesh | None
    """Axes over which arrays are split; None on one device, and where nobody said."""


@contextmanager
def within(mesh: Mesh | AbstractMesh | None) -> Iterator[None]:
    """A context for tracing, also as a decorator: `jax.jit(within(mesh)(function))`.

    mesh: the devices of the program; None says nothing of them.
    """
    if mesh is None:
        yield
        return
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        yield


def devices() -> Devices:
    """The devices of the program that is being traced; outside of `within`, all that are here."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return Devices(jax.default_backend(), jax.device_count(), None)
    return Devices(_platform(mesh), mesh.size, mesh if mesh.size > 1 else None)


def _platform(mesh: AbstractMesh) -> Literal["cpu", "gpu", "tpu", "any"]:
    if mesh.abstract_device is None:
        return "any"
    kind = mesh.abstract_device.device_kind  # "cpu", "TPU v5 lite", or the name of a graphics card
    return "tpu" if kind.startswith("TPU") else "cpu" if kind == "cpu" else "gpu"
