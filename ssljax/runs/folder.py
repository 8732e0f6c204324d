"""A run folder: made or checked, held for one process, and told where it comes from."""

import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from ssljax.files import write_json
from ssljax.runs import record
from ssljax.runs.experiment import Experiment

log = logging.getLogger("ssljax")


def prepare(experiment: Experiment, folder: Path) -> None:
    """Makes the run folder and writes config.json, or checks that the one there says the same."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{socket.gethostname()}-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"the run folder {folder} cannot be written ({error.strerror}): "
            "name another with --workdir"
        ) from error
    config = folder / "config.json"
    encoded = json.loads(json.dumps(record.encode(experiment)))
    if config.exists():
        before = json.loads(config.read_text())["experiment"]
        changed = record.changes(before, encoded)
        if changed:
            raise ValueError(
                f"{folder} belongs to a run of another configuration ("
                + "; ".join(changed[:5])
                + "): use another --workdir, or the same configuration to resume"
            )
        return
    if jax.process_index() == 0:
        write_json(config, {"experiment": encoded, **provenance()})


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a run folder for this run alone, until it ends in any way.

    The kernel holds the lock for the process, so a killed run leaves none behind. Of several hosts
    the first one holds it for all. Raises: ValueError where another run is at work in the folder.
    """
    if jax.process_index() != 0:
        yield
        return
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"another run is at work in {folder} ({file.read().strip() or 'unknown process'}): "
                "wait for it, stop it, or use another --workdir"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def provenance() -> dict[str, Any]:
    """Versions, git commit, command and devices of this process."""
    names = ("ssljax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": sys.argv,
        "versions": {n: importlib.metadata.version(n) for n in names},
        "python": platform.python_version(),
        "commit": commit or None,
        "hardware": hardware(),
    }


def hardware() -> str:
    """One line that says what this runs on."""
    kinds = sorted({d.device_kind for d in jax.devices()})
    devices = f"{len(jax.devices())} x {', '.join(kinds)} ({jax.default_backend()})"
    return f"{devices}, {os.cpu_count()} cores"
