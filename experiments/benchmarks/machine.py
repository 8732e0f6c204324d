"""What all benchmarks share: the machine, ratios of two sides, tables, separate processes."""

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "numpy", "torch", "scikit-learn", "grain", "pyarrow", "pillow")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment() -> dict[str, str]:
    """Hardware, how busy it is, versions, date. No device of JAX is touched."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    found = {
        "cpu": f"{model}, {cores()} cores usable",
        "load at start": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def ratio(
    what: str, unit: str, ours: Sequence[float], peer: Sequence[float], *, against: str
) -> dict[str, Any]:
    """One row of the final table: ours / peer, round by round, where more is better.

    A ratio of two numbers of one round has seen the same load of the machine on both sides.
    """
    pairs = [a / b for a, b in zip(ours, peer, strict=True)]
    return {
        "what": what,
        "unit": unit,
        "ssljax": statistics.median(ours),
        "against": against,
        "peer": statistics.median(peer),
        "ratio": statistics.median(pairs),
        "lowest": min(pairs),
        "highest": max(pairs),
    }


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown with aligned columns, the first row being the header and text standing left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([line(rows[0]), f"|{rule}|", *map(line, rows[1:])])


def in_turn(
    file: str | Path, common: Sequence[str], sides: Sequence[str], *, rounds: int, name: str
) -> dict[str, list[dict[str, Any]]]:
    """What each side measures, a process for each in turn A B A B: side -> results of the rounds.

    Later rounds find what the first one compiled. Raises: RuntimeError where the sides do not have
    equally many parameters, so that their steps are not the same.
    """
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="steps_", ignore_cleanup_errors=True) as cache:
        places = {"JAX_COMPILATION_CACHE_DIR": f"{cache}/jax"}
        places |= {"TORCHINDUCTOR_CACHE_DIR": f"{cache}/torch"}
        for _ in range(rounds):
            for side, results in found.items():
                results.append(child(file, *common, "--side", side, env=places | os.environ))
    if len({r.get("parameters") for results in found.values() for r in results}) > 1:
        raise RuntimeError(f"{name}: parameter counts differ, so the steps are not the same")
    return found


def child(file: str | Path, *options: str, env: Mapping[str, str] | None = None) -> Any:
    """Runs a Python file in a process of its own and reads the JSON of its last line."""
    command = [sys.executable, str(file), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"failed with exit code {done.returncode}: {' '.join(command)}")
    return json.loads(done.stdout.splitlines()[-1])
