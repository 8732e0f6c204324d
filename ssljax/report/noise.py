"""How far a number may be off: intervals of shares, and whether two numbers lie apart."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssljax.report.runs import PLAIN, Run, to_float

Z = 1.96
"""Of a normal distribution, 95% lies within so many standard deviations."""
_SHARES = ("knn", "linear", "lsq", "zero_shot", "finetune")


def is_share(key: str) -> bool:
    """Whether a number of an evaluation counts examples that were right, out of those scored."""
    named = key.startswith(_SHARES) or "accuracy" in key or "recall@" in key
    return named and key not in PLAIN


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95% interval (Wilson 1927) of a share of n examples."""
    center, spread = share + Z**2 / (2 * n), share * (1 - share) / n + Z**2 / (4 * n**2)
    half, whole = Z * math.sqrt(max(spread, 0.0)), 1 + Z**2 / n
    return max((center - half) / whole, 0.0), min((center + half) / whole, 1.0)


def interval_of(key: str, share: float, n: int | None) -> str:
    """Such as "(89.1–93.0)", in percent; "" for what is no share, or of an unknown n."""
    if not n or not is_share(key) or not 0 <= share <= 1:
        return ""
    low, high = wilson(share, n)
    return f"({100 * low:.1f}–{100 * high:.1f})"


def scored_of(evaluation: Mapping[str, Any]) -> int | None:
    """Examples on which a split of an evaluation was scored; None where it does not say."""
    protocol = evaluation.get("protocol", {})
    if protocol.get("test_examples"):
        return int(protocol["test_examples"])
    share, train = (to_float(protocol.get(k)) for k in ("test_fraction", "train_examples"))
    return round(share * train) if math.isfinite(share * train) else None


def best_of(
    key: str,
    values: Mapping[str, float],
    stds: Mapping[str, float],
    scored: Mapping[str, int | None],
) -> str | None:
    """The name of the largest value, where it lies further above every other than chance explains:
    the spread over repetitions, or that of a share of n examples where this is larger. None where
    it does not, or where nothing says how large chance is.
    """
    known = sorted((n for n in values if math.isfinite(values[n])), key=lambda n: -values[n])
    if len(known) < 2:
        return None

    def error(name: str) -> float:
        value, n = values[name], scored.get(name)
        std = stds.get(name, math.nan)
        chance = math.nan
        if n and is_share(key) and 0 <= value <= 1:
            chance = math.sqrt(value * (1 - value) / n)
        return max((e for e in (std, chance) if math.isfinite(e)), default=math.nan)

    first, errors = known[0], {name: error(name) for name in known}

    def above(name: str) -> bool:  # never, where an error is NaN
        return values[first] - values[name] > Z * math.hypot(errors[first], errors[name])

    return first if all(map(above, known[1:])) else None


def over_seeds(
    trained: Mapping[str, Mapping[str, Any]], settings: Sequence[Mapping[str, str]]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """(numbers, name of the group by run) with runs that differ in nothing but their seed as one:
    means, and their deviation as NAME_std.

    trained: numbers by run. settings: the flat fields of each run's configuration, in that order.
    """
    groups = groups_of_seeds(list(trained), settings)
    found = {
        title: _mean([trained[n] for n in names]) if len(names) > 1 else dict(trained[names[0]])
        for title, names in groups.items()
    }
    return found, {name: title for title, names in groups.items() for name in names}


def groups_of_seeds(
    names: Sequence[str], settings: Sequence[Mapping[str, str]]
) -> dict[str, list[str]]:
    """What to call the runs that differ in nothing but their seed, and which these are."""
    groups: dict[Any, list[str]] = {}
    for name, fields in zip(names, settings, strict=True):
        own = tuple(sorted((k, v) for k, v in fields.items() if k.split(".")[-1] != "seed"))
        groups.setdefault(own, []).append(name)
    found: dict[str, list[str]] = {}
    for some in groups.values():
        shared = os.path.commonprefix(some)  # noqa: RUF071
        shared = shared.rstrip("-_=,. ").removesuffix("seed").rstrip("-_=,. ")
        title = f"{shared or some[0]} ({len(some)} seeds)"
        title = title if title not in found else f"{some[0]} ({len(some)} seeds)"
        found[some[0] if len(some) == 1 else title] = some
    return found


def curves_of_seeds(runs: Sequence[Run], title: str) -> Run:
    """Runs that differ in nothing but their seed as one: curves [3, n] of the steps that all have
    logged, their means and deviations. Curves that only some have are left out.
    """
    curves = {}
    for key in runs[0].curves:
        if not all(key in run.curves for run in runs):
            continue
        each = [dict(zip(*run.curves[key], strict=True)) for run in runs]
        steps = sorted(set(each[0]).intersection(*each[1:]))
        values = np.array([[one[step] for step in steps] for one in each])
        curves[key] = np.stack([np.array(steps), values.mean(0), values.std(0, ddof=1)])
    return Run(title, curves, {}, {})


def _mean(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    # NAME_std is of the repetitions in one run; feature_std is a number of its own.
    keys = [k for k in rows[0] if not (k.endswith("_std") and k.removesuffix("_std") in rows[0])]
    found: dict[str, Any] = {}
    for key in keys:
        values = np.array([to_float(row.get(key)) for row in rows])
        found[key] = float(values.mean())
        if np.isfinite(values).all():
            found[f"{key}_std"] = float(values.std(ddof=1))
    return found
