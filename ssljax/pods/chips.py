"""TPU chips: what each can do at most, and devices that are described but not there."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.experimental import topologies

EXAMPLES = ("v5e:4x4", "v5e:16x16", "v6e:16x16", "v4:4x4x4", "v5p:8x8x8", "tpu7x:4x4x4")


class Chip(NamedTuple):
    """What one chip, or one device, has at most: bytes, bytes/s, bfloat16 FLOP/s, bytes/s sent."""

    hbm: float
    bandwidth: float
    flops: float
    ici: float


# ICI is published in both directions together; a chip sends half of it.
CHIPS = {
    # docs.cloud.google.com/tpu/docs/v4; ICI of 6 links at 50 GB/s: arXiv:2304.01433, table 4
    "v4": Chip(32 * 2**30, 1200e9, 275e12, 300e9),
    # docs.cloud.google.com/tpu/docs/v5e: ICI 400 GB/s
    "v5e": Chip(16 * 2**30, 819e9, 197e12, 200e9),
    # docs.cloud.google.com/tpu/docs/v5p: ICI 1200 GB/s
    "v5p": Chip(95 * 2**30, 2765e9, 459e12, 600e9),
    # docs.cloud.google.com/tpu/docs/v6e: ICI 800 GB/s
    "v6e": Chip(32 * 2**30, 1638e9, 918e12, 400e9),
    # docs.cloud.google.com/tpu/docs/tpu7x: ICI 1200 GB/s
    "tpu7x": Chip(192 * 2**30, 7380e9, 2307e12, 600e9),
}


def topology_devices(topology: str) -> tuple[Sequence[Any], int, Chip]:
    """(devices that are only described, number of chips, what one device has)."""
    kind = topology.partition(":")[0]
    if kind not in CHIPS:
        raise ValueError(
            f"there is no topology {topology!r}: use KIND:SHAPE with one of the kinds "
            f"{', '.join(CHIPS)}, such as {', '.join(EXAMPLES)}"
        )
    # Otherwise libtpu asks the cloud's metadata server which TPU this machine is, and lets only one
    # process in, which matters for TPUs that are there.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    # As on Cloud TPU: the two cores of a v4 chip are one device. v5p is so by itself.
    options = {"chip_config_name": "megacore"} if kind == "v4" else {}
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology, **options)
    except RuntimeError as error:  # JaxRuntimeError too
        if "INVALID_ARGUMENT" in str(error):
            raise ValueError(f"{topology!r}: {error}; try {', '.join(EXAMPLES)}") from error
        if "not installed" in str(error):
            raise FileNotFoundError(
                "compiling for a TPU needs libtpu, though no TPU: pip install 'jax[tpu]'"
            ) from error
        raise
    devices = described.devices
    chips = len({tuple(device.coords) for device in devices})
    share = chips / len(devices)
    return devices, chips, Chip(*(share * value for value in CHIPS[kind]))


# Seconds that a message takes to the next chip. Not published: of the order that is commonly given.
HOP = 1e-6


def across(topology: str) -> int:
    """Hops from a chip to the farthest one of a slice such as v5e:16x16, around its rings."""
    return sum(int(side) // 2 for side in topology.partition(":")[2].split("x"))


def roofline(
    chip: Chip, flops: float, traffic: float, sent: float, hops: float = 0
) -> dict[str, float]:
    """Seconds that a device needs at least: to compute, to move HBM bytes, to send bytes.

    hops: that messages wait for, one after the other.
    """
    return {
        "compute": flops / chip.flops,
        "memory": traffic / chip.bandwidth,
        "network": sent / chip.ici + hops * HOP,
    }
