"""The training loop that runs every method.

One turn of the loop, with the state after `step` steps: evaluate -> save -> refresh -> next(batch)
-> step. All three of save, data and randomness depend on (seed, step) alone, so a run that was
stopped and resumed goes through the same states as one that never stopped. Evaluation comes before
the save because it changes nothing and its result decides which checkpoint is the best one.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax

from ssljax.mesh import within
from ssljax.method import Method, State
from ssljax.schedules import length
from ssljax.training import metrics as measure
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.clock import Clock
from ssljax.training.loop import Loop, close
from ssljax.training.sharding import (
    Parallel,
    batch_sharding,
    bytes_per_device,
    check_batch,
    prefetch,
    replicated,
)
from ssljax.training.signals import stop_signal
from ssljax.training.steps import TrainingStopped, compiled_step, explain, initial

__all__ = ["Cadence", "TrainingStopped", "fit"]

log = logging.getLogger("ssljax")


_EVERY = ("log", "evaluate", "save", "monitor", "refresh")


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often things happen, in steps; 0 is never, and a number below 1 a share of the run. All
    must be multiples of `steps_per_call`."""

    log: int | float = 50
    """Write the metrics."""
    evaluate: int | float = 0
    """Quick evaluation during training."""
    save: int | float = 1000
    """Save a checkpoint, from which an interrupted run goes on."""
    save_minutes: float = 0.0
    """Also save at the first logged step so many minutes after the last save."""
    keep: int = 2
    """Latest checkpoints that are kept."""
    best: str | None = None
    """Also keep the checkpoint with the largest such evaluation number (eval/knn20_t0.07)."""
    monitor: int | float = 500
    """Feature spread and RankMe on the current batch, with the collapse alarm."""
    refresh: int | float = 0
    """The method's own host-level work."""
    steps_per_call: int = 1
    """Steps in one dispatch to the device, by lax.scan: more hides the dispatch time of tiny steps.
    """
    max_bad_steps: int = 0
    """Steps with a NaN or infinite loss or gradient that are skipped before the run stops; counted
    anew by each start of the run."""

    def of(self, steps: int) -> Self:
        """This for a run of so many steps, with whole numbers in place of shares."""
        each = self.steps_per_call

        def whole(value: int | float) -> int:
            found = length(value, steps)  # a share is rounded up to what one dispatch does
            return found if found == value else -(-found // each) * each

        return replace(self, **{name: whole(getattr(self, name)) for name in _EVERY})

    def check(self, steps: int) -> None:
        """Raises ValueError where the numbers do not fit each other."""
        for name in _EVERY:
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
    trackers: Sequence[str] = (),
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
      trackers: keys of `trackers.TRACKERS`, for where numbers go beside the folder.
      store: another place for the checkpoints, such as gs://bucket/run.
      evaluate: state -> scalars, called every `cadence.evaluate` steps and at the end.
      learning_rate: the schedule, only to log it.

    Returns: the state after `steps` steps (or earlier, where SIGTERM asked to stop).
    Raises: TrainingStopped at the first NaN beyond `cadence.max_bad_steps`; ValueError for bad
      input, or where the checkpoints of a run that had come further are lost; OSError where the run
      folder is gone or cannot be written; KeyboardInterrupt where a signal came after the last step
      and its save.
    """
    parallel, cadence = parallel or Parallel(), (cadence or Cadence()).of(steps)
    mesh = check(method, parallel, cadence, steps=steps, batch=batch)
    # One root key for the weights and one for the steps; both are functions of the seed alone.
    init_key, root = jax.random.split(jax.random.key(seed))
    init = partial(initial, method, spec=dataset.spec, batch=batch)
    shapes = jax.eval_shape(init, init_key)
    shardings = parallel.place(shapes, mesh)
    size = bytes_per_device(shapes, shardings) / 1e6
    log.info("state: %.1f MB on each of %d device(s)", size, mesh.size)
    with stop_signal() as stop, ExitStack() as closing:
        # Closed in reverse, each even where another fails: the last save is waited for in any case.
        checkpoints = state = None
        if place := store or (folder and folder / "checkpoints"):
            checkpoints = Checkpoints(place, keep=cadence.keep, best=cadence.best, run=folder)
            closing.callback(checkpoints.close)
            state = checkpoints.restore(abstract(shapes, shardings), every=cadence.steps_per_call)
        if state is None:
            state = jax.jit(init, out_shardings=shardings)(init_key)
        start, host = int(state.step), (jax.process_index(), jax.process_count())
        batches = prefetch(
            dataset.batches(batch, seed=seed, start=start, host=host),
            batch_sharding(mesh, stacked=cadence.steps_per_call > 1),
            stack=cadence.steps_per_call,
        )
        closing.callback(batches.close)
        writing = host[0] == 0
        writers = measure.Writers(
            folder, steps=steps, resume_at=start, writing=writing, trackers=trackers
        )
        closing.callback(close, writers)
        clock = Clock()
        closing.callback(clock.close)
        loop = Loop(
            method=method,
            cadence=cadence,
            batch=batch,
            folder=folder,
            writers=writers,
            clock=clock,
            checkpoints=checkpoints,
            learning_rate=learning_rate,
            advance=compiled_step(
                method,
                root,
                shardings,
                steps_per_call=cadence.steps_per_call,
                max_bad_steps=cadence.max_bad_steps,
            ),
            embed=jax.jit(within(mesh)(method.embed), out_shardings=replicated(mesh)),
            evaluate=evaluate,
            refresh=lambda s: jax.device_put(_refreshed(method, s, dataset), shardings),
            explain=lambda s: explain(method, dataset, s, root, batch, seed, checkpoints),
        )
        state = loop.run(state, batches, stop, start=start, steps=steps)
    if stop.is_set() and int(state.step) >= steps:  # what follows the training shall not begin
        raise KeyboardInterrupt("stopped by a signal after the last step")
    return state


def _refreshed(method: Method, state: State, dataset: Any) -> State:
    return state if method.refresh is None else method.refresh(state, dataset)


def check(
    method: Method, parallel: Parallel, cadence: Cadence, *, steps: int, batch: int
) -> jax.sharding.Mesh:
    """The mesh of a run. Raises: ValueError where the numbers do not fit each other."""
    cadence.of(steps).check(steps)
    if method.refresh is not None and not cadence.refresh:
        raise ValueError(
            "this method does host-level work between steps, and without it learns nothing: say "
            "how often with --cadence.refresh N"
        )
    mesh = parallel.mesh()
    check_batch(batch, mesh)
    return mesh
