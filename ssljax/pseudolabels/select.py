"""Which pseudo-labels to learn from in a round: one frozen dataclass a rule.

A rule is called with a `Guess` on the candidates, of which each has one confidence, the number of
the round (from 1) and the kind of target, and returns a mask [N]. What abstains is never chosen.
Equal confidences go by the order of the examples, so that a rule has one result.

    Threshold        m >= t, or m > t as in scikit-learn's SelfTrainingClassifier
    ClassThresholds  m >= t_c, c the class it would be
    Greedy           the k most confident of all, the k most confident of each class, or both
    Percentile       m >= the (100 - s r)th percentile: Cascante-Bonilla et al. 2021 (Curriculum
                     Labeling), arXiv:2001.06001, section 3
    Adaptive         FlexMatch's or FreeMatch's thresholds (`adaptive.py`), from the whole pool
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssljax.pseudolabels import adaptive, quality
from ssljax.pseudolabels.labels import Guess
from ssljax.tasks.target import Target


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """All that are sure by at least `value`."""

    value: float = 0.75
    """Least confidence of what counts."""
    strict: bool = False
    """More than `value`, not as much."""

    def __post_init__(self) -> None:
        _share("value", self.value)

    def __call__(self, guess: Guess, *, round: int, target: Target) -> np.ndarray:
        m = np.asarray(guess.confidence)
        return ((m > self.value) if self.strict else (m >= self.value)) & (m > 0)


@dataclass(frozen=True, kw_only=True)
class ClassThresholds:
    """A threshold for each class."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        for value in self.values:
            _share("values", value)

    def __call__(self, guess: Guess, *, round: int, target: Target) -> np.ndarray:
        classes = target.require_classes("a threshold for each class")
        if classes != len(self.values):
            raise ValueError(f"{len(self.values)} thresholds for {classes} classes: give one each")
        m = np.asarray(guess.confidence)
        return (m >= np.asarray(self.values)[target.hard(guess.target)]) & (m > 0)


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The most confident first, within a budget."""

    budget: int | None = None
    """At most so many in all."""
    per_class: int | None = None
    """At most so many of each class, ranked among those of the class."""
    minimum: float = 0.0
    """None below this confidence."""
    growing: bool = False
    """So many times the number of the round: for rounds that label everything anew."""

    def __post_init__(self) -> None:
        _share("minimum", self.minimum)
        for name in ("budget", "per_class"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, or None")
        if self.budget is None and self.per_class is None:
            raise ValueError("a greedy choice needs a budget: in all, per_class, or both")

    def __call__(self, guess: Guess, *, round: int, target: Target) -> np.ndarray:
        m = np.asarray(guess.confidence)
        chosen, times = (m >= self.minimum) & (m > 0), round if self.growing else 1
        if self.per_class is not None:
            target.require_classes("a number of each class")
            rank, group = np.zeros(len(m), np.int64), target.hard(guess.target)
            for c in np.unique(group):
                members = np.flatnonzero(group == c)
                rank[members[_ranking(m[members])]] = np.arange(len(members))
            chosen &= rank < self.per_class * times
        if self.budget is not None:
            best = _ranking(np.where(chosen, m, -1))[: self.budget * times]
            within = np.zeros(len(m), bool)
            within[best] = True
            chosen &= within
        return chosen

    def limits(self, shares: np.ndarray, few: int) -> list[str]:
        """What is known not to work; see `Rounds.limits`."""
        uneven = quality.imbalance(shares)
        if uneven is None or self.per_class is None:
            return []
        return [
            f"{uneven}: equally many of each class is not how they are spread, and rare classes "
            "are filled up with doubtful labels"
        ]


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """A share of the pool that grows by `step` percent a round, until it is everything."""

    step: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.step <= 100:
            raise ValueError(f"step {self.step} must be above 0 and at most 100 percent")

    def __call__(self, guess: Guess, *, round: int, target: Target) -> np.ndarray:
        m = np.asarray(guess.confidence)
        return (m >= np.percentile(m, max(0.0, 100 - self.step * round))) & (m > 0)


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Thresholds that differ by class, estimated from all predictions on the pool at once.

    On imbalanced classes they are known to be worse than one threshold.
    """

    rule: Literal["flexmatch", "freematch"] = "freematch"
    threshold: float = 0.95
    """FlexMatch's; FreeMatch takes the mean confidence of the pool."""

    def __call__(self, guess: Guess, *, round: int, target: Target) -> np.ndarray:
        if guess.p is None:
            raise ValueError(
                f"{self.rule} needs probabilities of classes, and this source has none"
            )
        p = np.asarray(guess.p, np.float32)
        if self.rule == "freematch":
            weight, _ = adaptive.freematch(p, adaptive.freematch_start(p.shape[1]), decay=0.0)
        else:
            everyone, start = np.arange(len(p)), adaptive.flexmatch_start(len(p))
            options = {"threshold": self.threshold, "warmup": False}
            _, selected = adaptive.flexmatch(p, everyone, start, **options)
            weight, _ = adaptive.flexmatch(p, everyone, selected, **options)
        return (np.asarray(weight) > 0) & (np.asarray(guess.confidence) > 0)

    def limits(self, shares: np.ndarray, few: int) -> list[str]:
        """What is known not to work; see `Rounds.limits`."""
        uneven = quality.imbalance(shares)
        if uneven is None:
            return []
        return [
            f"{uneven}: thresholds that differ by class are known to do worse than one where "
            "classes are imbalanced (SVHN, 1,000 labels: 5.4% error by FlexMatch, 2.0% by "
            "FixMatch)"
        ]


def _ranking(m: np.ndarray) -> np.ndarray:
    """Row numbers from the largest m to the smallest, equal ones in their order."""
    return np.argsort(-m, kind="stable")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} {value} must lie in [0, 1]: confidences do")
