"""The page of a self-training run: scores and quality by round, classes, calibration, mistakes."""

from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ssljax.measure import Measure
from ssljax.report.charts import RC, colours_for, svg_of
from ssljax.report.labelled import drawn, mistakes, told
from ssljax.report.measures import NAMES, measures_of, over, said
from ssljax.report.network import network
from ssljax.report.noise import interval_of, is_share
from ssljax.report.page import (
    details_of,
    grid_of,
    legend_of,
    section,
    text_table,
    write_page,
)
from ssljax.report.runs import flat_fields, read_arrays, read_json

_PER_CLASS = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}
_NAMED = 20  # classes whose names, and confusions, have room in a chart


def write_self_training(folder: Path, *, out: Path | None = None) -> Path:
    """Writes the page of a run of `ssljax selftrain` and returns its path.

    Reads results.json and config.json, and report.npz where it is there.
    Raises: FileNotFoundError where the run is not finished.
    """
    folder = Path(folder)
    results, config = finished(folder), read_json(folder / "config.json")
    first = results["seeds"][0]
    last = first["rounds"][-1]
    arrays = read_arrays(folder / "report.npz")
    names = [str(n) for n in arrays["names"]] if "names" in arrays else None
    body = [
        f"<header><h1>{escape(folder.resolve().name)}</h1></header>",
        section("Results", _results(results) + _test_table(results)),
        section("By round", grid_of(_by_round(results))),
        section(
            "Classes",
            grid_of(_classes(first, names)) + _confused(last, names) + _class_table(last, arrays),
        ),
        section("Labels of the last round", drawn(arrays) or told(arrays)),
        section("The network", network(arrays, names)),
        section("Calibration", grid_of([_reliability(first)])),
        section("Most confident mistakes", mistakes(arrays)),
        section("Warnings", _warnings(results)),
        section(
            "Configuration", details_of("All fields", flat_fields(config.get("experiment", {})))
        ),
    ]
    return write_page(Path(out or folder / "report.html"), folder.resolve().name, body)


def finished(folder: Path) -> dict[str, Any]:
    """What results.json holds."""
    results = read_json(folder / "results.json")
    if not results:
        raise FileNotFoundError(f"{folder} has no results.json: finish the run first")
    return results


def is_self_training(folder: Path) -> bool:
    """Whether a run folder is one of `ssljax selftrain`."""
    fields = dict(flat_fields(read_json(Path(folder) / "config.json")))
    return fields.get("experiment.type", "").endswith(":SelfTraining")


def _results(results: dict[str, Any]) -> str:
    measure, shown = measures_of(results)
    n = results.get("test", {}).get("examples")
    rows = []
    for key, name in NAMES.items():
        if key in results:
            span = interval_of(measure.key, results[key]["mean"], n)
            rows.append([name, f"{measure.format(results[key])} {span}".rstrip()])
    for row in results.get("quality_by_round", ()):
        more = " (estimated on the hold-out)" if row.get("estimated") else ""
        rows.append([f"pseudo-labels of round {row['round']}", said(row, shown) + more])
    gap = results.get("gap_closed")
    if gap is not None:
        rows.append(["gap closed", f"{100 * gap:.0f}%"])
    note = (
        f'<p class="note">{escape(measure.title)}, {over(len(results["seeds"]))}; every network '
        "has the same number of steps.</p>"
    )
    worse = '<p class="warn">Self-training does not help here.</p>'
    if gap is None and "full" in results:
        worse = '<p class="warn">All labels are no better than the few: nothing to gain here.</p>'
    warn = (gap is not None and gap <= 0) or (gap is None and "full" in results)
    if n and is_share(measure.key):
        note += f'<p class="note">In brackets the 95% interval (Wilson) of n = {n:,}.</p>'
    note += "".join(f'<p class="note">{escape(line)}.</p>' for line in results.get("notes", ()))
    return note + (worse if warn else "") + text_table([], rows)


def _by_round(results: dict[str, Any]) -> list[str]:
    """Score, quality of the labels, coverage and stability, a line a seed."""
    measure, shown = measures_of(results)
    share = Measure(key="")
    panels = {f"Test score: {measure.title}": (measure, ("test", "score"))}
    for kind, more in (("quality", ""), ("estimate", ", by the hold-out")):
        panels[f"Pseudo-labels: {shown[0].title}{more}"] = (shown[0], (kind, shown[0].key))
    panels |= {
        "Coverage of the pool": (share, ("coverage",)),
        "Labels unchanged since the last round": (share, ("stability", "unchanged")),
        "Calibration error": (share, ("ece",)),
    }
    seeds = results["seeds"]
    found = []
    for title, (of, path) in panels.items():
        lines = [[(r["round"], _at(r, path)) for r in s["rounds"]] for s in seeds]
        lines = [[(x, of.scale * y) for x, y in line if y is not None] for line in lines]
        if not any(lines):
            continue
        with matplotlib.rc_context(RC):
            figure, axes = _axes()
            for line, colour in zip(lines, colours_for(len(lines)), strict=False):
                if line:
                    axes.plot(*zip(*line, strict=True), "o-", color=colour, markersize=3.5)
            axes.set_xlabel("round")
            if of.unit:
                axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _, u=of.unit: f"{y:.4g}{u}"))
            axes.set_xticks(range(max(len(s["rounds"]) for s in seeds)))
            legend = legend_of([f"seed {s['seed']}" for s in seeds], colours_for(len(seeds)))
            found.append(_figure(title, figure, legend))
    return found


def _at(row: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """What lies there in nested dicts, if anything."""
    found: Any = row
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _classes(first: dict[str, Any], names: list[str] | None) -> list[str]:
    """How many labels each class has, in every round of the first seed, beside the truth, and what
    is taken for what in the last.
    """
    rounds = [r for r in first["rounds"] if "selected" in r]
    if not rounds:
        return []
    count = len(rounds[0]["selected"])
    named = names if names and count <= _NAMED else None
    found = []
    with matplotlib.rc_context(RC):
        figure, axes = _axes()
        colours, places = colours_for(len(rounds) + 1), np.arange(count)
        labels = [f"round {r['round']}" for r in rounds]
        width = 0.8 / len(rounds)
        for i, (r, colour) in enumerate(zip(rounds, colours, strict=False)):
            axes.bar(places - 0.4 + (i + 0.5) * width, r["selected"], width, color=colour)
        if "prior" in rounds[-1].get("quality", ()):
            prior = rounds[-1]["quality"]["prior"]
            colour = colours[len(rounds)]
            axes.bar(places, prior, 0.9, fill=False, edgecolor=colour, linewidth=0.8)
            labels.append("in the pool")
        axes.set_ylabel("examples")
        _name(axes.xaxis, named, "class")
        title = f"Labels of each class, seed {first['seed']}"
        found.append(_figure(title, figure, legend_of(labels, colours)))
        if "confusion" in rounds[-1].get("quality", ()) and count <= _NAMED:
            table = np.array(rounds[-1]["quality"]["confusion"], float)
            figure, axes = _axes()
            axes.grid(visible=False)
            share = table / np.maximum(table.sum(1, keepdims=True), 1)
            axes.pcolormesh(
                share, cmap="Blues", vmin=0, vmax=1, edgecolors="#e6e8eb", linewidth=0.3
            )
            axes.invert_yaxis()
            for axis, what in ((axes.xaxis, "label"), (axes.yaxis, "truth")):
                _name(axis, named, what, shift=0.5)
            title = (
                f"What is labelled as what, round {rounds[-1]['round']}, share of each true class"
            )
            found.append(_figure(title, figure, ""))
    return found


def _name(axis: Any, names: list[str] | None, what: str, *, shift: float = 0.0) -> None:
    """Names of classes along an axis, or what it is where there are none."""
    if names is None:
        axis.set_label_text(what)
        axis.set_major_locator(MaxNLocator(8, integer=True))
        return
    axis.set_ticks(np.arange(len(names)) + shift, [n[:12] for n in names])
    if axis.axis_name == "x" and max(map(len, names)) > 2:
        for label in axis.get_ticklabels():
            label.set(rotation=60, ha="right", rotation_mode="anchor")
    axis.set_label_text(what)


def _confused(last: dict[str, Any], names: list[str] | None, count: int = 10) -> str:
    """The classes that are taken for others most often, where a chart has no room for all."""
    table = np.array(last.get("quality", {}).get("confusion", []))
    if len(table) <= _NAMED:
        return ""
    wrong = table - np.diag(table.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    named = names or [str(k) for k in range(len(table))]
    rows = [[named[i], named[j], f"{wrong[i, j]:,}"] for i, j in pairs if wrong[i, j]]
    return text_table(["truth", "labelled", "examples, last round"], rows) if rows else ""


def _class_table(last: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    found = last.get("quality", {})
    if "per_class_f1" not in found:
        return ""
    names = arrays.get("names", np.arange(len(found["prior"])).astype(str))
    shown = [n for n in _PER_CLASS if f"per_class_{n}" in found]
    rows = [
        [str(names[k]), f"{found['selected'][k]:,}", f"{found['prior'][k]:,}"]
        + [f"{100 * found[f'per_class_{n}'][k]:.1f}" for n in shown]
        for k in range(len(found["prior"]))
    ]
    head = ["class", "labelled", "in the pool", *(_PER_CLASS[n] for n in shown)]
    body = text_table(head, rows)
    return f"<details><summary>Every class, last round, percent</summary>{body}</details>"


def _test_table(results: dict[str, Any]) -> str:
    """Everything that the target scores on the test data, means over the seeds."""
    columns = {
        "supervised": [s["rounds"][0]["test"] for s in results["seeds"]],
        "self_trained": [s["rounds"][-1]["test"] for s in results["seeds"]],
        "full": [s.get("full", {}) for s in results["seeds"]],
    }
    columns = {k: columns[k] for k in NAMES if k in results}
    keys = [k for k in next(iter(columns.values()), [{}])[0] if k != "score"]
    if not keys:
        return ""
    rows = []
    for key in keys:
        values = ([numbers.get(key) for numbers in column] for column in columns.values())
        rows.append([key, *(_mean(v) for v in values)])
    body = text_table(["number", *(NAMES[k] for k in columns)], rows)
    return f"<details><summary>Every number on the test data</summary>{body}</details>"


def _mean(values: list[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{np.mean(known):.4g}" if known else "—"


def _reliability(first: dict[str, Any]) -> str:
    rounds = [r for r in first["rounds"] if "reliability" in r]
    if not rounds:
        return ""
    with matplotlib.rc_context(RC):
        figure, axes = _axes()
        axes.plot([0, 1], [0, 1], color="#8a929b", linestyle=":")
        for r, colour in zip(rounds, colours_for(len(rounds)), strict=False):
            found = r["reliability"]
            axes.plot(found["confidence"], found["accuracy"], "o-", color=colour, markersize=3.5)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        labels = [f"round {r['round']}, ECE {100 * r['ece']:.1f}%" for r in rounds]
        legend = legend_of(labels, colours_for(len(rounds)))
        return _figure("Reliability of all predictions on the pool", figure, legend)


def _warnings(results: dict[str, Any]) -> str:
    lines = [
        f"seed {s['seed']}, round {r['round']}: {w}"
        for s in results["seeds"]
        for r in s["rounds"]
        for w in r.get("warnings", ())
    ]
    return "".join(f'<p class="warn">{escape(line)}</p>' for line in lines)


def _axes() -> tuple[Figure, Any]:
    figure = Figure(figsize=(4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    return figure, axes


def _figure(title: str, figure: Figure, legend: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg_of(figure)}{legend}</figure>"
