"""A trace of a few training steps, on the devices that are here.

The trace shows what each device does when, with the names of the Python functions that asked for
it: open the folder with TensorBoard's profile plugin, or the .json.gz file in Perfetto.
"""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ssljax.training.sharding import batch_sharding, check_batch, prefetch
from ssljax.training.steps import compiled_step, initial


class Profile(NamedTuple):
    """What was traced."""

    folder: Path
    traces: list[Path]
    """Files for Perfetto, one a host."""
    calls: int
    """Calls of the compiled step in the trace."""
    seconds: float
    """Median of a call while tracing, which slows it down."""
    wait: float
    """Share of the time in which the device waited for data."""
    flops: float | None
    """Of one call on one device, as XLA counts them; loops count once."""


def profile(experiment: Any, folder: Path, *, calls: int = 5, warmup: int = 2) -> Profile:
    """Runs `warmup` calls of the training step of `experiment`, then traces `calls` into `folder`.

    A call is `cadence.steps_per_call` steps. Nothing is saved and no run folder is touched.
    Raises: ValueError for fewer than one call, and what the experiment raises for its data.
    """
    if calls < 1 or warmup < 1:
        raise ValueError(f"calls and warmup must be at least 1, got {calls} and {warmup}")
    train = experiment.feed(experiment.load()[0])
    method, cadence = experiment.build(train), experiment.cadence
    mesh = experiment.parallel.mesh()
    check_batch(experiment.batch, mesh)
    init_key, root = jax.random.split(jax.random.key(experiment.seed))
    init = partial(initial, method, spec=train.spec, batch=experiment.batch)
    shardings = experiment.parallel.place(jax.eval_shape(init, init_key), mesh)
    state, bad = jax.jit(init, out_shardings=shardings)(init_key), jnp.zeros((), jnp.int32)
    host = (jax.process_index(), jax.process_count())
    batches = prefetch(
        train.batches(experiment.batch, seed=experiment.seed, start=0, host=host),
        batch_sharding(mesh, stacked=cadence.steps_per_call > 1),
        stack=cadence.steps_per_call,
    )
    step = compiled_step(method, root, shardings, steps_per_call=cadence.steps_per_call)
    rows = next(batches)
    compiled = step.lower(state, bad, rows).compile()
    for _ in range(warmup):
        state, bad, _ = compiled(state, bad, rows)
        rows = next(batches)
    jax.block_until_ready(state)
    took, waited = [], 0.0
    with jax.profiler.trace(str(folder), create_perfetto_trace=True):
        for i in range(calls):
            began = time.perf_counter()
            with jax.profiler.StepTraceAnnotation("train", step_num=i):
                state, bad, _ = compiled(state, bad, rows)
                asked = time.perf_counter()
                rows = next(batches)
                waited += time.perf_counter() - asked
                jax.block_until_ready(state)
            took.append(time.perf_counter() - began)
    batches.close()
    cost = compiled.cost_analysis() or {}
    return Profile(
        folder=folder,
        traces=sorted(folder.rglob("perfetto_trace.json.gz")),
        calls=calls,
        seconds=statistics.median(took),
        wait=waited / sum(took),
        flops=cost.get("flops"),
    )
