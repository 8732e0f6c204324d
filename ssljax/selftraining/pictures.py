"""What the report of a self-training shows: mistakes, and labels drawn or told beside the truth."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ssljax.data import Arrays
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.numbering import Numbering
from ssljax.pseudolabels.rounds import read_guess
from ssljax.selftraining.pool import truth_of
from ssljax.tasks import Target
from ssljax.tasks.target import take

_NODES = 500  # of a graph that are drawn
_SHOWN = 6  # labels that are drawn, from the surest to the least sure


def write_pictures(
    folder: Path, pool: Arrays, target: Target, called: Numbering, rounds: list[dict[str, Any]]
) -> None:
    """Writes report.npz into the folder of the run, of its first seed's last round: the names of
    the classes, the most confident mistakes, and labels beside the truth: the pictures of
    `Target.compared`, or what `Target.show` says of what is read or is no class.

    called: how the files of labels call the examples. rounds: what round.json of each says.
    """
    arrays: dict[str, Any] = {"names": np.array(pool.classes)} if pool.classes else {}
    if found := rounds[-1].get("mistakes", []):
        arrays["mistakes"] = np.array([list(map(str, m)) for m in found])
        rows = pool.take(np.array([m[0] for m in found]))
        if "image" in rows:
            arrays["images"] = rows["image"]
        elif pool.readable is not None:
            arrays["texts"] = np.array(pool.readable(rows))
    last = folder / f"seed{rounds[-1]['seed']}" / "rounds" / f"{rounds[-1]['round']:02d}"
    labelled = (last / "labels.parquet").exists()
    if labelled and "image" in pool.spec:
        arrays |= _compared(last, pool, target, called)
    elif labelled and (pool.readable is not None or not target.has_classes()):
        arrays |= _told(last, pool, target, called)
    if pool.links is not None and target.has_classes() and labelled:
        arrays |= _network(last, pool, target, called)
    np.savez_compressed(folder / "report.npz", **arrays)


def _network(last: Path, pool: Any, target: Target, called: Numbering) -> dict[str, np.ndarray]:
    """What `report.network` draws of a pool of nodes: those around the one with the most links."""
    said, given = np.full(len(pool), -1, np.int32), np.zeros(len(pool), bool)
    for file in (last / "labels.parquet", last.parents[1] / "given.parquet"):
        labels = tables.read(file, examples=called, target=target)
        said[labels.index] = target.hard(labels.target)
    given[labels.index] = True
    missed, truth = np.zeros(len(pool), bool), truth_of(pool, target)
    if truth is not None:
        known = target.known(truth) & (said >= 0)
        missed[known] = target.hard(take(truth, np.flatnonzero(known))) != said[known]
    assert pool.links is not None
    near = around(pool.links, len(pool), most=_NODES)
    place = np.full(len(pool), -1)
    place[near] = np.arange(len(near))
    links = place[pool.links]
    return {
        "links": np.unique(np.sort(links[(links >= 0).all(1)], axis=1), axis=0),
        "said": said[near],
        "given": given[near],
        "missed": missed[near],
    }


def around(links: np.ndarray, count: int, *, most: int) -> np.ndarray:
    """Up to `most` nodes around the one with the most links, int [n] in order: neighbours first,
    then theirs. links: int [P, 2] of `count` nodes."""
    w = sparse.csr_matrix((np.ones(len(links)), links.T), shape=(count, count))
    start = int(np.bincount(links.ravel(), minlength=count).argmax())
    near = csgraph.breadth_first_order(w, start, directed=False, return_predecessors=False)
    return np.sort(near[:most])


def _some(
    last: Path, pool: Arrays, target: Target, called: Numbering
) -> tuple[tables.Labels, Any, list[str]]:
    """A few labels from the surest to the least sure, their true targets or None, their names."""
    labels = tables.read(last / "labels.parquet", examples=called, target=target)
    order = np.argsort(-labels.confidence, kind="stable")
    few = labels.take(order[np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).astype(int)])
    truth = truth_of(pool, target)
    names = [f"number {i}" if pool.names is None else str(pool.names[i]) for i in few.index]
    return few, None if truth is None else take(truth, few.index), names


def _told(last: Path, pool: Arrays, target: Target, called: Numbering) -> dict[str, np.ndarray]:
    """{"told" [n, 5]}: name, confidence, what was read, label and truth, "" where unknown."""
    few, truth, names = _some(last, pool, target, called)
    rows = pool.take(few.index)
    read = [""] * len(names) if pool.readable is None else pool.readable(rows)
    true = [""] * len(names) if truth is None else target.show(truth, pool.classes)
    sure = [f"{c:.3f}" for c in few.confidence]
    said = target.show(few.target, pool.classes)
    return {"told": np.array(list(zip(names, sure, read, said, true, strict=True)), str)}


def _compared(last: Path, pool: Arrays, target: Target, called: Numbering) -> dict[str, np.ndarray]:
    """{"drawn" uint8 [n, v, H, W, 3], "drawn_titles" [v], "drawn_notes" [n]}, or {} where such
    targets are not drawn."""
    few, truth, names = _some(last, pool, target, called)
    said = target.compared(
        pool.take(few.index)["image"],
        truth,
        few.target,
        read_guess(last).take(few.index).confidence,
    )
    if not said:
        return {}
    shown = target.show(few.target, pool.classes)
    told = zip(names, few.confidence, shown, strict=True)
    return {
        "drawn": np.stack(list(said.values()), axis=1),
        "drawn_titles": np.array(list(said)),
        "drawn_notes": np.array([f"{name}, {c:.0%} sure: {what}" for name, c, what in told]),
    }
