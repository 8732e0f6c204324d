"""Few labels of each class: logistic regression and least squares on the same random draws."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.least_squares import least_squares
from ssljax.probes.linear import few_shot


@dataclass(frozen=True, kw_only=True)
class FewShot(Evaluator):
    """Probes on N labels of each class: linear_Nshot and lsq_Nshot."""

    shots: tuple[int, ...] = (1, 5, 10)
    """Labelled examples of each class."""
    draws: int = 10
    """Random choices of them."""
    least_squares: bool = True
    """Least squares beside logistic regression."""

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1:
            raise ValueError(
                f"few_shot.shots {self.shots} must be 1 or more; to leave few-shot probes out, set "
                "few_shot to None"
            )
        if self.draws < 1:
            raise ValueError(f"few_shot.draws must be at least 1, not {self.draws}")

    def run(self, subject: Subject) -> dict[str, float]:
        options = {"classes": subject.data.classes, "shots": self.shots, "draws": self.draws}

        def fitted(part: Part, seed: int) -> dict[str, np.ndarray]:
            found = {
                f"linear_{n}shot": accuracies
                for n, accuracies in few_shot(*part, seed=seed, **options).items()
            }
            if self.least_squares:
                for n, accuracies in least_squares(*part, seed=seed, **options).items():
                    found[f"lsq_{n}shot"] = accuracies
            return found

        return subject.over_parts(fitted)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, f"linear_{self.shots[0]}shot"):
            return []
        p = results["protocol"]
        over = "" if p["test_examples"] is not None else f" x {p['split_seeds']} splits"
        lines = [
            "linear_Nshot: logistic regression on N labels a class with l2 = 1/(labels), fixed; "
            f"mean ± standard deviation over {self.draws} draws{over}"
        ]
        if self.least_squares:
            lines.append(
                "lsq_Nshot: ridge regression onto the classes with the constants of big_vision, on "
                "the same draws"
            )
        return lines
