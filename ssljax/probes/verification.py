"""Verification: are two recordings of one speaker, told by how near their features are?

Every pair of scored examples is a trial, with the cosine of the angle between their features as its
score, after the mean of the training features is taken off. A trial is accepted from a threshold t
on:

    FA(t) = share of the pairs of two classes with score >= t
    FR(t) = share of the pairs of one class with score < t

Raising t lowers FA and raises FR; the equal error rate is where they meet, on the straight line
between the two thresholds around that place. Unlike a probe it needs no class to be known before:
those that are scored may be others than those of the training data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.splits import compared, how_many_compared


@dataclass(frozen=True)
class Verification(Evaluator):
    """verification_eer of all pairs of scored examples, such as recordings of speakers whom neither
    pretraining nor a probe has heard."""

    centre: bool = True
    """Take off the mean of the training features: without, all angles are small where features have
    much in common."""

    def run(self, subject: Subject) -> dict[str, float]:
        def trials(part: Part, seed: int) -> dict[str, float]:
            x, y = compared(part.test_x, part.test_y, count=subject.data.compared, seed=seed)
            if self.centre:
                x = x - part.train_x.mean(axis=0, dtype=np.float64)
            found = verification(x, y)
            return {} if found is None else {"verification_eer": found}

        return subject.over_parts(trials)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "verification_"):
            return []
        return [
            f"verification: all pairs of {how_many_compared(results['protocol']):,} scored "
            "examples, accepted as of one class by the cosine of their features"
            f"{', less the mean of the training features' if self.centre else ''}; the equal error "
            "rate is where as many pairs of two classes are accepted as pairs of one class are "
            "refused: lower is better, chance is 50%"
        ]


def verification(x: np.ndarray, y: np.ndarray) -> float | None:
    """The equal error rate of all pairs of features [N, D] with labels [N], by cosine; None where
    there is no pair of one class or none of two."""
    x = np.asarray(x, np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(x), k=1)
    score, same = (x @ x.T)[first, second], y[first] == y[second]
    if same.all() or not same.any():
        return None
    return equal_error_rate(score[same], score[~same])


def equal_error_rate(same: np.ndarray, other: np.ndarray) -> float:
    """Where as many are accepted wrongly as are refused wrongly, in [0, 1].

    Args:
      same: scores of the trials that should be accepted, [P]. other: of those that should not, [N].
    Raises: ValueError where either is empty, or a score is not finite.
    """
    same, other = np.sort(np.asarray(same, np.float64)), np.sort(np.asarray(other, np.float64))
    if not len(same) or not len(other):
        raise ValueError("an equal error rate needs trials of both kinds")
    if not (np.isfinite(same).all() and np.isfinite(other).all()):
        raise ValueError("an equal error rate needs finite scores: look at the features")
    # Between two scores that occur nothing changes, and above them all everything is refused.
    at = np.append(np.unique(np.concatenate([same, other])), np.inf)
    refused = np.searchsorted(same, at, side="left") / len(same)
    accepted = 1 - np.searchsorted(other, at, side="left") / len(other)
    gap = refused - accepted
    after = int(np.argmax(gap >= 0))  # it goes from -1 to 1
    before = after - 1
    way = -gap[before] / (gap[after] - gap[before])
    return float(refused[before] + way * (refused[after] - refused[before]))
