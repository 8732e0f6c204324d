"""SIGTERM (preemption) and Ctrl-C: a run stops where nothing is half done, and says so.

Inside the training loop a signal sets an event, and the loop saves before it ends. Outside of it
(reading data, compiling, the evaluation at the end) nothing is lost by ending at once: there it
raises KeyboardInterrupt, which the commands turn into one line.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

_came = threading.Event()  # a signal that asks this process to end


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or a first Ctrl-C sets; a Ctrl-C after that interrupts.

    With several processes SIGTERM is left to jax, which tells all hosts (see
    `ssljax.training.distributed.stop_agreed`).
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()  # schedulers may send SIGTERM more than once
        _came.set()

    alone = not jax.distributed.is_initialized()
    handled = (signal.SIGTERM, signal.SIGINT) if alone else (signal.SIGINT,)
    before = {number: signal.signal(number, ask) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """What a command does: SIGTERM interrupts as Ctrl-C does, once. Those that follow it while the
    process ends do nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or jax.distributed.is_initialized():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        if not _came.is_set():
            _came.set()
            raise KeyboardInterrupt

    _came.clear()
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if _came.is_set() else before)
