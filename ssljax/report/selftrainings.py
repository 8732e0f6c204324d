"""Several runs of self-training on one page: a table and a chart for each number of a task."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ssljax.report.charts import RC, colours_for, svg_of
from ssljax.report.measures import COVERAGE, measures_of, over, quality_cells
from ssljax.report.page import section, text_table, write_page
from ssljax.report.runs import names_of
from ssljax.report.selftraining import finished


def write_self_trainings(folders: list[Path], out: Path, *, picture: Path | None = None) -> Path:
    """Writes a page that compares several runs, and its chart as `picture`; returns `out`.

    Raises: FileNotFoundError where a run is not finished.
    """
    paths = [Path(f).resolve() for f in folders]
    found = {name: finished(path) for name, path in zip(names_of(paths), paths, strict=True)}
    title = f"Comparison of {len(found)} runs"
    with matplotlib.rc_context(RC):
        figure = _overview(found)
        if picture is not None:
            Path(picture).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(picture, dpi=160, metadata={"Software": None})
        chart = f'<figure class="wide">{svg_of(figure)}</figure>'
    count = len(next(iter(found.values()))["seeds"])
    note = (
        f'<p class="note">{over(count).capitalize()}; what is said of labels is of the '
        "last round's pseudo-labels.</p>"
    )
    head, rows = comparison(found)
    body = [
        f"<header><h1>{title}</h1></header>",
        section("Results", note + text_table(head, rows)),
        section("Test score", chart),
    ]
    return write_page(Path(out), title, body)


def comparison(found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(the columns, a row of text for each run) of what runs with such results.json have."""
    cells = {name: _cells(results) for name, results in found.items()}
    columns = list(dict.fromkeys(title for row in cells.values() for title in row))
    rows = [[name, *(row.get(title, "—") for title in columns)] for name, row in cells.items()]
    return ["run", *columns], rows


def _cells(results: dict[str, Any]) -> dict[str, str]:
    measure, shown = measures_of(results)
    names = {"supervised": "supervised", "self_trained": "self-trained", "full": "fully supervised"}
    row = {
        f"{name}, {measure.title}": measure.format(results[key])
        for key, name in names.items()
        if key in results
    }
    last = (results["quality_by_round"] or [{}])[-1]
    row |= {f"labels: {title}": cell for title, cell in quality_cells(last, shown).items()}
    if "coverage" in last:
        row[f"labels: {COVERAGE.title}"] = COVERAGE.format(last["coverage"])
    return row


def _overview(found: dict[str, dict[str, Any]]) -> Figure:
    """A row a run: its seeds, their mean, and the means of both baselines; a panel a measure."""
    panels: dict[str, list[str]] = {}
    for name, results in found.items():
        panels.setdefault(measures_of(results)[0].title, []).append(name)
    figure = Figure(figsize=(7.5, 0.9 * len(panels) + 0.3 * len(found)), layout="constrained")
    ratios = [1 + len(names) for names in panels.values()]
    all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for (title, names), axes in zip(panels.items(), all_axes, strict=True):
        _panel(axes, title, {name: found[name] for name in names})
    all_axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False)
    return figure


def _panel(axes: Any, title: str, found: dict[str, dict[str, Any]]) -> None:
    colours, labelled = colours_for(3), set()
    for place, results in enumerate(found.values()):
        scale = measures_of(results)[0].scale
        for key, colour, mark in (
            ("supervised", colours[1], "|"),
            ("full", colours[2], "|"),
            ("self_trained", colours[0], "o"),
        ):
            if key in results:
                seeds = [scale * v for v in results[key]["values"]]
                axes.plot(seeds, [place] * len(seeds), ".", color=colour, alpha=0.45, markersize=5)
                label = None if key in labelled else key.replace("_", "-")
                labelled.add(key)
                mean = scale * results[key]["mean"]
                axes.plot(mean, place, mark, color=colour, markersize=9, label=label, mew=2)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlabel(f"{title}; small dots are seeds")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6e8eb", linewidth=0.8)
