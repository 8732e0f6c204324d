"""Would this run fit a TPU slice, and how fast could it go? Answered on a machine that has no TPU.

libtpu brings the TPU compiler along, so the real training step of an experiment
(`ssljax.training.train`) is compiled here for devices that are only described. XLA then says what
one device has to hold, compute and send. The step time is a roofline (Williams, Waterman and
Patterson, "Roofline", 2009):

    seconds = max(FLOPs / peak, HBM bytes / bandwidth, sent bytes / ICI)
    MFU     = FLOPs / (seconds * peak)

with FLOPs as XLA counts them, the turns of loops and attention kernels beside (`ssljax.pods.work`);
a matmul at high precision takes the time of several. A collective waits for messages besides what
it sends. It is an estimate: too fast, as it assumes perfect overlap at the published peaks; HBM
bytes are an estimate themselves (`ssljax.pods.hlo`). All numbers are for one JAX device, which is
a chip, except on tpu7x, where each of the two chiplets is a device of its own.
"""

import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ssljax.pods.chips import Chip, across, roofline, topology_devices
from ssljax.pods.hlo import Collective, collectives, hbm_traffic
from ssljax.pods.work import uncounted
from ssljax.training.checkpoint import abstract
from ssljax.training.sharding import batch_sharding, bytes_per_device, check_batch
from ssljax.training.steps import compiled_step, initial


@dataclass(frozen=True, kw_only=True)
class Report:
    """What XLA says of one training step on one device. `dataclasses.asdict` gives JSON."""

    topology: str
    chips: int
    devices: int
    batch: int
    """Examples in a step, over all devices."""
    fits: bool
    verdict: str
    hbm: int
    """Bytes that the device has."""
    peak: int | None
    """Bytes that the step needs; None where XLA gave up without naming a number."""
    memory: dict[str, int]
    """Bytes: parameters, optimizer, extra and batch as stored; temporary and program compiled."""
    flops: float | None = None
    """XLA's count, and what it leaves out (`ssljax.pods.work`)."""
    bytes_accessed: float | None = None
    """XLA's count, on-chip memory included."""
    hbm_traffic: float | None = None
    """Of these, what goes to and from HBM (`ssljax.pods.hlo`)."""
    collectives: dict[str, Collective] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Least time for compute, memory and network."""
    step_seconds: float | None = None
    bound: str | None = None
    mfu: float | None = None
    compile_seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Examples:
    """Stands in for a data set that is not here: all that building a method needs of one."""

    spec: dict[str, tuple[tuple[int, ...], Any]]
    labelled: bool
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Of CIFAR-10, for methods that keep a number for each example."""
        return 50_000


def compile_report(experiment: Any, *, topology: str) -> Report:
    """Compiles the training step of `experiment` (an Experiment) for `topology`, such as v5e:16x16.

    Raises: ValueError for an unknown topology, a batch that the devices do not divide or data that
    is absent and not described by the reader; FileNotFoundError where libtpu is not installed. A
    step that does not fit is a report, not an error.
    """
    # Without this, JAX would look for the TPU that libtpu promises.
    jax.config.update("jax_platforms", "cpu")
    devices, chips, chip = topology_devices(topology)
    dataset = example_spec(experiment)
    if experiment.few is not None:
        spec = experiment.few.spec(dataset.spec)
        dataset = Examples(spec, dataset.labelled, dataset.classes)
    mesh = experiment.parallel.mesh(list(devices))
    lowered, memory = lower_step(experiment, dataset, mesh)
    notes = []
    if isinstance(dataset, Examples):
        notes.append(f"{experiment.data} is not here: shapes come from the reader")
    if len(devices) != chips:
        notes.append(f"{len(devices) // chips} JAX devices per chip, each with its share of it")
    began = time.perf_counter()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needed = out_of_memory(str(error))
        if needed is None:
            raise
        found = {"peak": needed or None, "notes": (str(error).splitlines()[0],)}
        fits = False
    else:
        calls = experiment.cadence.steps_per_call
        far = across(topology)
        found = measure(compiled, chip, devices=len(devices), calls=calls, far=far)
        fits = found["peak"] <= chip.hbm
    return Report(
        topology=topology,
        chips=chips,
        devices=len(devices),
        batch=experiment.batch,
        fits=fits,
        verdict=_verdict(experiment, found["peak"], chip.hbm, fits=fits),
        hbm=int(chip.hbm),
        compile_seconds=time.perf_counter() - began,
        memory=memory | found.pop("memory", {}),
        notes=(*notes, *found.pop("notes")),
        **found,
    )


def measure(compiled: Any, chip: Chip, *, devices: int, calls: int, far: int) -> dict[str, Any]:
    """The fields of `Report` that a compiled step gives; it runs `calls` steps in one call.

    far: hops from a chip to the farthest one.
    """
    sizes, cost = compiled.memory_analysis(), compiled.cost_analysis()
    program = sizes.generated_code_size_in_bytes
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    text = compiled.as_text()
    totals, loops = collectives(text, devices=devices)
    # XLA counts a loop's body once, which is right for the loop over the steps of one call.
    if calls in loops:
        loops.remove(calls)
    notes = []
    if None in loops:
        notes.append("what a loop of unknown length computes, sends and reads is counted once")
    work = uncounted(text, calls=calls)
    if work.kernels:
        notes.append(
            f"attention kernels: {work.kernels:.3g} FLOPs, as if nothing were masked, those of the "
            "backward pass that compute the weights again included"
        )
    found = {
        kind: Collective(count=c.count / calls, bytes=c.bytes / calls, sent=c.sent / calls)
        for kind, c in totals.items()
    }
    flops = cost["flops"] + work.turns + work.kernels
    traffic = hbm_traffic(text) / calls
    # There and back for a sum, one neighbour for a permutation, all the way for the others.
    ways = {"all-reduce": 2 * far, "collective-permute": 1}
    hops = sum(c.count * ways.get(kind, far) for kind, c in found.items())
    sent = sum(c.sent for c in found.values())
    seconds = roofline(chip, flops + work.passes, traffic, sent, hops)
    bound = max(seconds, key=seconds.__getitem__)
    return {
        "memory": {"temporary": sizes.temp_size_in_bytes, "program": program},
        # XLA's own peak leaves the program out, and can lie on either side of the plain sum.
        "peak": max(held + sizes.temp_size_in_bytes, sizes.peak_memory_in_bytes) + program,
        "flops": flops,
        "bytes_accessed": cost["bytes accessed"],
        "hbm_traffic": traffic,
        "collectives": found,
        "seconds": seconds,
        "step_seconds": seconds[bound],
        "bound": bound,
        "mfu": flops / (seconds[bound] * chip.flops),
        "notes": tuple(notes),
    }


def example_spec(experiment: Any) -> Any:
    """The data set of `experiment` with one example decoded, or `Examples` where it is not here.

    Raises: ValueError where it is not here and the reader does not fix the shape, or is misnamed.
    """
    reader = experiment.reader
    try:
        here = reader.prepared(experiment.data, None)
        return here.load(experiment.data, split="train", in_memory_bytes=0, workers=0)
    except ValueError:
        return experiment.load()[0]  # such as npz, whose labels must be read to be counted
    except OSError as error:
        shapes = reader.shapes()
        if shapes is None:
            raise ValueError(
                f"the shape of an example is unknown: {error}\nTo compile without the data, give "
                "--reader.size 224 --reader.channels 3"
            ) from error
    integer = ((), np.dtype(np.int32))
    # An online probe needs some number of classes: ImageNet's.
    classes = tuple(map(str, range(1000)))
    return Examples(shapes | {"label": integer, "index": integer}, True, classes)


def lower_step(experiment: Any, dataset: Any, mesh: Mesh) -> tuple[Any, dict[str, int]]:
    """The training step as `fit` would run it on `mesh`, lowered, and the bytes of its arguments on
    one device."""
    check_batch(experiment.batch, mesh)
    method = experiment.build(dataset)
    init_key, root = jax.random.split(jax.random.key(experiment.seed))
    init = partial(initial, method, spec=dataset.spec, batch=experiment.batch)
    shapes = jax.eval_shape(init, init_key)
    shardings = experiment.parallel.place(shapes, mesh)
    calls = experiment.cadence.steps_per_call
    lead = (experiment.batch,) if calls == 1 else (calls, experiment.batch)
    split = batch_sharding(mesh, stacked=calls > 1)
    rows = {
        k: jax.ShapeDtypeStruct((*lead, *shape), dtype, sharding=split)
        for k, (shape, dtype) in dataset.spec.items()
    }
    bad = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh, P()))
    advance = compiled_step(
        method,
        root,
        shardings,
        steps_per_call=calls,
        max_bad_steps=experiment.cadence.max_bad_steps,
    )
    lowered = advance.lower(abstract(shapes, shardings), bad, rows)
    parts = {"parameters": "params", "optimizer": "opt", "extra": "extra"}
    memory = {
        name: bytes_per_device(getattr(shapes, part), getattr(shardings, part))
        for name, part in parts.items()
    }
    return lowered, memory | {"batch": bytes_per_device(rows, dict.fromkeys(rows, split))}


def out_of_memory(message: str) -> int | None:
    """Bytes that XLA wanted, from its error; 0 if it does not say, None for another error."""
    if "RESOURCE_EXHAUSTED" not in message or "hbm" not in message.lower():
        return None
    found = re.search(r"Used ([\d.]+)([KMGT]?) of|\(([\d.]+)([KMGT]?)\) exceeds", message)
    if not found:
        return 0
    number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    return int(float(number) * 2 ** (10 * " KMGT".index(unit or " ")))


def _verdict(experiment: Any, peak: int, hbm: float, *, fits: bool) -> str:
    """One plain sentence, with what may help where the step does not fit."""
    needs = f"{peak / 2**30:.1f}" if peak else "more"
    sizes = f"{needs} of {hbm / 2**30:.1f} GiB"
    if fits:
        return f"fits: {sizes}"
    ways = [] if experiment.parallel.fsdp else ["--parallel.fsdp"]
    ways.append(f"a smaller batch (--batch {experiment.batch // 2})")
    if getattr(experiment.method.encoder, "dtype", "bfloat16") != "bfloat16":
        ways.append("--method.encoder.dtype bfloat16")
    return f"does not fit: {sizes}; try {', '.join(ways)}, or a larger slice"


def render(report: Report) -> str:
    """The report for people."""

    def gib(size: float | None) -> str:
        return "unknown" if size is None else f"{size / 2**30:.3f} GiB"

    lines = [
        f"{report.topology}: {report.chips} chips, {report.devices} JAX devices, global batch "
        f"{report.batch}; compiled in {report.compile_seconds:.0f} s",
        report.verdict,
        "",
        "one device",
        *(f"  {name:<20}{gib(size):>14}" for name, size in report.memory.items()),
    ]
    if report.step_seconds is not None:
        lines += [
            f"  {'peak':<20}{gib(report.peak):>14}",
            f"  {'FLOPs':<20}{report.flops:>14.4g}",
            f"  {'HBM traffic':<20}{gib(report.hbm_traffic):>14}  "
            f"{gib(report.bytes_accessed)} with on-chip memory",
            *(
                f"  {kind:<20}{gib(c.bytes):>14}  {c.count:.0f} a step, {gib(c.sent)} sent"
                for kind, c in report.collectives.items()
            ),
            "",
            "one step (roofline: all overlapped, published peaks)",
            *(f"  {name:<20}{1e3 * s:>11.3f} ms" for name, s in report.seconds.items()),
            f"  bound by {report.bound}: {report.batch / report.step_seconds:,.0f} examples/s, "
            f"MFU {report.mfu:.0%} (FLOPs / (time x peak))",
        ]
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes)])
