"""What the machine does: how long steps take, how long they wait for data, how much memory is used.

All names start with `machine/`: these numbers differ from run to run, all others do not. A thread
of its own says so when a step takes ten times the usual, even while that step hangs.
"""

import logging
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np

log = logging.getLogger("ssljax")

SLOW = 10.0
"""A step, or a call of several, that takes so many times the median is reported, once it has taken
a second.
"""
_KNOWN = 20  # calls before the usual is known


class Clock:
    """Measures steps from one to the next, pauses (compilation, evaluation, saving) left out."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()
        self._pause = self._waited = self._busy = 0.0
        self._examples = 0
        self._paused = False
        self._recent: deque[float] = deque(maxlen=1000)  # seconds a call, of one step or several
        self._window: list[float] = []
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def step(self, examples: int, *, steps: int = 1) -> None:
        """The device has done `steps` more steps with `examples` examples in all."""
        now = time.perf_counter()
        took = max(now - self._last - self._pause, 0.0)
        self._last, self._pause = now, 0.0
        self._busy += took
        self._examples += examples
        self._window.append(took / steps)
        self._recent.append(took)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside counts as no step."""
        before, self._paused = time.perf_counter(), True
        try:
            yield
        finally:
            self._pause += time.perf_counter() - before
            self._paused = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What happens inside is a wait for data, and part of the step."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._waited += time.perf_counter() - before

    def read(self) -> dict[str, float]:
        """Numbers since the last reading; memory and elapsed time since the start."""
        taken = self._window or [0.0]
        busy = max(self._busy, 1e-9)
        row = {
            "machine/examples_per_second": self._examples / busy,
            "machine/step_seconds_median": float(np.median(taken)),
            "machine/step_seconds_p95": float(np.percentile(taken, 95)),
            "machine/data_wait_fraction": min(self._waited / busy, 1.0),
            "machine/elapsed_seconds": time.perf_counter() - self._begin,
        }
        self._busy, self._waited, self._examples, self._window = 0.0, 0.0, 0, []
        return row | memory()

    def close(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        warned = 0.0  # the step, by its beginning, that was reported last
        while not self._over.wait(0.5):
            if self._paused or len(self._recent) < _KNOWN or self._last == warned:
                continue
            usual = float(np.median(list(self._recent)))
            takes = time.perf_counter() - self._last - self._pause
            if takes > max(1.0, SLOW * usual):
                warned = self._last
                log.warning(
                    "a step takes %.1f s and is not done; %.2g s is usual here: is the data slow, "
                    "the machine busy, or another host gone?",
                    takes,
                    usual,
                )


def memory() -> dict[str, float]:
    """Peak bytes so far: of this process, and of the fullest of its devices where it tells."""
    unit = 1 if sys.platform == "darwin" else 1024
    found = {
        "machine/peak_host_bytes": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    }
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [s["peak_bytes_in_use"] for s in stats if "peak_bytes_in_use" in s]
    if peaks:
        found["machine/peak_device_bytes"] = float(max(peaks))
    return found
