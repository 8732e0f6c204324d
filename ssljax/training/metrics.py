"""Where numbers go (console, JSON lines, TensorBoard, others) and the monitor of collapse.

`metrics.jsonl` holds one object a logged step. A resumed run first moves what lies beyond the
restored step to a file beside it, so that no step stands there twice and none is missing, and
nothing that was written is lost. Keys that start with `machine/` depend on the machine
(`ssljax.training.clock`); all others are the same in every run of the same configuration.
"""

import json
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ssljax.files import atomically
from ssljax.training.trackers import TRACKERS

log = logging.getLogger("ssljax")


class Writer(Protocol):
    """Where the numbers of a run go. Opened when it starts or resumes, on the first host alone."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row; values may be NaN or infinite."""
        ...

    def close(self) -> None:
        """After the last row, also when the run is stopped by a signal."""
        ...


class JsonLines:
    """Appends rows to `metrics.jsonl`.

    Rows beyond step `resume_at` and damaged lines are first moved to metrics-0001.jsonl (0002, ...)
    beside it.
    """

    def __init__(self, path: Path, *, resume_at: int = 0):
        self._path = path
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if step_of(line) <= resume_at]
            if len(kept) < len(lines):
                cut = [line for line in lines if step_of(line) > resume_at]
                names = (f"{path.stem}-{i:04}{path.suffix}" for i in range(1, 10**6))
                aside = next(p for name in names if not (p := path.with_name(name)).exists())
                atomically(aside, lambda fresh: fresh.write_bytes(b"".join(cut)))
                atomically(path, lambda fresh: fresh.write_bytes(b"".join(kept)))
                log.info(
                    "%d line(s) of %s that lie beyond step %d or are damaged are moved to %s",
                    *(len(cut), path.name, resume_at, aside.name),
                )
        elif resume_at:
            log.warning(
                "%s is missing: the numbers of the steps up to %d are lost, and those that follow "
                "are written", path, resume_at
            )  # fmt: skip
        self._file = path.open("a")

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row. JSON has no NaN or infinity: they become strings that float() reads.

        Raises: FileNotFoundError where the file was deleted or moved, which the open file alone
        does not notice.
        """
        if not self._path.exists():
            raise FileNotFoundError(
                f"{self._path} is gone: the run folder was deleted or moved while the run was at "
                "work, and it stops at step "
                f"{step}. Put the folder back and run again, or begin anew"
            )
        row: dict[str, float | str] = {"step": step}
        row.update({k: v if math.isfinite(v) else str(v) for k, v in values.items()})
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def step_of(line: bytes) -> float:
    """The step of a row; a line that a kill cut short, or with bytes that are no text, belongs to
    no step: infinity.
    """
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def last_step(path: Path) -> int:
    """The largest step among the rows of `metrics.jsonl`; 0 where there is none."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return int(max((s for line in lines if math.isfinite(s := step_of(line))), default=0))


class TensorBoard:
    """Scalars as TensorBoard events under `folder`.

    Written here and now: SummaryWriter hands them to a thread of its own, and where that thread
    cannot write (a full disk) its queue fills up and the run hangs without a word.
    """

    def __init__(self, folder: Path, *, resume_at: int = 0):
        # Slow to import; workers of a pod do not need it.
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        events: Any = event_pb2  # its classes come into being when it is imported

        folder.mkdir(parents=True, exist_ok=True)
        self._event, self._scalar = events.Event, summary.scalar
        # The time in the name counts in seconds: two starts within one must not share a file.
        self._writer = EventsWriter(str(folder / "events"), f".{resume_at}.{os.getpid()}")
        if resume_at:  # readers then drop what an earlier start has written beyond this step
            begin = events.SessionLog(status=events.SessionLog.START)
            for mark in ({"file_version": "brain.Event:2"}, {"session_log": begin}):
                self._writer.write_event(
                    self._event(wall_time=time.time(), step=resume_at + 1, **mark)
                )

    def write(self, step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            self._writer.write_event(
                self._event(wall_time=time.time(), step=step, summary=self._scalar(key, value))
            )
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Progress:
    """How far a run is, for a person: a bar on a terminal, elsewhere a line every `every` seconds.

    Loss, examples a second and, on a terminal, the time that is left. Lines go to the log.
    """

    def __init__(self, steps: int, *, resume_at: int = 0, every: float = 60.0):
        self._bar: Bar | None = None
        self._steps, self._every, self._last = steps, every, -math.inf
        if sys.stderr.isatty():
            columns = [
                TextColumn("step {task.completed}/{task.total}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
            ]
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=steps, completed=resume_at, text="")

    def write(self, step: int, values: dict[str, float]) -> None:
        if "loss" not in values:
            return
        text = f"loss {values['loss']:.4f}"
        if "machine/examples_per_second" in values:
            text += f"  {values['machine/examples_per_second']:,.0f} examples/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, text=text)
        elif time.monotonic() - self._last >= self._every or step == self._steps:
            self._last = time.monotonic()
            log.info("step %d/%d  %s", step, self._steps, text)

    def say(self, text: str) -> None:
        """What keeps a person waiting now, such as "compiling": on a terminal only."""
        if self._bar is not None:
            self._bar.update(self._task, text=text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


class Writers:
    """Several writers as one. Only the first host writes; the others call the same methods for
    nothing.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        steps: int,
        resume_at: int = 0,
        writing: bool = True,
        trackers: Sequence[str] = (),
    ):
        self._writers: list[Writer] = []
        self._progress = Progress(steps, resume_at=resume_at) if writing else None
        if self._progress is not None:
            self._writers.append(self._progress)
            if folder is not None:
                self._writers.append(JsonLines(folder / "metrics.jsonl", resume_at=resume_at))
                self._writers.append(TensorBoard(folder / "tensorboard", resume_at=resume_at))
                for name in trackers:
                    self._writers.append(TRACKERS[name](folder, resume_at=resume_at))

    def write(self, step: int, values: dict[str, float]) -> None:
        values = {key: float(value) for key, value in values.items()}
        for writer in self._writers:
            writer.write(step, values)

    def say(self, text: str) -> None:
        """As `Progress.say`."""
        if self._progress is not None:
            self._progress.say(text)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def spread(features: np.ndarray) -> dict[str, float]:
    """How much room features [B, D] take: the two numbers that fall when an encoder collapses.

    `feature_std`: mean over dimensions of the standard deviation of L2-normalised features; 0 is a
    single point, 1/sqrt(D) is isotropic. `rankme`: exp of the entropy of the singular values
    (Garrido et al. 2023, arXiv:2210.02885), between 1 and min(B, D).
    """
    x = np.asarray(features, np.float64)
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    # Singular values from the smaller Gram matrix: a few milliseconds instead of a full
    # decomposition.
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    s = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None))
    p = s / max(s.sum(), 1e-12) + 1e-7
    return {
        "feature_std": float(unit.std(axis=0).mean()),
        "rankme": float(np.exp(-(p * np.log(p)).sum())),
    }


def collapsed(values: dict[str, float], *, dimensions: int) -> str | None:
    """A sentence when the features have collapsed, else None: std below 2% of isotropic, or rank
    below 1.5.
    """
    healthy = 1 / math.sqrt(dimensions)
    if values["feature_std"] < 0.02 * healthy:
        return (
            f"the features have collapsed: standard deviation {values['feature_std']:.1e}, "
            f"{healthy:.1e} would be isotropic"
        )
    if values["rankme"] < 1.5:
        return f"the features have collapsed onto one direction: RankMe {values['rankme']:.2f}"
    return None
