"""A sweep: the experiments of one file, run one by one, and what they say together.

The file defines SWEEP = {name: Experiment, ...}, or {name: SelfTraining, ...}, and may define AXIS,
the field that goes along x in the plot (by default the one in which the experiments differ). In the
folder of the sweep:

    NAME/           the run folder of each experiment; error.txt where it failed
    sweep.txt, sweep.csv, sweep.json    one table: for people, for spreadsheets, for programs
    sweep.png, comparison.html          one plot, and all runs side by side
"""

import csv
import io
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from ssljax import probes, report
from ssljax.files import read_json
from ssljax.report.measures import measures_of
from ssljax.report.selftrainings import comparison
from ssljax.runs import record
from ssljax.runs.experiment import MAY_DIFFER, Experiment
from ssljax.runs.folder import compared
from ssljax.runs.run import run
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.run import run_self_training

# What sweep.txt shows of the trained encoder, where it was measured; sweep.csv has all numbers.
_COLUMNS = (
    *("accuracy", "accuracy_online"),
    *("linear_offline", "knn20_t0.07", "knn200_t0.1", "linear_1shot", "linear_10shot"),
    *("kmeans_accuracy", "rankme", "lidar", "feature_std"),
)


def load_sweep(path: str) -> tuple[dict[str, Any], str | None]:
    """(SWEEP, AXIS or None) of a file. Raises ValueError where it has no such thing."""
    module = record.load_file(path)
    experiments = getattr(module, "SWEEP", None)
    if not isinstance(experiments, dict) or not experiments:
        raise ValueError(f"{path} does not define SWEEP = {{name: Experiment(...), ...}}")
    first = next(iter(experiments.values()))
    kind = SelfTraining if isinstance(first, SelfTraining) else Experiment
    for name, experiment in experiments.items():
        if not isinstance(experiment, kind):
            raise ValueError(
                f"{path}: SWEEP[{name!r}] is {type(experiment).__name__}, no {kind.__name__}"
            )
        if Path(name).name != name or name in ("", ".", ".."):
            raise ValueError(f"{path}: SWEEP has the name {name!r}, which names no folder")
    return experiments, getattr(module, "AXIS", None)


def run_sweep(
    experiments: dict[str, Any],
    folder: Path,
    *,
    index: int | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Runs what is not finished, all of it or number `index` alone; True if nothing stopped it.

    An experiment that fails leaves its traceback in error.txt and does not stop the others. Where
    a signal asks to stop, the rest is left for the next time.

    Raises: ValueError for an index that is none, or, before any work, where `folder` holds a run of
    another configuration under the same name.
    """
    names = list(experiments)
    if index is not None:
        if not 0 <= index < len(names):
            raise ValueError(f"--index {index}: the sweep has experiments 0 to {len(names) - 1}")
        names = [names[index]]
    for name, experiment in experiments.items():
        free = MAY_DIFFER if isinstance(experiment, Experiment) else ()
        compared(experiment, folder / name, may_differ=free)
    for name in names:
        if _status(folder / name) == "finished":
            say(f"{name}: already finished")
            continue
        say(f"{name}: {folder / name}")
        error = folder / name / "error.txt"
        try:
            done = _run(experiments[name], folder / name)
        except Exception as caught:
            if jax.process_count() > 1:  # the other hosts are still in it
                raise
            error.parent.mkdir(parents=True, exist_ok=True)
            error.write_text("".join(traceback.format_exception(caught)))
            say(f"{name}: failed: {_first_line(caught)}")
        else:
            error.unlink(missing_ok=True)
            if not done:
                say(f"stopped in {name}; the same command goes on")
                return False
        jax.clear_caches()  # what is compiled for one run is of no use to the next
    return True


def _run(experiment: Any, folder: Path) -> bool:
    """Whether it was finished."""
    if isinstance(experiment, Experiment):
        return run(experiment, folder)["finished"]
    try:
        run_self_training(experiment, folder)
    except KeyboardInterrupt:  # a signal, after which the state is saved
        return False
    return True


def summarize(
    experiments: dict[str, Any], folder: Path, *, axis: str | None = None
) -> tuple[str, list[str]]:
    """Writes table and plot of what there is so far.

    Returns: (the table as text, with the errors below it; names of the experiments that failed).
    """
    status = {name: _status(folder / name) for name in experiments}
    finished = [folder / name for name in experiments if status[name] == "finished"]
    rounds = isinstance(next(iter(experiments.values())), SelfTraining)
    fields = report.differing(finished) if finished and not rounds else {}
    rows, done = [], {}
    for name in experiments:
        row: dict[str, Any] = {"run": name, "status": status[name]}
        rows.append(row)
        if status[name] != "finished":
            continue
        remedy = "Remove it and run again: the run is then evaluated again"
        results = read_json(folder / name / "results.json", dict, remedy=remedy)
        if rounds:
            row |= _numbers(results)
            done[name] = results
        else:
            place = [path.name for path in finished].index(name)
            row |= {field: values[place] for field, values in fields.items()}
            row |= {
                f"{encoder}.{key}": value
                for encoder, numbers in results["evaluation"]["encoders"].items()
                for key, value in numbers.items()
            }
            row["seconds.training"] = results["seconds"]["training"]
            row["hardware"] = results["hardware"]
    text = _rounds_text(rows, done) if rounds else _text(rows, list(fields), axis)
    failed = [name for name in experiments if status[name] == "failed"]
    for name in failed:
        last = (folder / name / "error.txt").read_text().strip().splitlines()[-1]
        text += f"\n\n{name} failed: {last}\n  (all of it: {folder / name / 'error.txt'})"
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(folder / "sweep.txt", text + "\n")
    _write(folder / "sweep.csv", table.getvalue())
    _write(folder / "sweep.json", json.dumps(rows, indent=2) + "\n")
    if finished and rounds:
        page, picture = folder / "comparison.html", folder / "sweep.png"
        report.write_self_trainings(finished, page, picture=picture)
    elif finished:
        report.write_overview(finished, folder / "sweep.png", axis=axis)
        report.write_comparison(finished, folder / "comparison.html", axis=axis)
    return text, failed


def _numbers(results: dict[str, Any]) -> dict[str, Any]:
    """The columns of a run of self-training: means and spreads over seeds, of the last round."""
    last = (results["quality_by_round"] or [{}])[-1]
    spreads = {k: results[k] for k in ("supervised", "self_trained", "full") if k in results}
    spreads |= {f"pseudo.{k}": v for k, v in last.items() if isinstance(v, dict)}
    row = {k: v["mean"] for k, v in spreads.items()}
    row |= {f"{k}_std": v["std"] for k, v in spreads.items()}
    row["measure"] = measures_of(results)[0].title
    return row | {"gap_closed": results.get("gap_closed"), "hardware": results["hardware"]}


def _rounds_text(rows: list[dict[str, Any]], done: dict[str, dict[str, Any]]) -> str:
    """The table for people: what was trained, and the labels of the last round, in the units of
    their tasks. done: results by name of run."""
    head, lines = comparison(done) if done else (["run"], [])
    cells = {line[0]: line[1:] for line in lines}
    text = [head]
    for row in rows:
        empty = ["—"] * (len(head) - 1)
        name = row["run"] if row["status"] == "finished" else f"{row['run']} ({row['status']})"
        text.append([name, *cells.get(row["run"], empty)])
    return probes.aligned(text)


def _text(rows: list[dict[str, Any]], fields: list[str], axis: str | None) -> str:
    """The table for people: the axis (or the only field), and the numbers of most interest."""
    shown = [axis] if axis in fields else fields if len(fields) == 1 else []
    keys = [k for k in _COLUMNS if any(f"trained.{k}" in row for row in rows)]
    encoders = {
        row["run"]: {k.removeprefix("trained."): v for k, v in row.items()}
        for row in rows
    }  # fmt: skip
    lines = [["run", *shown, *keys, *(["linear, random"] if "linear_offline" in keys else [])]]
    for row in rows:
        cells = [probes.cell(encoders[row["run"]], k) for k in keys]
        if "linear_offline" in keys:
            cells.append(probes.cell(row, "random.linear_offline"))
        name = row["run"] if row["status"] == "finished" else f"{row['run']} ({row['status']})"
        lines.append([name, *(str(row.get(f, "-")) for f in shown), *cells])
    return probes.aligned(lines)


def _status(folder: Path) -> str:
    if (folder / "results.json").exists():
        return "finished"
    if (folder / "error.txt").exists():
        return "failed"
    return "unfinished" if (folder / "config.json").exists() else "not started"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _write(path: Path, text: str) -> None:
    """Writes the whole file or nothing: jobs of an array may end at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_text(text)
    os.replace(fresh, path)
