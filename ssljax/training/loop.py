"""The turns of the training loop, from one step to the next."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ssljax.method import Method, State
from ssljax.training import metrics as measure
from ssljax.training.checkpoint import Checkpoints
from ssljax.training.clock import Clock
from ssljax.training.distributed import from_first, stop_agreed
from ssljax.training.steps import TrainingStopped

if TYPE_CHECKING:
    from ssljax.training.train import Cadence

log = logging.getLogger("ssljax")


@dataclass(kw_only=True)
class Loop:
    """The turns of the loop, and the row of metrics that waits for its numbers."""

    method: Method
    cadence: "Cadence"
    batch: int
    folder: Any
    writers: measure.Writers
    clock: Clock
    checkpoints: Checkpoints | None
    learning_rate: Callable[[int], Any] | None
    advance: Callable
    embed: Callable
    evaluate: Callable[[State], dict[str, float]] | None
    refresh: Callable[[State], State]
    explain: Callable[[State], TrainingStopped]
    row: tuple[int, dict] | None = None
    skipped: int = 0
    """Bad steps so far."""

    def run(
        self, state: State, batches: Iterator, stop: threading.Event, *, start: int, steps: int
    ) -> State:
        """Goes through the turns, up to `steps`, or until `stop` is set."""
        stride, clock = self.cadence.steps_per_call, self.clock
        # Placed as the step returns it: from another place, the second call would compile again.
        bad = jax.device_put(np.zeros((), np.int32), state.step.sharding)
        rows, step, saved = None, start, time.monotonic()
        while True:
            stopping = stop_agreed(stop.is_set(), step, stride=stride)
            due = _due(step, start, steps, self.cadence, stopping=stopping)
            if self.cadence.save_minutes and step > start and step % self.cadence.log == 0:
                late = time.monotonic() - saved > 60 * self.cadence.save_minutes
                due |= {"save"} if from_first(str(late)) == "True" else set()
            if due:
                state = self.work(due, step, state, rows)
                saved = time.monotonic() if "save" in due else saved
            if step >= steps or stopping:
                break
            # The first batch starts the loaders and the first call compiles: neither is a step.
            if step == start:
                self.writers.say("compiling")
            with clock.paused() if step == start else clock.waiting():
                rows = next(batches)
            with clock.paused() if step == start else nullcontext():
                state, bad, values = self.advance(state, bad, rows)
            # The previous step's numbers are read only now: the device always has work queued.
            self.flush(state, {})
            step += stride
            self.row = (step, values)
        if step < steps:
            log.warning("stopped by a signal at step %d of %d; run again to go on", step, steps)
        return state

    def work(self, due: set[str], step: int, state: State, rows: dict | None) -> State:
        """What happens between two steps. Returns the state, which `refresh` alone changes."""
        numbers: dict[str, float] = {}
        jax.block_until_ready(state)
        with self.clock.paused():
            if "monitor" in due:
                numbers |= self.monitor(step, state, rows)
            if "evaluate" in due and self.evaluate is not None:
                self.writers.say("evaluating")
                numbers |= {f"eval/{k}": v for k, v in self.evaluate(state).items()}
        self.flush(state, numbers)
        with self.clock.paused():
            if "save" in due and self.checkpoints is not None:
                self.checkpoints.save(step, state, numbers)
            if "refresh" in due and self.method.refresh is not None:
                state = self.refresh(state)
        return state

    def flush(self, state: State, extra: dict[str, float]) -> None:
        """Writes the row of the last step, once the device has its numbers."""
        if self.row is None:
            return
        (at, values), self.row = self.row, None
        values = {k: float(v) for k, v in jax.device_get(values).items()}
        stride = self.cadence.steps_per_call
        self.clock.step(self.batch * stride, steps=stride)
        bad_steps = int(values.pop("bad"))
        if bad_steps > self.cadence.max_bad_steps:
            raise self.explain(state)
        if bad_steps > self.skipped:
            log.warning("step %d gave NaN or infinity and was skipped", at)
            self.skipped = bad_steps
        if not extra and not (self.cadence.log and at % self.cadence.log == 0):
            return
        if self.learning_rate is not None:
            values["learning_rate"] = float(self.learning_rate(at - 1))
        try:
            self.writers.write(at, values | self.clock.read() | extra)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OSError(
                f"the metrics of step {at} cannot be written in {self.folder}: {error}; what was "
                "saved before is safe. Make sure that there is space and that the folder can "
                "be written, then run again to go on from there"
            ) from error

    def monitor(self, step: int, state: State, rows: dict | None) -> dict[str, float]:
        """How much room the features of the current batch take."""
        if self.cadence.steps_per_call > 1:
            rows = jax.tree.map(lambda x: x[-1], rows)
        features = np.asarray(jax.device_get(self.embed(state, rows)), np.float32)
        numbers = measure.spread(features)
        alarm = measure.collapsed(numbers, dimensions=features.shape[1])
        if alarm:
            log.warning("step %d: %s", step, alarm)
        return numbers


def close(writers: measure.Writers) -> None:
    """Rows are written when they are made, so that nothing here may hide why the run ends."""
    try:
        writers.close()
    except OSError as error:
        log.warning("the metrics may lack their last part: %s", error)


def _due(step: int, start: int, steps: int, cadence: "Cadence", *, stopping: bool) -> set[str]:
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
