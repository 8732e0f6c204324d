"""Charts: curves of a run or of several, shares as dots, and a sweep at a glance."""

import io
import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ssljax.report.page import legend_of
from ssljax.report.runs import PLAIN, Run, differing_fields, encoders_of, to_float
from ssljax.report.tables import shown_keys

_COLOURS = ("#1f6fb4", "#d9541e", "#178a5e", "#a3439a", "#c98a00", "#3aa6c9", "#7a5c3e", "#666e78")
RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ssljax",
    "text.parse_math": False,
    "font.size": 9.5,
}
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.4g}%")
_TOLD = 24  # points of a curve that say what they are worth
_MOST_TOLD = 8  # curves in a chart whose points do
_HEADLINE = ("accuracy", "linear_offline", "knn20_t0.07", "knn200_t0.1", "kmeans_accuracy")


def line_chart(
    title: str,
    series: list[tuple[str, Run, str]],
    *,
    percent: bool = False,
    legend: bool = True,
) -> str:
    """A line chart of (label, run, key), with a band where a curve is the mean over seeds; "" where
    no series has a finite number. What a point is worth shows where the pointer rests on it.
    """
    tips: list[str] = []
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(4, 2.6), layout="constrained")
        axes = figure.add_subplot()
        colours = colours_for(len(series))
        many = len(series) > 1
        for i, (label, run, key) in enumerate(series):
            x, y, *spread = run.curves.get(key, np.zeros((2, 0)))
            keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), 1000)).astype(int))
            x, y = x[keep], np.where(np.isfinite(y), y, np.nan)[keep]
            colour = colours[i]
            for std in (s[keep] for s in spread):
                axes.fill_between(x, y - std, y + std, color=colour, alpha=0.18, linewidth=0)
            steps = np.abs(np.diff(y[np.isfinite(y)]))
            # A noisy curve is shown pale, with its running mean on top; a schedule stays itself.
            if len(steps) > 100 and steps.mean() > 0.015 * np.nanmax(np.abs(y - np.nanmin(y))):
                axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.3)
                window, known = np.ones(len(x) // 40), np.isfinite(y)
                total = np.convolve(np.where(known, y, 0), window, "same")
                count = np.convolve(known, window, "same")
                y = np.where(known, total / np.maximum(count, 1), np.nan)
            axes.plot(x, y, color=colour, marker="o" if len(x) <= 30 else None, markersize=3.5)
            at = np.flatnonzero(np.isfinite(y)) if len(series) <= _MOST_TOLD else []
            for j in np.unique(np.linspace(0, len(at) - 1, min(len(at), _TOLD)).astype(int)):
                step, height = float(x[at[j]]), float(y[at[j]])
                value = f"{100 * height:.2f}%" if percent else f"{height:.4g}"
                said = f"step {step:,.0f}: {value}"
                tip(axes, tips, step, height, f"{label}, {said}" if many else said)
        if not any(np.isfinite(line.get_ydata()).any() for line in axes.lines):
            return ""
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if percent:
            axes.yaxis.set_major_formatter(PERCENT)
        below = ""
        if legend and len(series) > 1:
            below = legend_of([label for label, *_ in series], colours)
        svg = svg_of(figure, tips)
        return f"<figure><figcaption>{escape(title)}</figcaption>{svg}{below}</figure>"


def tip(axes: Any, tips: list[str], x: float, y: float, text: str) -> None:
    """A place that cannot be seen, where a browser shows `text` beside the pointer."""
    axes.plot([x], [y], "o", alpha=0, markersize=9, gid=f"tip-{len(tips)}")
    tips.append(text)


def colours_for(count: int) -> list[str]:
    """As many colours as there are runs, told apart as well as can be."""
    if count <= len(_COLOURS):
        return list(_COLOURS)
    palette = matplotlib.colormaps["tab20" if count <= 20 else "turbo"].resampled(count)
    return [to_hex(palette(i)) for i in range(count)]


def svg_of(figure: Figure, tips: Sequence[str] = ()) -> str:
    """The figure as an element for HTML: no prolog, no namespaces, no size, no repeated ids.

    tips: what `tip` has gathered of this figure.
    """
    stream = io.StringIO()
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=none, dpi=200, transparent=True)
    text = stream.getvalue()
    head, body = text[text.index("<svg") :].split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None  # Matplotlib writes one
    body = re.sub(r' id="[^"]*_\d+"', "", body)
    told = r'<g id="tip-(\d+)">'
    body = re.sub(told, lambda m: f"<g><title>{escape(tips[int(m[1])])}</title>", body)
    return f'<svg role="img" {box[0]}>{body}'


def dot_chart(encoders: dict[str, dict], decimals: dict[str, int] | None = None) -> str:
    """All shares of up to eight encoders on one scale; "" for a single one.

    decimals: names the numbers that are no shares, beside the usual ones.
    """
    keys = [k for k in shown_keys(encoders) if k not in PLAIN | (decimals or {})]
    if len(encoders) < 2 or not keys:
        return ""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(4.6, 0.5 + 0.25 * len(keys)), layout="constrained")
        axes = figure.add_subplot()
        tips: list[str] = []
        names = list(encoders)
        for i, numbers in reversed(list(enumerate(encoders.values()))):
            x = [to_float(numbers.get(k)) for k in keys]
            face = _COLOURS[i] if i == 0 else "white"
            axes.plot(x, range(len(keys)), "o", color=_COLOURS[i], mfc=face, markersize=5.5)
            for row, (key, value) in enumerate(zip(keys, x, strict=True)):
                if math.isfinite(value):
                    tip(axes, tips, value, row, f"{names[i]}, {key}: {100 * value:.2f}%")
        axes.set_yticks(range(len(keys)), keys)
        axes.invert_yaxis()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color="#eef0f2", linewidth=0.8)
        axes.xaxis.set_major_formatter(PERCENT)
        legend = legend_of(list(encoders), _COLOURS)
        return f'<figure class="dots">{svg_of(figure, tips)}{legend}</figure>'


def overview_chart(runs: list[Run], axis: str | None) -> Figure | None:
    """Accuracy and rank of all runs: along a field, or a row for each run. None without results."""
    runs = [r for r in runs if encoders_of(r).get("trained")]
    if not runs:
        return None
    fields, rows = differing_fields(runs)
    values = dict(zip(fields, rows, strict=True))
    own = [f for f in fields if f != "seed"]
    if axis is None and len(own) == 1:
        axis = own[0]
    if axis not in values:
        axis = None
    groups = [""] * len(runs)
    if axis is None:
        places, at = [r.name for r in runs], list(range(len(runs)))
    else:
        places = list(dict.fromkeys(values[axis]))
        if all(math.isfinite(to_float(v)) for v in places):
            places = sorted(places, key=to_float)
        at = [places.index(v) for v in values[axis]]
        # What moves along with the axis makes no line of its own, and neither does the seed.
        free = [f for f in own if len({*zip(values[axis], values[f], strict=True)}) > len(places)]
        groups = [", ".join(f"{f} {values[f][i]}" for f in free) for i in range(len(runs))]
    trained = [encoders_of(r)["trained"] for r in runs]
    shares = [k for k in _HEADLINE if any(k in t for t in trained)]
    ranks = [k for k in ("rankme", "lidar") if any(k in t for t in trained)]
    panels = [p for p in (("accuracy", shares), ("effective rank", ranks)) if p[1]]
    height = 2.9 if axis else 0.6 + 0.27 * len(runs)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(4.7 * len(panels), height + 0.7), layout="constrained")
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, keys) in zip(drawn, panels, strict=True):
            lines = [(g, k) for g in dict.fromkeys(groups) for k in keys]
            if len(set(groups)) > 1:  # a line for each group: of one number only
                lines = [(g, k) for g, k in lines if k == keys[0]]
            for (group, key), colour in zip(lines, colours_for(len(lines)), strict=False):
                here = [i for i in range(len(runs)) if groups[i] == group]
                y = [to_float(trained[i].get(key)) for i in here]
                label = f"{key}, {group}" if group else key
                _draw(axes, [at[i] for i in here], y, colour=colour, label=label, flat=not axis)
            if title == "accuracy":
                others = {
                    k for r in runs for e, n in encoders_of(r).items() if e != "trained" for k in n
                }
                shared = [k for k in keys if k in others]
                _baselines(axes, runs, (shared or keys)[0], flat=not axis)
                (axes.yaxis if axis else axes.xaxis).set_major_formatter(PERCENT)
            _places(axes, places, title, axis)
            axes.legend(
                *axes.get_legend_handles_labels(),
                loc="lower left",
                bbox_to_anchor=(0, 1.01),
                ncols=2,
                frameon=False,
                fontsize=8.5,
                borderaxespad=0,
            )
        return figure


def _draw(axes: Any, at: list[int], y: list[float], *, colour: str, label: str, flat: bool) -> None:
    """Points, and along an axis a line through the means where several share a place."""
    if flat:
        axes.plot(y, at, "o", color=colour, label=label, markersize=5)
        return
    known = [p for p in sorted(set(at)) if any(math.isfinite(v) for v in _there(at, y, p))]
    axes.plot(known, [np.nanmean(_there(at, y, p)) for p in known], color=colour, label=label)
    axes.plot(at, y, "o", color=colour, markersize=4.5)


def _there(at: list[int], y: list[float], place: int) -> list[float]:
    return [v for i, v in zip(at, y, strict=True) if i == place]


def _baselines(axes: Any, runs: list[Run], key: str, *, flat: bool) -> None:
    """What no training gives: random weights and the plainest features, averaged over the runs."""
    names = dict.fromkeys(name for r in runs for name in encoders_of(r) if name != "trained")
    for name, style in zip(names, ("--", ":", "-.")):  # more are not drawn
        known = [to_float(encoders_of(r).get(name, {}).get(key)) for r in runs]
        known = [v for v in known if math.isfinite(v)]
        if known:
            look = {"color": "#8a929b", "linestyle": style, "linewidth": 1.2}
            draw = axes.axvline if flat else axes.axhline
            draw(np.mean(known), label=f"{key}, {name}", **look)


def _places(axes: Any, places: list[str], title: str, axis: str | None) -> None:
    """Names the places of the runs: values of a field along x, or runs along y."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eef0f2", linewidth=0.8)
    axes.set_axisbelow(True)
    if axis is None:
        axes.set_yticks(range(len(places)), [p[:40] for p in places])
        axes.set_ylim(len(places) - 0.5, -0.5)
        axes.set_xlabel(title)
    else:
        axes.set_xticks(range(len(places)), [p[:24] for p in places])
        axes.set_xlabel(axis)
        axes.set_ylabel(title)
