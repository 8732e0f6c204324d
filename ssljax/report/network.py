"""A picture of a graph whose nodes were labelled: who is linked, and what was said of whom.

Places are those of springs along the links against a force that drives all apart (Fruchterman,
Reingold, "Graph Drawing by Force-directed Placement", 1991): near each other lie those who have
friends in common.
"""

from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ssljax.report.charts import RC, colours_for, svg_of
from ssljax.report.page import legend_of

_NAMED = 20  # classes that a legend has room for


def network(arrays: dict[str, np.ndarray], names: list[str] | None) -> str:
    """Nodes with their last labels, of "links" int [P, 2], "said" int [n], -1 for none, and
    "given" and "missed" bool [n], which labels are true ones and which are known to be wrong; ""
    without them."""
    if "links" not in arrays:
        return ""
    links, said = arrays["links"], arrays["said"]
    places = layout(links, len(said))
    classes = np.unique(said[said >= 0])
    colours = colours_for(len(classes))
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(8, 6), layout="constrained")
        axes = figure.add_subplot()
        # One line with a gap behind each link.
        ends = np.concatenate([places[links], np.full((len(links), 1, 2), np.nan)], axis=1)
        axes.plot(*ends.reshape(-1, 2).T, color="#c3c9d0", linewidth=0.4, rasterized=True)
        axes.plot(*places[said < 0].T, "o", color="#d9dde2", markersize=2.5, rasterized=True)
        for k, colour in zip(classes, colours, strict=False):
            rows = places[(said == k) & ~arrays["given"]]
            axes.plot(*rows.T, "o", color=colour, markersize=3.5, rasterized=True)
            rows = places[(said == k) & arrays["given"]]
            axes.plot(*rows.T, "s", color=colour, markersize=8, markeredgecolor="black")
        axes.plot(*places[arrays["missed"]].T, "x", color="black", markersize=5)
        axes.set_axis_off()
        drawn = svg_of(figure)
    note = (
        f"{len(said):,} nodes around the one with the most links, with the labels of the last "
        "round; squares are given labels, crosses wrong ones, and grey nodes have none."
    )
    called = [names[k] if names else str(k) for k in classes]
    legend = legend_of(called, colours) if len(classes) <= _NAMED else ""
    return f'<p class="note">{escape(note)}</p><figure>{drawn}</figure>{legend}'


def layout(links: np.ndarray, count: int, *, rounds: int = 80, seed: int = 0) -> np.ndarray:
    """Places float64 [count, 2] of nodes that are linked so, int [P, 2]."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (count, 2))
    near = (4 / max(count, 1)) ** 0.5  # the side of a square that each would have
    for heat in np.linspace(0.2, 0.005, rounds):
        apart = places[:, None] - places[None]
        square = np.maximum((apart**2).sum(-1), 1e-6)
        force = (apart * (near**2 / square)[..., None]).sum(1)
        along = places[links[:, 0]] - places[links[:, 1]]
        pull = along * (np.linalg.norm(along, axis=1, keepdims=True) / near)
        np.add.at(force, links[:, 0], -pull)
        np.add.at(force, links[:, 1], pull)
        size = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1e-9)
        places = places + force / size * np.minimum(size, heat)
    return places
