"""A run folder as one HTML page that opens offline, and several runs side by side on another.

Curves are SVG and images PNG data URIs inside the file. What a run did not write has no section.
The same folder gives the same page.
"""

import math
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from ssljax.report.charts import RC, colours_for, dot_chart, line_chart, overview_chart, svg_of
from ssljax.report.noise import curves_of_seeds, groups_of_seeds, over_seeds, scored_of
from ssljax.report.page import details_of, grid_of, legend_of, section, text_table, write_page
from ssljax.report.pictures import attention_strips, feature_sections, picture_sections
from ssljax.report.runs import (
    PLAIN,
    Run,
    differing_fields,
    encoders_of,
    flat_fields,
    is_accuracy,
    origin_of,
    read_arrays,
    read_run,
    read_runs,
    to_float,
)
from ssljax.report.selftraining import is_self_training, write_self_training
from ssljax.report.selftrainings import write_self_trainings
from ssljax.report.sounds import sound_section
from ssljax.report.tables import BANDS, NOTE, SEEDS, finetuned_table, numbers_table

__all__ = [
    "differing",
    "write_comparison",
    "write_overview",
    "write_report",
    "write_self_training",
    "write_self_trainings",
]


def write_report(folder: Path, *, out: Path | None = None) -> Path:
    """Writes the page of one run and returns its path (default: report.html in `folder`).

    Reads metrics.jsonl and, where present, config.json, results.json, finetune.json and report.npz
    (`features` [N, D], `labels` [N], `thumbnails` [N, H, W, C]; `images` [n, H, W, C] and any
    pictures made of them, [n, H, W, C] or [n, v, H, W, C] in [0, 1], such as `views`; `attention`
    [n, heads, h, w] on `attended` [n, H, W, C]; `sounds` [n, 3, T] at `rate`).

    Raises: FileNotFoundError without metrics.jsonl, ValueError for a file that cannot be read.
    """
    folder = Path(folder)
    if is_self_training(folder):
        return write_self_training(folder, out=out)
    run = read_run(folder)
    keys = list(run.curves)
    probes = [k for k in keys if is_accuracy(k, run)]
    spread = [k for k in keys if k.split("/")[-1] in PLAIN]
    charts = [
        line_chart("Loss", [("loss", run, "loss")]),
        line_chart("Probe accuracy", [(k, run, k) for k in probes], percent=True),
        *(line_chart(_title(k), [(k, run, k)]) for k in spread),
    ]
    rest = [k for k in keys if k not in ("loss", *probes, *spread)]
    arrays = read_arrays(folder / "report.npz")
    body = [
        _head(run),
        section("Results", _results(run.results.get("evaluation", {}))),
        section("Fine-tuning", finetuned_table(folder / "finetune.json")),
        section("Curves", _broken(run) + grid_of(charts)),
        section("Other measurements", _rest({k: line_chart(k, [(k, run, k)]) for k in rest})),
        sound_section(arrays),
        *picture_sections(arrays),
        section("Attention", attention_strips(arrays)),
        *feature_sections(arrays),
        section(
            "Configuration", details_of("All fields", flat_fields(run.config.get("experiment", {})))
        ),
        section("Provenance", text_table([], origin_of(run)) if run.config else ""),
    ]
    return write_page(Path(out or folder / "report.html"), run.name, body)


def write_comparison(folders: list[Path], out: Path, *, axis: str | None = None) -> Path:
    """Writes one page with several runs side by side and returns its path.

    Curves are overlaid, the trained encoders share one table, and of the configurations only the
    fields that differ are shown. axis: see `write_overview`.
    Raises: ValueError without runs, and what `write_report` raises.
    """
    if folders and all(map(is_self_training, folders)):
        return write_self_trainings(folders, Path(out))
    runs = read_runs(folders)
    names = [r.name for r in runs]
    settings = {r.name: dict(flat_fields(r.config.get("experiment", {}))) for r in runs}
    drawn = _drawn(runs, groups_of_seeds(list(settings), list(settings.values())))
    colours = colours_for(len(drawn))
    keys = dict.fromkeys(k for run in drawn for k in run.curves)
    first = [k for k in keys if k == "loss" or k.startswith("eval/") or k in PLAIN]
    charts = {
        k: line_chart(
            k,
            [(r.name, r, k) for r in drawn],
            percent=any(is_accuracy(k, r) for r in drawn),
            legend=len(drawn) <= 8,
        )
        for k in keys
    }
    trained = {r.name: encoders_of(r).get("trained", {}) for r in runs}
    fields, rows = differing_fields(runs)
    rows = [[field, *values] for field, values in zip(fields, rows, strict=True)]
    different = text_table(["field", *names], rows) if rows else '<p class="note">None differs.</p>'
    origins = [dict(origin_of(r)) for r in runs]
    origin = [[key, *(o.get(key, "—") for o in origins)] for key in ("commit", "hardware")]
    missing = [name for name, numbers in trained.items() if not numbers]
    note = f'<p class="note">No results yet: {escape(", ".join(missing))}.</p>' if missing else ""
    trained = {name: numbers for name, numbers in trained.items() if numbers}
    counts = {r.name: scored_of(r.results.get("evaluation", {})) for r in runs}
    trained, called = over_seeds(trained, [settings[name] for name in trained])
    scored = {called[name]: counts[name] for name in called}
    if len(trained) < len(called):
        note += f'<p class="note">{SEEDS}</p>'
    many = len(trained) > 8
    table = numbers_table(trained, "run" if many else "protocol", scored=scored)
    if table:
        table = f'<div class="pair">{table}{"" if many else dot_chart(trained)}</div>{NOTE}'
    bands = "" if len(drawn) == len(runs) else f'<p class="note">{BANDS}</p>'
    title = f"Comparison of {len(runs)} run{'s' * (len(runs) > 1)}"
    overview = overview_chart(runs, axis)
    body = [
        f"<header><h1>{title}</h1>{legend_of([r.name for r in drawn], colours)}</header>",
        section(
            "At a glance",
            f'<figure class="wide">{svg_of(overview)}</figure>' if overview is not None else "",
        ),
        section("Results of the trained encoders", note + table),
        section("Curves", bands + grid_of(charts[k] for k in first)),
        section("Differing configuration", different),
        section("Other measurements", _rest({k: charts[k] for k in keys if k not in first})),
        section("Provenance", text_table(["", *names], origin)),
    ]
    return write_page(Path(out), title, body)


def _drawn(runs: list[Run], groups: dict[str, list[str]]) -> list[Run]:
    """The runs whose curves are drawn: those that differ in nothing but their seed as one."""
    known = {run.name: run for run in runs}
    return [
        known[names[0]] if len(names) == 1 else curves_of_seeds([known[n] for n in names], title)
        for title, names in groups.items()
    ]


def write_overview(folders: list[Path], out: Path, *, axis: str | None = None) -> Path | None:
    """Draws the results of several runs in one picture; None where none has results.

    axis: the field of the experiment that goes along x, such as method.temperature. By default the
    one in which the runs differ, besides their seed; where they differ in several, each run has a
    line of its own.
    """
    figure = overview_chart(read_runs(folders), axis)
    if figure is None:
        return None
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(RC):
        figure.savefig(out, dpi=160, metadata={"Software": None})
    return Path(out)


def differing(folders: list[Path]) -> dict[str, list[str]]:
    """The fields in which the configurations of run folders differ, with the value of each run."""
    fields, rows = differing_fields(read_runs(folders))
    return dict(zip(fields, rows, strict=True))


def _head(run: Run) -> str:
    fields = dict(flat_fields(run.config.get("experiment", {})))
    seconds = to_float(dict(flat_fields(run.results)).get("seconds.training"))
    last = max((curve[0, -1] for curve in run.curves.values()), default=0)
    facts = {
        "Method": fields.get("method.type", "").split(":")[-1],
        "Data": fields.get("data"),
        "Steps": f"{last:,.0f}" + (f" of {fields['steps']}" if "steps" in fields else ""),
        "Batch": fields.get("batch"),
        "Training": f"{seconds / 60:.1f} min" if math.isfinite(seconds) else None,
        "Hardware": dict(origin_of(run)).get("hardware"),
    }
    items = (f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items() if v)
    return f'<header><h1>{escape(run.name)}</h1><dl class="facts">{"".join(items)}</dl></header>'


def _results(evaluation: dict[str, Any]) -> str:
    encoders = evaluation.get("encoders", {})
    decimals = evaluation.get("decimals")
    count = scored_of(evaluation)
    table = numbers_table(encoders, "protocol", decimals, dict.fromkeys(encoders, count))
    if not table:
        return ""
    said = f'<p class="note">n = {count:,} scored examples in each split.</p>' if count else ""
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in evaluation.get("notes", []))
    notes = f"<details><summary>What these numbers are</summary><ul>{notes}</ul></details>"
    fields = details_of("All fields of the protocol", flat_fields(evaluation.get("protocol", {})))
    pair = f'<div class="pair">{table}{dot_chart(encoders, decimals)}</div>'
    return f"{pair}{said}{NOTE}{notes}{fields}"


def _title(key: str) -> str:
    return f"{'On held-out data' if 'heldout_' in key else 'Feature spread'}: {key}"


def _broken(run: Run) -> str:
    steps, loss = run.curves.get("loss", np.zeros((2, 0)))
    bad = steps[~np.isfinite(loss)]
    where = f"in {len(bad)} of {len(loss)} rows, first at step {min(bad, default=0):,.0f}"
    return f'<p class="warn">The loss is not finite {where}.</p>' if len(bad) else ""


def _rest(charts: dict[str, str]) -> str:
    """Charts by name; those of the machine are folded away."""
    machine = grid_of(chart for key, chart in charts.items() if key.startswith("machine/"))
    folded = f"<details><summary>Machine</summary>{machine}</details>" if machine else ""
    return grid_of(c for key, c in charts.items() if not key.startswith("machine/")) + folded
