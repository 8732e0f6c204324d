"""What the numbers in results.json of a self-training run mean, as the run itself says."""

from typing import Any

from ssljax.measure import Measure

NAMES = {
    "supervised": "supervised on the few labels",
    "self_trained": "self-trained",
    "full": "fully supervised",
}
"""The networks that are compared."""
COVERAGE = Measure(key="coverage", name="share of the pool")
_CLASSES = (
    Measure(key="accuracy", name="right"),
    *(Measure(key=k) for k in ("precision", "recall")),
    Measure(key="f1", name="F1"),
)
_VALUES = (Measure(key="r2"),)


def measures_of(results: dict[str, Any]) -> tuple[Measure, tuple[Measure, ...]]:
    """(the number of the task; those of pseudo-labels, the most telling first)."""
    if "measure" in results:
        shown = tuple(Measure(**m) for m in results["quality_measures"])
        return Measure(**results["measure"]), shown
    # Runs from before these were recorded had classes and sets, or values.
    values = any(row.get("measure") == "r2" for row in results.get("quality_by_round", ()))
    return (_VALUES[0], _VALUES) if values else (Measure(key="accuracy"), _CLASSES)


def over(seeds: int) -> str:
    """What numbers with or without a ± are, in words."""
    if seeds == 1:
        return "one seed, which does not say what is chance"
    return f"mean ± standard deviation over {seeds} seeds"


def quality_cells(row: dict[str, Any], shown: tuple[Measure, ...]) -> dict[str, str]:
    """The numbers of a row of quality_by_round, as text by the title of its measure."""
    keys = {"labels": shown[0]} | {m.key: m for m in shown[1:]}
    return {m.title: m.format(row[key]) for key, m in keys.items() if key in row}


def said(row: dict[str, Any], shown: tuple[Measure, ...]) -> str:
    """A row of quality_by_round in a line, such as "91.2 ± 0.4 right, of 30.0 ± 1.0"."""
    first = shown[0]
    text = f"{first.format(row['labels'])} {first.name or first.key}"
    text += f", of {COVERAGE.format(row['coverage'])}% of the pool"
    rest = (m for m in shown[1:] if m.key in row)
    return text + "".join(f", {m.name or m.key} {m.format(row[m.key])}" for m in rest)
