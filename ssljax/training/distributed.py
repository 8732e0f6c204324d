"""Several hosts as one run: they join, they stop at the same step, and they fail together.

jax runs the same program on every host and trusts all of them to go on. A host that fails would
leave the others waiting in a collective, so `guard` makes any failure, also a silent one, end every
host with the name of the one that failed. All of it goes through the key-value store of jax's own
coordination service, which lives in process 0. With one process nothing here does anything.
"""

import atexit
import itertools
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils

from ssljax.training import cluster

log = logging.getLogger("ssljax")

PULSE = 1.0
"""Seconds between two signs of life of a host."""
SILENCE = 30.0
"""Seconds without one after which a host counts as lost. jax's own limit, which ends the processes
without naming a host, comes later but still within a minute."""
JOIN = 300
"""Seconds that a host waits for the others at the start."""
_LEAVE = 5.0  # seconds that process 0 stays so that the others can read why the run ends
_numbers = itertools.count()  # every host makes the same calls in the same order
_asked = threading.Event()


def initialize(
    *, coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Joins the other processes of the run; does nothing where there is only one.

    Without arguments: the variables JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID
    (or the JOB_COMPLETION_INDEX of a Kubernetes indexed job), else what jax finds on a TPU pod
    slice, under Slurm or under Open MPI. Call it before anything is computed.

    Args:
      coordinator: HOST:PORT of process 0, reachable from all hosts. processes: how many there are.
      process: which one this is, from 0.
    Raises: ValueError for arguments that do not fit, TimeoutError where process 0 does not answer.
    """
    if jax.distributed.is_initialized():
        return
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    if set(given.values()) == {None}:
        given = cluster.from_variables()
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == 3 and not cluster.in_cluster():
        return
    if 0 < len(missing) < 3:
        raise ValueError(
            "several hosts need all of --coordinator HOST:PORT, --processes and --process (or the "
            f"variables JAX_COORDINATOR_ADDRESS, ...): {' and '.join(missing)} missing"
        )
    if not missing:
        if given["processes"] == 1:
            return
        cluster.check(**given, wait=JOIN)
    global _words
    _words = _LastWords()
    which = "" if missing else " as process {process} of {processes} at {coordinator}"
    _words.prepare(
        f"ssljax: {socket.gethostname()} could not join the run{which.format(**given)}: are all "
        "processes started, each with its own number, and is the port free and open?"
    )
    jax.distributed.initialize(
        given["coordinator"],
        given["processes"],
        given["process"],
        initialization_timeout=JOIN,
        heartbeat_timeout_seconds=int(SILENCE) + 15,
        shutdown_timeout_seconds=60,
    )
    client, me, _ = _service()
    client.key_value_set(f"ssljax/host/{me}", socket.gethostname())
    first = client.blocking_key_value_get("ssljax/host/0", JOIN * 1000)
    lost = f" because host {first} (process 0), which leads the run, is lost" if me else ""
    _words.prepare(f"ssljax: {_name(me)} was killed, or ended by jax{lost}")


@contextmanager
def guard() -> Iterator[None]:
    """Whatever ends one host inside ends all of them within a minute, naming the host that failed.

    With several processes an exception does not leave: its traceback and the reason are printed and
    the process exits with code 1, because a clean exit would wait for the others. At the end all
    hosts wait for each other.
    """
    if not jax.distributed.is_initialized() or _service()[2] == 1:
        yield
        return
    watch = _Watch()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, SystemExit) or error.code:
            watch.fail(error)
        watch.finish()
        raise
    watch.finish()


def stop_agreed(local_stop: bool, step: int, *, stride: int = 1) -> bool:
    """Whether training ends at `step`: on all hosts at the same one.

    A SIGTERM on any host, or `local_stop`, starts the agreement in the background: one step after
    the farthest host. Every host calls this before every turn of its loop, with `step` rising by
    `stride`; it costs a lock. With one process it returns `local_stop`.
    """
    if not jax.distributed.is_initialized():
        return local_stop
    if local_stop and not _asked.is_set():
        _asked.set()
        signal.raise_signal(signal.SIGTERM)  # jax's handler takes it for a notice of preemption
    # The step that is agreed on may lie within a stride. (Turns could be counted instead, but Orbax
    # asks jax the same question by step when it saves.)
    passed = range(max(0, step - stride + 1), step + 1)
    return any(multihost_utils.reached_preemption_sync_point(i) for i in passed)


def from_first(value: str) -> str:
    """The value of process 0, on every host: for names that must not differ, such as a time."""
    if not jax.distributed.is_initialized():
        return value
    client, me, _ = _service()
    key = f"ssljax/agreed/{next(_numbers)}"
    if me == 0:
        client.key_value_set(key, value)
    return client.blocking_key_value_get(key, JOIN * 1000)


class _Watch:
    """A thread that shows this host alive and looks after the others."""

    def __init__(self) -> None:
        self._client, self._me, self._count = _service()
        self._root = f"ssljax/guard/{next(_numbers)}/"
        self._first = _name(0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fail(self, error: BaseException) -> NoReturn:
        """Tells all hosts that this one fails; the thread then ends the process."""
        text = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in reason:
            # When one host dies the collectives break on all others: find that one first.
            log.warning("a computation failed (%s): looking for a host that is lost", reason[:200])
            self._thread.join(timeout=SILENCE + 3 * PULSE)
        traceback.print_exception(error)
        self._report(f"{_name(self._me)} failed: {reason}")
        self._thread.join()
        os._exit(1)

    def finish(self) -> None:
        """Waits until every host has come to its end."""
        self._client.key_value_set(f"{self._root}done/{self._me}", "")
        while len(self._client.key_value_dir_get(f"{self._root}done/")) < self._count:
            time.sleep(PULSE / 4)
        self._over.set()
        self._thread.join()

    def _report(self, reason: str) -> None:
        with suppress(jax.errors.JaxRuntimeError):  # the first report stays
            self._client.key_value_set(f"{self._root}failed", reason)

    def _run(self) -> None:
        beats: dict[str, tuple[str, float]] = {}
        while not self._over.is_set():
            try:
                self._client.key_value_increment(f"{self._root}alive/{self._me}", 1)
                if self._me == 0 and (lost := self._lost(beats)):
                    self._report(lost)
                self._end(
                    self._client.blocking_key_value_get(f"{self._root}failed", int(PULSE * 1000))
                )
            except jax.errors.JaxRuntimeError as error:
                if not str(error).startswith("DEADLINE_EXCEEDED") and not self._over.is_set():
                    self._end(f"{self._first}, which leads the run, is lost: {error}")

    def _lost(self, beats: dict[str, tuple[str, float]]) -> str | None:
        """The first host whose sign of life has not changed for too long."""
        now = time.monotonic()
        for key, beat in self._client.key_value_dir_get(f"{self._root}alive/"):
            if beats.get(key, ("", 0))[0] != beat:
                beats[key] = (beat, now)
            elif now - beats[key][1] > SILENCE:
                return (
                    f"{_name(int(key.rsplit('/', 1)[1]))} has given no sign of life for "
                    f"{SILENCE:.0f} s: killed, out of memory, or cut off from the network"
                )
        return None

    def _end(self, reason: str) -> NoReturn:
        """Says why the run ends and ends this process, whatever its other threads do."""
        with suppress(ValueError, OSError):
            sys.stdout.flush()
        os.write(2, f"ssljax: the run ends on all hosts: {reason}\n".encode())
        if _words is not None:
            _words.close()
        with suppress(jax.errors.JaxRuntimeError):
            self._client.key_value_set(f"{self._root}left/{self._me}", "")
            # The store lives in process 0, so that one leaves last.
            until = time.monotonic() + _LEAVE
            while self._me == 0 and time.monotonic() < until:
                if len(self._client.key_value_dir_get(f"{self._root}left/")) == self._count:
                    break
                time.sleep(PULSE / 4)
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(1)


class _LastWords:
    """A tiny child process that speaks when this one is gone without a word.

    jax aborts the process from native code when it loses process 0, and the kernel kills it when
    memory runs out: Python can say nothing then, but the end of a pipe is always seen.
    """

    def __init__(self) -> None:
        script = 'while read -r line; do last=$line; done; [ -z "$last" ] || echo "$last" >&2'
        self._child = subprocess.Popen(
            ["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True
        )
        atexit.register(self.close)

    def prepare(self, text: str) -> None:
        """What to say; the empty text is nothing."""
        pipe = self._child.stdin
        assert pipe is not None  # it was opened as one
        with suppress(OSError, ValueError):
            pipe.write(text.encode() + b"\n")
            pipe.flush()

    def close(self) -> None:
        """The process ends in an orderly way: nothing is to be said."""
        self.prepare("")


_words: _LastWords | None = None


def _service() -> tuple[Any, int, int]:
    """(client of jax's coordination service, which process this is, how many there are).

    The one use of jax's private modules: the key-value store has no public name.
    """
    from jax._src import distributed as private

    state = private.global_state
    return state.client, state.process_id, state.num_processes


def _name(process: int) -> str:
    """Such as "host worker-3 (process 3 of 8)"."""
    client, _, count = _service()
    host = client.blocking_key_value_get(f"ssljax/host/{process}", JOIN * 1000)
    return f"host {host} (process {process} of {count})"
