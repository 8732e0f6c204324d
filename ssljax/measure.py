"""A number of a task with its name, its unit and which way is better: read by tables and reports.

Nobody outside asks whether a number is a share or whether more of it is better.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a number means."""

    key: str
    """Its key among the numbers that are measured, such as "accuracy"."""
    name: str = ""
    """What people call it, such as "word error rate"; "": the key."""
    better: Literal["higher", "lower"] = "higher"
    """Which way is better."""
    unit: str = "%"
    """"%": the number is a share and is shown times 100. Else it is shown as it is, with this
    behind it, "" for a plain number."""
    digits: int = 1
    """Digits behind the point that are shown."""

    @property
    def title(self) -> str:
        """Name, unit, and the direction where less is better, for the head of a table."""
        notes = [self.unit] if self.unit else []
        notes += ["lower is better"] if self.better == "lower" else []
        return (self.name or self.key) + (f" ({', '.join(notes)})" if notes else "")

    @property
    def scale(self) -> float:
        """What a number is multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    def format(self, numbers: float | Mapping[str, Any]) -> str:
        """A number, or {"mean", "std", "values"} of several, as text without its unit: "71.2 ± 1".
        One value has no spread: "71.2".
        """
        if not isinstance(numbers, Mapping):
            return f"{self.scale * numbers:.{self.digits}f}"
        mean, std = self.scale * numbers["mean"], self.scale * numbers["std"]
        text = f"{mean:.{self.digits}f}"
        return text if len(numbers.get("values", ())) == 1 else f"{text} ± {std:.{self.digits}f}"

    def gain(self, before: float, after: float) -> float:
        """How much better `after` is, in the unit of the number; negative where it is worse."""
        return after - before if self.better == "higher" else before - after

    def gap_closed(self, supervised: float, trained: float, full: float) -> float | None:
        """The share of what all labels gain over the few that training without labels gains.

        None where all labels are no better than the few.
        """
        room = self.gain(supervised, full)
        return self.gain(supervised, trained) / room if room > 0 else None

    def to_json(self) -> dict[str, Any]:
        """For a file; `Measure(**found)` reads it."""
        return asdict(self)
