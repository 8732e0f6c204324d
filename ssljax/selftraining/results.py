"""The numbers of self-training: scores of a teacher, and what the seeds say together."""

from typing import Any

import numpy as np

from ssljax.pseudolabels import quality
from ssljax.pseudolabels.labels import Guess
from ssljax.report.measures import NAMES, measures_of, over, said
from ssljax.tasks import Target, Targets
from ssljax.tasks.target import count, take


def scores(
    target: Target, truth: Targets | None, guess: Guess, costs: dict[str, float] | None = None
) -> dict[str, float]:
    """{"score", ...} of a teacher on the test examples whose truth is known: the number of the task
    (`target.measure`), others that it has, and the calibration error.

    costs: what the teacher says of that truth (`Target.costs`).

    Raises: ValueError where there are more or fewer labels than examples, or they are no targets.
    """
    if truth is not None and count(truth) != count(guess.target):
        raise ValueError(f"{count(guess.target)} labels to be scored by {count(truth)} true ones")
    if truth is None or not len(known := np.flatnonzero(target.known(truth))):
        return {}
    truth, guess = take(truth, known), guess.take(known).whole(target)
    for one in (truth, guess.target):
        target.verify(one)
    found = target.score(truth, guess.target) | (costs or {})
    right = target.right(truth, guess.target)
    if right is not None:
        found = found | {"ece": quality.ece(right, guess.confidence)}
    return {"score": found[target.measure.key]} | found


def summary(seeds: list[dict[str, Any]], target: Target) -> dict[str, Any]:
    """The numbers of the task, each {"mean", "std", "values"} over the seeds, what they mean, and
    the gap closed."""
    measure, shown = target.measure, target.shown
    found: dict[str, Any] = {
        "measure": measure.to_json(),
        "quality_measures": [m.to_json() for m in shown],
    }
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
            keys = {"labels": shown[0].key} | {m.key: m.key for m in shown[1:]}
            row = {
                k: spread_of([h[kind][n] for h in here])
                for k, n in keys.items()
                if n in here[0][kind]
            }
            row |= {"round": r, "coverage": spread_of([h["coverage"] for h in here])}
            found["quality_by_round"].append(row | {"estimated": estimated})
    if {"supervised", "full"} <= found.keys():
        few, trained, full = (found[k]["mean"] for k in ("supervised", "self_trained", "full"))
        # A gap within the spread of the seeds is none.
        spread = max(found[k]["std"] for k in ("supervised", "full"))
        some = measure.gain(few, full) > spread
        found["gap_closed"] = measure.gap_closed(few, trained, full) if some else None
    return found


def table(results: dict[str, Any]) -> str:
    """The numbers of the task as text."""
    measure, shown = measures_of(results)
    lines = [
        f"{results['seeds'][0]['labels']} labels, last round, {over(len(results['seeds']))}: "
        f"{measure.title}"
    ]
    lines += [f"  {line}" for line in results.get("notes", ())]
    for key, name in NAMES.items():
        if key in results:
            lines.append(f"  {name:30} {measure.format(results[key])}")
    for row in results["quality_by_round"]:
        name = f"pseudo-labels of round {row['round']}"
        lines.append(f"  {name:30} {said(row, shown)}{' (estimated)' if row['estimated'] else ''}")
    gap = results.get("gap_closed")
    if gap is not None:
        lines.append(f"  {'gap closed':30} {100 * gap:.0f}%")
        if gap <= 0:
            lines.append("  self-training does not help here")
    elif "full" in results:
        lines.append("  all labels are no better than the few: there is nothing to gain here")
    warned = {w for s in results["seeds"] for r in s["rounds"] for w in r.get("warnings", ())}
    return "\n".join(lines + [f"  warning: {w}" for w in sorted(warned)[:5]])


def what_is_scored(
    target: Target, truth: Targets | None, classes: tuple[str, ...] | None
) -> dict[str, Any]:
    """{"examples"} with a known truth, and of classes "largest" [name], "majority" (what always
    saying it would score, by the number of the task) and "classes", how many occur.
    """
    known = np.zeros(0, np.int64) if truth is None else np.flatnonzero(target.known(truth))
    if truth is None or not len(known):
        return {"examples": len(known)}
    right = take(truth, known)
    always = target.always(right)
    if always is None:
        return {"examples": len(known)}
    largest = int(target.hard(always)[0])
    return {
        "examples": len(known),
        "classes": len(np.unique(target.hard(right))),
        "largest": classes[largest] if classes else str(largest),
        "majority": float(target.score(right, always)[target.measure.key]),
    }


def notes(results: dict[str, Any]) -> list[str]:
    """What to know of the test data before one believes a number."""
    test = results["test"]
    if not test["examples"]:
        return ["the test data has no labels, so there are no scores"]
    said = [f"scores are of {test['examples']:,} test examples"]
    if "majority" not in test:
        return said
    if test["classes"] == 1:
        return [f"{said[0]}, all of the class {test['largest']}: such scores tell nothing"]
    said[0] += f"; to say {test['largest']} always would score {test['majority']:.1%}"
    for name in ("supervised", "self_trained", "full"):
        if name in results and results[name]["mean"] <= test["majority"]:
            said.append(f"{name.replace('_', '-')} is no better than that")
    return said


def spread_of(values: list[float]) -> dict[str, Any]:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": std, "values": [float(v) for v in values]}
