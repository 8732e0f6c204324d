"""A run folder: made or checked, held for one process, and told where it comes from."""

import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax

from ssljax.files import read_json, write_json
from ssljax.runs import record
from ssljax.training.metrics import last_step

log = logging.getLogger("ssljax")
_REMEDY = (
    "Put back a copy of it; or remove it and repeat the very command that made the run, which "
    "writes it anew"
)


def prepare(config: Any, folder: Path, *, may_differ: Sequence[str] = ()) -> None:
    """Makes the run folder and writes config.json, or checks that the one there says the same.

    Where nothing was trained yet, config.json of an earlier start is replaced.

    Args:
      may_differ: fields that may differ from those of a run that is there, such as cadence.log:
        then the new values are written, and what they replace is kept under "changed".
    Raises: ValueError where another field differs, PermissionError where nothing can be written.
    """
    with opened(folder, hold=False):
        accept(config, folder, compared(config, folder, may_differ=may_differ))


def compared(config: Any, folder: Path, *, may_differ: Collection[str] = ()) -> list[str]:
    """The fields in which `config` differs from the run in `folder`, as `cadence.log: 50 -> 10`.

    Raises: ValueError where one of them is not among `may_differ`, or config.json is damaged.
    """
    if not begun(folder) or not (folder / "config.json").exists():
        return []
    changed = record.changes(read_config(folder)["experiment"], _encoded(config))
    free = tuple(f"{name}{end}" for name in may_differ for end in (":", "."))
    refused = [c for c in changed if not c.startswith(free)]
    if refused:
        steps = next((c.split(" ")[-1] for c in refused if c.startswith("steps:")), None)
        longer = f"; more steps: --extend-to {steps}" if steps and len(refused) == 1 else ""
        raise ValueError(
            f"{folder} belongs to a run of another configuration ({'; '.join(refused[:5])}): use "
            f"another --workdir, or the same configuration to resume{longer}"
        )
    return changed


def accept(config: Any, folder: Path, changed: Sequence[str]) -> None:
    """Writes config.json, of a new run or with the fields that have `changed`."""
    path = folder / "config.json"
    if jax.process_index() != 0:
        return
    if not begun(folder) or not path.exists():
        if begun(folder):
            log.warning("%s was missing, and is written anew as this command says", path)
        write_json(path, {"experiment": _encoded(config), **provenance()})
    elif changed:
        log.info("the run goes on with other settings: %s", "; ".join(changed))
        before = read_config(folder)
        history = [*before.get("changed", []), {"fields": list(changed), "command": sys.argv}]
        write_json(path, before | {"experiment": _encoded(config), "changed": history})


def begun(folder: Path) -> bool:
    """Whether something was trained in a run folder, so that its configuration holds."""
    place = folder / "checkpoints"
    return (
        any((folder / name).exists() for name in ("saved.json", "results.json", "pretrained"))
        or (place.is_dir() and any(p.name.isdigit() for p in place.iterdir()))
        or last_step(folder / "metrics.jsonl") > 0
        or any(folder.glob("seed*/*"))
    )


def read_config(folder: Path) -> dict[str, Any]:
    """What config.json of a run folder holds, with the encoded run under "experiment".

    Raises: FileNotFoundError where there is none, ValueError that names it where it is damaged.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    config = read_json(path, dict, remedy=_REMEDY)
    encoded = config.get("experiment")
    if not isinstance(encoded, dict) or not isinstance(encoded.get("type"), str):
        raise ValueError(f"{path} is damaged: it holds no experiment. {_REMEDY}")
    try:
        record.decode(encoded)
    except record.Damaged as error:
        raise ValueError(f"{path} is damaged: {error}. {_REMEDY}") from error
    except (ValueError, TypeError, ImportError):  # of another file or version: others say so
        pass
    return config


def config_of(folder: Path, file: str | None = None) -> Any:
    """The `Experiment` or `SelfTraining` of a run folder.

    file: the experiment file, where the run uses a class of it.
    Raises: as `read_config`, and ValueError where the classes do not fit.
    """
    config = read_config(Path(folder))
    try:
        return record.decode(config["experiment"], module=record.load_file(file) if file else None)
    except (ValueError, TypeError, ImportError) as error:
        raise ValueError(f"{Path(folder) / 'config.json'} cannot be used: {error}") from error


def _encoded(config: Any) -> Any:
    return json.loads(json.dumps(record.encode(config)))


@contextmanager
def opened(folder: Path, *, hold: bool = True) -> Iterator[None]:
    """Makes a run folder and holds it for this run alone (see `lock`). Where the work inside fails
    before it has written anything, a folder that was made here is removed again.
    """
    new = not folder.exists()
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
    try:
        if hold:
            with lock(folder):
                yield
        else:
            yield
    except BaseException:
        with suppress(OSError):
            if new and {path.name for path in folder.iterdir()} <= {".lock"}:
                shutil.rmtree(folder)
        raise


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
