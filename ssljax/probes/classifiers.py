"""How often the method's own classifiers are right, of methods that learn the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ssljax.data.dataset import Dataset, labelled_part
from ssljax.probes.evaluator import Evaluator, Subject, measured
from ssljax.probes.features import Embed, sampled


@dataclass(frozen=True)
class Classifiers(Evaluator):
    """accuracy, accuracy_online and their agreement on the test data of the run."""

    quick: ClassVar[bool] = True

    def run(self, subject: Subject) -> dict[str, float]:
        data = subject.data
        options = {"batch": data.batch, "limit": data.max_examples}
        return accuracies(subject.encoder.classifiers, data.own[1], **options)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "accuracy"):
            return []
        return [
            "accuracy: the method's own classifier, with the moving average of its weights if it "
            "has one; accuracy_online: without; agreement: how often both say the same"
        ]


def accuracies(
    classifiers: Mapping[str, Embed], test: Dataset | None, *, batch: int, limit: int = 10_000
) -> dict[str, float]:
    """Accuracies on the test data of classifiers that a method has trained itself.

    Args:
      classifiers: name of the accuracy -> batch to logits [B, K].
      test: None or without labels: there are no numbers. limit: a random part of larger data.
    Returns: {name: accuracy}, and with several "agreement", how often they all say the same.
    """
    if not classifiers or test is None or not test.labelled:
        return {}
    found: dict[str, float] = {}
    said: list[np.ndarray] = []
    known: Dataset = labelled_part(test)
    for name, predict in classifiers.items():
        logits, y = sampled(predict, known, batch=batch, limit=limit)
        said.append(np.argmax(logits, axis=1))
        found[name] = float(np.mean(said[-1] == y))
    if len(said) > 1:
        found["agreement"] = float(np.mean(np.all(np.array(said) == said[0], axis=0)))
    return found
