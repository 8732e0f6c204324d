"""How well a method does its own task on data that it was not trained on: all of it, once."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ssljax.probes.evaluator import Evaluator, Score, Subject, measured


@dataclass(frozen=True)
class HeldOut(Evaluator):
    """The method's own task on the test data of the run: heldout_loss and the like."""

    quick: ClassVar[bool] = True
    # No shares: errors of speech that is made, and what a code costs, in nats.
    decimals: ClassVar = {"heldout_mel_error": 4, "heldout_length_error": 4, "heldout_kl": 1}

    def run(self, subject: Subject) -> dict[str, float]:
        score, (_, test) = subject.encoder.score, subject.data.own
        if score is None or test is None:
            return {}
        return heldout(score, test, batch=subject.data.batch, limit=subject.data.asked)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "heldout_"):
            return []
        return [
            "heldout: what the method itself predicts, over the whole test split, each token (or "
            "part of an input) counted alike; loss in nats, perplexity its exponential"
        ]


def heldout(
    score: Score, dataset: Any, *, batch: int, limit: int | None = None
) -> dict[str, float]:
    """{"heldout_NAME": sum of sums / sum of weights} over one pass, in float64.

    Where there is a "loss", in nats, heldout_perplexity is its exponential.

    Args:
      score: see `Score`. dataset: as in `ssljax.data`. batch: examples in a batch.
      limit: stop after the first so many examples.
    """
    totals: dict[str, np.ndarray] = {}
    seen = 0
    for rows in dataset.once(batch):
        mask = rows["mask"]
        for name, (sums, weights) in score(rows).items():
            part = [np.asarray(x, np.float64)[mask].sum() for x in (sums, weights)]
            totals[name] = totals.get(name, np.zeros(2)) + part
        seen += len(mask)
        if limit is not None and seen >= limit:
            break
    found = {f"heldout_{name}": float(a / max(b, 1e-30)) for name, (a, b) in totals.items()}
    if "heldout_loss" in found:
        found["heldout_perplexity"] = math.exp(min(found["heldout_loss"], 700.0))
    return found
