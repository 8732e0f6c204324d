"""The numbers of self-training: scores of a teacher, and what the seeds say together."""

from typing import Any

import numpy as np

from ssljax.pseudolabels import quality
from ssljax.pseudolabels.labels import Guess
from ssljax.report.selftraining import percent


def scores(truth: np.ndarray | None, guess: Guess, classes: int | None) -> dict[str, float]:
    """{"score", ...} of a teacher on the test examples whose truth is known: accuracy of classes
    and sets, r2 of values. Raises: ValueError for targets that are none of these.
    """
    if truth is None or not quality.is_known(truth).any():
        return {}
    known = quality.is_known(truth)
    truth, target = truth[known], np.asarray(guess.target)[known]
    every = np.ones(len(truth), bool)
    if classes is not None:
        if truth.ndim != 1 or target.ndim != 1 or max(truth.max(), target.max()) >= classes:
            raise ValueError(
                f"true targets {list(truth.shape)} and labels {list(target.shape)} are not classes "
                f"[N], 0 to {classes - 1}"
            )
        found = quality.classes_quality(truth, target, every, classes=classes)
        confidence = np.asarray(guess.confidence)[known]
        more = {"f1": found["f1"], "ece": quality.ece(target == truth, confidence)}
        return {"score": found["accuracy"], **more}
    found = quality.without_classes(truth, target, every)
    return {"score": found.get("r2", found.get("accuracy")), **found}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """The four numbers, each {"mean", "std", "values"} over the seeds, and the gap closed."""
    found: dict[str, Any] = {}
    columns = {
        "supervised": [s["rounds"][0]["test"].get("score") for s in seeds],
        "self_trained": [s["rounds"][-1]["test"].get("score") for s in seeds],
        "full": [s.get("full", {}).get("score") for s in seeds],
    }
    for name, values in columns.items():
        if all(v is not None for v in values):
            found[name] = spread_of(values)
    last = max(len(s["rounds"]) for s in seeds)
    found["quality_by_round"] = []
    for r in range(1, last):
        here = [s["rounds"][r] for s in seeds if len(s["rounds"]) > r]
        estimated = not any("quality" in h for h in here)  # the truth is unknown: by the hold-out
        kind = "estimate" if estimated else "quality"
        here = [h for h in here if kind in h]
        if here:
            first = "accuracy" if "accuracy" in here[0][kind] else "r2"
            names = {"labels": first, "precision": "precision", "recall": "recall", "f1": "f1"}
            row = {
                k: spread_of([h[kind][n] for h in here])
                for k, n in names.items()
                if n in here[0][kind]
            }
            row |= {"round": r, "coverage": spread_of([h["coverage"] for h in here])}
            measure = "right" if first == "accuracy" else "r2"
            row |= {"estimated": estimated, "measure": measure}
            found["quality_by_round"].append(row)
    if {"supervised", "full"} <= found.keys():
        means = [found[k]["mean"] for k in ("supervised", "self_trained", "full")]
        # A gap within the spread of the seeds is none.
        spread = max(found[k]["std"] for k in ("supervised", "full"))
        gap = quality.gap_closed(*means) if means[2] - means[0] > spread else None
        found["gap_closed"] = gap
    return found


def table(results: dict[str, Any]) -> str:
    """The four numbers as text, in percent."""
    lines = [f"{len(results['seeds'])} seeds, {results['seeds'][0]['labels']} labels, last round"]
    names = {
        "supervised": "supervised on the few labels",
        "self_trained": "self-trained",
        "full": "fully supervised",
    }
    for key, name in names.items():
        if key in results:
            lines.append(f"  {name:30} {percent(results[key])}")
    for row in results["quality_by_round"]:
        name = f"pseudo-labels of round {row['round']}"
        said = f"{percent(row['labels'])} {row['measure']}, of {percent(row['coverage'])}"
        if "f1" in row:
            said += "".join(f", {k} {percent(row[k])}" for k in ("precision", "recall", "f1"))
        lines.append(f"  {name:30} {said}{' (estimated)' if row['estimated'] else ''}")
    gap = results.get("gap_closed")
    if gap is not None:
        lines.append(f"  {'gap closed':30} {100 * gap:.0f}%")
        if gap <= 0:
            lines.append("  self-training does not help here")
    elif "full" in results:
        lines.append("  all labels are no better than the few: there is nothing to gain here")
    said = {w for s in results["seeds"] for r in s["rounds"] for w in r.get("warnings", ())}
    return "\n".join(lines + [f"  warning: {w}" for w in sorted(said)[:5]])


def spread_of(values: list[float]) -> dict[str, Any]:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": std, "values": [float(v) for v in values]}
