"""How near a method comes to what users said: their ratings, or what they clicked."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ssljax.probes.evaluator import Evaluator, Subject, measured


@dataclass(frozen=True, kw_only=True)
class Answers(Evaluator):
    """Of ratings rmse, mae, and precision, recall and F1 of what was liked; of clicks auc and
    log_loss.
    """

    quick: ClassVar[bool] = True
    decimals: ClassVar = {"rmse": 4, "mae": 4, "log_loss": 4}

    def run(self, subject: Subject) -> dict[str, float]:
        predict, test = subject.encoder.classifiers.get("accuracy"), subject.data.own[1]
        if predict is None or test is None or not {"rating", "clicked"} & test.spec.keys():
            return {}
        said: list[np.ndarray] = []
        true: list[np.ndarray] = []
        name = "rating" if "rating" in test.spec else "clicked"
        for rows in test.once(subject.data.batch):
            said.append(np.asarray(predict(rows), np.float64)[rows["mask"], 0])
            true.append(rows[name][rows["mask"]])
            if sum(map(len, said)) >= (subject.data.asked or np.inf):
                break
        both = np.concatenate(said), np.concatenate(true).astype(np.float64)
        if name == "rating":
            return of_ratings(*both, liked=test.catalogue.liked)  # type: ignore[attr-defined]
        return of_clicks(*both)

    def describe(self, results: dict[str, Any]) -> list[str]:
        lines = []
        if measured(results, "rmse"):
            lines.append(
                "rmse, mae: root mean squared and mean absolute error of test ratings, in stars; "
                "liked_precision, liked_recall, liked_f1: of those that the method puts among the "
                "liked ones"
            )
        if measured(results, "auc"):
            lines.append(
                "auc: how often a click scores higher than what was not clicked, over all test "
                "pairs; log_loss: cross-entropy in nats"
            )
        if measured(results, "heldout_ndcg"):
            lines.append(
                "heldout_ndcg_10 and the like: mean over users of their first ten among all items "
                "but those of their training and validation, as RecBole has it"
            )
        return lines


def of_ratings(said: np.ndarray, true: np.ndarray, *, liked: float) -> dict[str, float]:
    """Errors of ratings [N], and how well "at least `liked`" is told: 0 where nothing is."""
    error, guess, truth = said - true, said >= liked, true >= liked
    right = float(np.sum(guess & truth))
    precision, recall = right / max(guess.sum(), 1), right / max(truth.sum(), 1)
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "liked_precision": float(precision),
        "liked_recall": float(recall),
        "liked_f1": float(2 * precision * recall / max(precision + recall, 1e-30)),
    }


def of_clicks(logit: np.ndarray, clicked: np.ndarray) -> dict[str, float]:
    """Of logits [N] and what was clicked, 0 or 1; no auc where all is, or nothing."""
    found = {"log_loss": float(np.mean(np.logaddexp(0, logit) - clicked * logit))}
    if clicked.min() < clicked.max():
        from sklearn.metrics import roc_auc_score  # takes seconds

        found["auc"] = float(roc_auc_score(clicked, logit))
    return found
