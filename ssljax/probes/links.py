"""Links between nodes that nobody has seen: are they told from pairs that are not linked?

Kipf and Welling 2016, arXiv:1611.07308, section 4: the area under the ROC curve (how often a link
is scored above a pair that is none) and the average precision, over as many links as other pairs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssljax.probes.evaluator import Evaluator, Subject, measured
from ssljax.probes.features import features


@dataclass(frozen=True)
class Links(Evaluator):
    """links_auc and links_ap of the links that the reader holds out, of methods with `links`."""

    def run(self, subject: Subject) -> dict[str, float]:
        encoder, graph = subject.encoder, subject.data.own[0]
        if encoder.links is None or (held := graph.held_out) is None:
            return {}
        codes, _ = features(encoder.links, graph, batch=subject.data.batch)
        return links(codes, *held)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "links_"):
            return []
        return [
            "links: the links that are held out for a test, beside as many pairs that are not "
            "linked: area under the ROC curve, average precision; chance is 50%"
        ]


def links(codes: np.ndarray, linked: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """AUC and average precision of the products of codes [N, D], for pairs of nodes int [P, 2] that
    are linked and others that are not.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes seconds

    pairs = np.concatenate([linked, others])
    score = np.einsum("pd,pd->p", codes[pairs[:, 0]], codes[pairs[:, 1]])
    truth = np.arange(len(pairs)) < len(linked)
    return {
        "links_auc": float(roc_auc_score(truth, score)),
        "links_ap": float(average_precision_score(truth, score)),
    }
