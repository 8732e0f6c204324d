"""Saving and restoring a State: the only file that imports Orbax.

A checkpoint is the State and nothing else: data order and random keys are functions of (seed,
step), so the state's step brings them back. Saves are asynchronous; an unfinished one is ignored by
the next start. Orbax notices a file that is missing or cut short, but not a flipped bit in an
array, so a checksum of every array lies beside the state and decides whether it can be used.
Nothing that was saved is ever deleted because it cannot be read: it is moved aside. The run folder
remembers the last save in saved.json, so that a run whose checkpoints are gone, or lie on a disk
that is not mounted, does not begin anew in silence.
"""

import logging
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental.multihost_utils import process_allgather, sync_global_devices
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ssljax.files import read_json, write_json
from ssljax.method import State
from ssljax.training.checksums import checksums
from ssljax.training.metrics import last_step

log = logging.getLogger("ssljax")
_STATE, _SUMS = "default", "checksums"  # the two parts of a checkpoint, each a folder in it
_ROWS = "metrics.jsonl"
_UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that Orbax is writing


@contextmanager
def _unsaid() -> Iterator[None]:
    """Without the warnings of Orbax that what is asked of it overrides what it would do."""
    says, level = logging.getLogger("absl"), logging.getLogger("absl").level
    says.setLevel(logging.ERROR)
    try:
        yield
    finally:
        says.setLevel(level)


@_unsaid()
def _save_small_arrays_whole() -> None:
    """What lies whole on every device is written in slices, one by each, so that hosts share the
    work. Each shape and slice is a program to be compiled: not worth it for the many small arrays.
    """
    handler = ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=2**20)
    ocp.type_handlers.register_type_handler(jax.Array, handler, override=True)


_save_small_arrays_whole()


class Checkpoints:
    """The checkpoints of one run folder."""

    @_unsaid()
    def __init__(
        self,
        folder: Path | str,
        *,
        keep: int = 2,
        best: str | None = None,
        run: Path | None = None,
        reading: bool = False,
    ):
        """Opens `folder`, and makes it where there is none.

        Args:
          keep: how many of the latest to keep. best: a metric; its largest is kept as well.
          run: the run folder, to remember in it what was saved and to notice what is lost.
          reading: only restore, and write nothing, on a disk that cannot be written either.
        Raises: ValueError for keep < 1 or where the checkpoints of `run` are lost, OSError where
          the folder cannot be opened.
        """
        if keep < 1:
            raise ValueError(f"cadence.keep is {keep}: at least one checkpoint must be kept")
        self._note = None if run is None else run / "saved.json"
        there = epath.Path(folder).exists()
        if run is not None and not there and (step := max(self._noted(), last_step(run / _ROWS))):
            raise ValueError(_lost(folder, step, "is not there"))
        if reading and not there:
            raise FileNotFoundError(f"there are no checkpoints in {folder}")

        def rank(metrics: dict[str, float]) -> float:
            value = float(metrics.get(best or "", -math.inf))
            return -math.inf if math.isnan(value) else value

        policies: list[Any] = [LatestN(keep)]
        if best is not None:
            policies.append(BestN(get_metric_fn=rank, n=1))
        # Newer than the restored one, and moved before the first save; None after that.
        self._unreadable: list[int] | None = []
        self._writing: int | None = None  # the step whose save may still be under way
        self._failed = False
        try:
            self._manager = _Manager(
                Path(folder).absolute() if "://" not in str(folder) else folder,
                # Named here, because Orbax would guess them from whatever step lies there last.
                item_names=(_STATE, _SUMS),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=AnyPreservationPolicy(policies),
                    # Without it Orbax would not write the metrics, and forget the best on resume.
                    best_fn=rank if best is not None else None,
                    enable_async_checkpointing=True,
                    read_only=reading,
                ),
            )
            if not self._manager.directory.is_dir():
                raise NotADirectoryError("it is a file")
        except OSError as error:
            raise OSError(f"the checkpoints in {folder} cannot be opened: {error}") from error

    def steps(self) -> list[int]:
        """The steps that can be restored, ascending."""
        return sorted(set(self._manager.all_steps()) - set(self._unreadable or ()))

    def save(self, step: int, state: State, metrics: dict[str, float] | None = None) -> None:
        """Starts a save and returns; a second save waits for the first.

        Raises: OSError that names the step and the last good one, where this save cannot be
        started or the one before it could not be finished.
        """
        if step in self.steps():
            return
        self.wait()
        self._writing = step
        with self._explained():
            if not self._manager.directory.exists():  # Orbax would make it again
                raise FileNotFoundError("the folder is gone")
            self._make_room()
            sums = [int(s) for s in np.asarray(checksums(state))]
            parts = {
                _STATE: ocp.args.StandardSave(state),
                _SUMS: ocp.args.JsonSave({"arrays": sums}),
            }
            args = ocp.args.Composite(**parts)
            if not self._manager.save(step, args=args, metrics=metrics or {}):
                raise ValueError(f"step {self._manager.latest_step()} is already there")

    def restore(self, like: State, *, every: int = 1) -> State | None:
        """The latest state that can be read; None where nothing was ever saved.

        Steps that cannot be read are reported and left as they are; the next save moves those that
        are newer than the restored one to STEP.damaged.

        Args:
          like: shapes, dtypes and shardings (`jax.ShapeDtypeStruct`) to restore onto; the number of
            devices may differ from that of the run that saved.
          every: only steps that are multiples of it, where a run can begin no other.
        Raises: ValueError where no checkpoint can be read, with the reason for each, and where all
          are gone although the run had saved some.
        """
        there = self.steps()
        candidates = [s for s in there if s % every == 0]
        if there and not candidates:
            raise ValueError(
                f"{self._manager.directory} has checkpoints of steps {there}, none a multiple of "
                f"cadence.steps_per_call {every}"
            )
        # Older versions wrote none: then, and only then, a checkpoint counts without.
        summed = any((self._manager.directory / str(s) / _SUMS).exists() for s in candidates)
        reasons: dict[int, str] = {}
        for candidate in reversed(candidates):
            state, reason = None, "another host cannot read it"
            try:
                state = self._read(candidate, like, summed=summed)
            except Exception as error:  # Orbax raises many types for a damaged file
                reason = _first_line(error)
            # Hosts that went on from different steps would compute nonsense together.
            if process_allgather(np.asarray(state is not None)).all():
                self._unreadable = list(reasons)
                if (noted := self._noted()) > max(there):
                    text = "step %d was saved, but the latest checkpoint that is there is of step"
                    log.warning(text + " %d: the run goes on from there", noted, max(there))
                return state
            reasons[candidate] = reason
            log.warning("checkpoint of step %d cannot be read (%s)", candidate, reason)
        if reasons:
            raise ValueError(
                f"none of the checkpoints in {self._manager.directory} can be restored: they are "
                "damaged, or of a run of another configuration or version of ssljax. "
                + "; ".join(f"step {at}: {reason}" for at, reason in reasons.items())
            )
        if saved := self._noted():
            raise ValueError(_lost(str(self._manager.directory), saved, "holds none"))
        return None

    def _read(self, step: int, like: State, *, summed: bool) -> State:
        """One checkpoint. Raises many types, ValueError where the checksums do not fit."""
        parts: dict[str, Any] = {_STATE: ocp.args.StandardRestore(like)}
        if (self._manager.directory / str(step) / _SUMS).exists():
            parts[_SUMS] = ocp.args.JsonRestore()
        elif summed:
            raise ValueError("its checksums are missing")
        else:
            text = "checkpoint of step %d has no checksums, as in older versions: it may be damaged"
            log.warning(text, step)
        read = self._manager.restore(step, args=ocp.args.Composite(**parts))
        state = read[_STATE]
        if _SUMS in parts:
            names = [jax.tree_util.keystr(k) for k, _ in jax.tree_util.tree_leaves_with_path(state)]
            now, then = np.asarray(checksums(state)).tolist(), read[_SUMS]["arrays"]
            wrong = [n for n, a, b in zip(names, now, then, strict=True) if a != b]
            if wrong:
                raise ValueError(
                    f"{len(wrong)} array(s) differ from what was saved, first {wrong[0]}"
                )
        return state

    def _make_room(self) -> None:
        """Before the first save: moves away what `restore` could not read, which would take the
        place of a later save of the same step and count as one of those to keep, and deletes what
        killed runs have left half written, which nobody would ever finish.
        """
        if self._unreadable is None:
            return
        if jax.process_index() == 0:
            for step in self._unreadable:
                here = self._manager.directory / str(step)
                names = (f"{step}.damaged{more}" for more in ("", *range(2, 100)))
                there = next(t for name in names if not (t := here.with_name(name)).exists())
                here.rename(there)
                log.warning("checkpoint of step %d is moved to %s", step, there)
            # By name: what Orbax returns for this has changed its type from version to version.
            for path in self._manager.directory.iterdir():
                if _UNFINISHED in path.name:
                    path.rmtree() if path.is_dir() else path.unlink()
        if jax.process_count() > 1:
            sync_global_devices("ssljax: there is room for checkpoints")
        self._manager.reload()
        self._unreadable = None

    def wait(self) -> None:
        """Blocks until the last save is on disk. Raises: OSError where it could not be finished."""
        with self._explained():
            self._manager.wait_until_finished()
        if self._writing is not None and self._note is not None and jax.process_index() == 0:
            with suppress(OSError):  # the checkpoint itself is whole
                write_json(self._note, {"step": self._writing})
        self._writing = None

    def _noted(self) -> int:
        """The last step that the run folder knows to be saved; 0 for none."""
        if self._note is None or not self._note.is_file():
            return 0
        step = read_json(self._note, dict, remedy="Remove it to go on without").get("step")
        return step if isinstance(step, int) else 0

    def close(self) -> None:
        """Waits for the last save. Raises: OSError as `wait`, unless it was raised before."""
        try:
            if not self._failed:
                self.wait()
        finally:
            with suppress(Exception):  # Orbax raises once more what was raised before
                self._manager.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns whatever stops a save into one OSError that says what is still there."""
        try:
            yield
        except Exception as error:
            self._failed = True
            bad = (*(self._unreadable or ()), self._writing)
            good: list[int] = []
            with suppress(OSError):  # the folder itself may be gone
                names = [path.name for path in self._manager.directory.iterdir()]
                good = sorted(int(n) for n in names if n.isdigit() and int(n) not in bad)
            kept = (
                f"the last good one is checkpoint {good[-1]}" if good else "no earlier one exists"
            )
            raise OSError(
                f"checkpoint {self._writing} cannot be saved in {self._manager.directory}: "
                f"{_first_line(error)}; {kept}. Make sure that there is space and that the folder "
                "can be written, then run again to go on from there"
            ) from error


def _lost(folder: Path | str, step: int, what: str) -> str:
    return (
        f"this run had come to step {step}, but its checkpoints are lost: {folder} {what}. Mount "
        "the disk or put them back and run again; to begin anew, choose another run folder"
    )


class _Manager(ocp.CheckpointManager):
    """Orbax's manager, which would not open a folder where one file of metrics is cut short."""

    def metrics(self, step: int) -> Any:
        try:
            return super().metrics(step)
        except Exception as error:
            log.warning("the metrics of checkpoint %d cannot be read (%s)", step, error)
            return {}


def abstract(tree: Any, shardings: Any) -> Any:
    """The tree of ShapeDtypeStructs with shardings that `restore` wants."""
    return jax.tree.map(
        lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), tree, shardings
    )


def _first_line(error: Exception) -> str:
    """The reason in a line: what the system said, where TensorStore wraps it into a long story."""
    text = str(error).strip()
    if code := re.search(r"os_error_code='(\d+)'", text):
        return os.strerror(int(code[1]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return text.splitlines()[0][:300] if text else repr(error)
