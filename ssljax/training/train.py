"""The training loop that runs every method.

One turn of the loop, with the state after `step` steps: evaluate -> save -> refresh -> next(batch)
-> step. All three of save, data and randomness depend on (seed, step) alone, so a run that was
stopped and resumed goes through the same states as one that never stopped. Evaluation comes before
the save because it changes nothing and its result decides which checkpoint is the best one.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssljax.mesh import within
from ssljax.method import Method, State
from ssljax.training import metrics as measure
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.clock import Clock
from ssljax.training.distributed import from_first, stop_agreed, stop_signal
from ssljax.training.sharding import (
    Parallel,
    batch_sharding,
    bytes_per_device,
    check_batch,
    prefetch,
    replicated,
)
from ssljax.training.steps import TrainingStopped, compiled_step, explain, initial

__all__ = ["Cadence", "TrainingStopped", "fit"]

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often things happen, in steps; 0 is never. All must be multiples of `steps_per_call`."""

    log: int = 50
    """Write the metrics."""
    evaluate: int = 0
    """Quick evaluation during training."""
    save: int = 1000
    """Save a checkpoint, from which an interrupted run goes on."""
    save_minutes: float = 0.0
    """Also save at the first logged step so many minutes after the last save."""
    keep: int = 2
    """Latest checkpoints that are kept."""
    best: str | None = None
    """Also keep the checkpoint with the largest such evaluation number (eval/knn20_t0.07)."""
    monitor: int = 500
    """Feature spread and RankMe on the current batch, with the collapse alarm."""
    refresh: int = 0
    """The method's own host-level work."""
    steps_per_call: int = 1
    """Steps in one dispatch to the device, by lax.scan: more hides the dispatch time of tiny steps.
    """
    max_bad_steps: int = 0
    """Steps with a NaN or infinite loss or gradient that are skipped before the run stops; counted
    anew by each start of the run."""

    def check(self, steps: int) -> None:
        """Raises ValueError where the numbers do not fit each other."""
        for name in ("log", "evaluate", "save", "monitor", "refresh"):
            value = getattr(self, name)
            if value < 0 or value % self.steps_per_call:
                raise ValueError(
                    f"cadence.{name} {value} must be a multiple of steps_per_call "
                    f"{self.steps_per_call}"
                )
        if self.save_minutes and not self.log:
            raise ValueError(
                "cadence.save_minutes saves at logged steps: cadence.log must not be 0"
            )
        if steps % self.steps_per_call:
            raise ValueError(
                f"steps {steps} must be a multiple of cadence.steps_per_call {self.steps_per_call}"
            )


def fit(
    method: Method,
    dataset: Any,
    *,
    steps: int,
    batch: int,
    seed: int = 0,
    parallel: Parallel | None = None,
    cadence: Cadence | None = None,
    folder: Any = None,
    store: str | None = None,
    evaluate: Callable[[State], dict[str, float]] | None = None,
    learning_rate: Callable[[int], Any] | None = None,
) -> State:
    """Trains from scratch, or from the latest checkpoint in `folder`, up to `steps` steps.

    Args:
      method: what to train.
      dataset: `spec` and `batches(batch, seed=, start=, host=)`, as in `ssljax.data`.
      steps: length of the run. batch: global batch, over all devices and hosts.
      seed: of the initial weights, the order of the data and every random view.
      folder: run folder (a Path) for checkpoints and metrics; None keeps everything in memory.
      store: another place for the checkpoints, such as gs://bucket/run.
      evaluate: state -> scalars, called every `cadence.evaluate` steps and at the end.
      learning_rate: the schedule, only to log it.

    Returns: the state after `steps` steps (or earlier, where SIGTERM asked to stop).
    Raises: TrainingStopped at the first NaN beyond `cadence.max_bad_steps`, ValueError for bad
    input.
    """
    parallel, cadence = parallel or Parallel(), cadence or Cadence()
    cadence.check(steps)
    if method.refresh is not None and not cadence.refresh:
        raise ValueError(
            "this method does host-level work between steps, and without it learns nothing: say "
            "how often with --cadence.refresh N"
        )
    mesh = parallel.mesh()
    check_batch(batch, mesh)
    chief = jax.process_index() == 0

    # One root key for the weights and one for the steps; both are functions of the seed alone.
    init_key, root = jax.random.split(jax.random.key(seed))
    init = partial(initial, method, spec=dataset.spec, batch=batch)
    shapes = jax.eval_shape(init, init_key)
    shardings = parallel.place(shapes, mesh)
    log.info(
        "state: %.1f MB on each of %d device(s)",
        bytes_per_device(shapes, shardings) / 1e6,
        mesh.size,
    )
    place = store or (folder and folder / "checkpoints")
    checkpoints = Checkpoints(place, keep=cadence.keep, best=cadence.best) if place else None
    state = None
    if checkpoints is not None:
        state = checkpoints.restore(abstract(shapes, shardings), every=cadence.steps_per_call)
    if state is None:
        state = jax.jit(init, out_shardings=shardings)(init_key)
    start = int(state.step)
    writers = measure.Writers(folder, steps=steps, resume_at=start, writing=chief)
    advance = compiled_step(
        method,
        root,
        shardings,
        steps_per_call=cadence.steps_per_call,
        max_bad_steps=cadence.max_bad_steps,
    )
    embed = jax.jit(within(mesh)(method.embed), out_shardings=replicated(mesh))
    host = (jax.process_index(), jax.process_count())
    batches = prefetch(
        dataset.batches(batch, seed=seed, start=start, host=host),
        batch_sharding(mesh, stacked=cadence.steps_per_call > 1),
        stack=cadence.steps_per_call,
    )
    bad = jnp.zeros((), jnp.int32)
    clock = Clock()
    saved = time.monotonic()
    row: tuple[int, dict] | None = None
    skipped = 0

    def flush(extra: dict[str, float]) -> None:
        """Writes the row of the last step, once the device has its numbers."""
        nonlocal row, skipped
        if row is None:
            return
        (at, values), row = row, None
        values = {k: float(v) for k, v in jax.device_get(values).items()}
        clock.step(batch * cadence.steps_per_call, steps=cadence.steps_per_call)
        bad_steps = int(values.pop("bad"))
        if bad_steps > cadence.max_bad_steps:
            raise explain(method, dataset, state, root, batch, seed, checkpoints)
        if bad_steps > skipped:
            log.warning("step %d gave NaN or infinity and was skipped", at)
            skipped = bad_steps
        if extra or (cadence.log and at % cadence.log == 0):
            if learning_rate is not None:
                values["learning_rate"] = float(learning_rate(at - 1))
            try:
                writers.write(at, values | clock.read() | extra)
            except OSError as error:
                raise OSError(
                    f"the metrics of step {at} cannot be written in {folder}: {error}; what was "
                    "saved before is safe. Make sure that there is space and that the folder can "
                    "be written, then run again to go on from there"
                ) from error

    def monitor(rows: dict) -> dict[str, float]:
        current = jax.tree.map(lambda x: x[-1], rows) if cadence.steps_per_call > 1 else rows
        features = np.asarray(jax.device_get(embed(state, current)), np.float32)
        numbers = measure.spread(features)
        alarm = measure.collapsed(numbers, dimensions=features.shape[1])
        if alarm:
            log.warning("step %d: %s", step, alarm)
        return numbers

    with stop_signal() as stop, ExitStack() as closing:
        # In reverse, each even where another fails: the last save is waited for in any case.
        if checkpoints is not None:
            closing.callback(checkpoints.close)
        closing.callback(_close, writers)
        closing.callback(clock.close)
        closing.callback(batches.close)
        step, rows = start, None
        while True:
            stopping = stop_agreed(stop.is_set(), step, stride=cadence.steps_per_call)
            due = _due(step, start, steps, cadence, stopping=stopping)
            if cadence.save_minutes and step > start and step % cadence.log == 0:
                late = time.monotonic() - saved > 60 * cadence.save_minutes
                due |= {"save"} if from_first(str(late)) == "True" else set()
            if due:
                numbers: dict[str, float] = {}
                jax.block_until_ready(state)
                with clock.paused():
                    if "monitor" in due:
                        numbers |= monitor(rows)
                    if "evaluate" in due and evaluate is not None:
                        writers.say("evaluating")
                        numbers |= {f"eval/{k}": v for k, v in evaluate(state).items()}
                flush(numbers)
                with clock.paused():
                    if "save" in due and checkpoints is not None:
                        checkpoints.save(step, state, numbers)
                        saved = time.monotonic()
                    if "refresh" in due and method.refresh is not None:
                        state = jax.device_put(method.refresh(state, dataset), shardings)
            if step >= steps or stopping:
                break
            # The first batch starts the loaders and the first call compiles: neither is a step.
            if step == start:
                writers.say("compiling")
            with clock.paused() if step == start else clock.waiting():
                rows = next(batches)
            with clock.paused() if step == start else nullcontext():
                state, bad, values = advance(state, bad, rows)
            # The previous step's numbers are read only now: the device always has work queued.
            flush({})
            step += cadence.steps_per_call
            row = (step, values)
    if step < steps:
        log.warning("stopped by a signal at step %d of %d; run again to go on", step, steps)
    return state


def _close(writers: measure.Writers) -> None:
    """Rows are written when they are made, so that nothing here may hide why the run ends."""
    try:
        writers.close()
    except OSError as error:
        log.warning("the metrics may lack their last part: %s", error)


def _due(step: int, start: int, steps: int, cadence: Cadence, *, stopping: bool) -> set[str]:
    """What happens before the step numbered `step`. Nothing is done twice, so nothing at the step
    that was resumed, except `refresh`, whose result is not part of the checkpoint."""
    last = step >= steps or stopping
    due = set()
    if step > start:
        if (cadence.evaluate and step % cadence.evaluate == 0) or (step >= steps):
            due.add("evaluate")
        if (cadence.save and step % cadence.save == 0) or last:
            due.add("save")
        if cadence.monitor and step % cadence.monitor == 0:
            due.add("monitor")
    if cadence.refresh and step % cadence.refresh == 0 and not last:
        due.add("refresh")
    return due
