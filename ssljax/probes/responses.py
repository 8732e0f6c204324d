"""Of several answers, is the one that was given found?

Next-utterance retrieval as Lowe et al. 2015 (arXiv:1506.08909) measure it: each context has its
true answer among n - 1 wrong ones, which are drawn evenly from the different answers of the data
that are not equal to it, and all are ranked by their cosine with the context:

    r@1_of_n    share of the contexts whose true answer comes first
    mrr_of_n    mean of 1 / rank of the true answer

Ties count against the true answer: an encoder that says the same of all has r@1 of 0. The draws
depend on the data and the seed alone, so that any two encoders are asked the same questions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ssljax.probes.evaluator import Evaluator, Pair, Subject, measured
from ssljax.probes.splits import some

_TIE = 1e-6  # how close cosines may be to count as equal


@dataclass(frozen=True, kw_only=True)
class Responses(Evaluator):
    """Response selection on test data with answers, of methods of pairs."""

    quick: ClassVar[bool] = True

    candidates: tuple[int, ...] = (10, 100)
    """How many answers there are to choose from, the true one among them."""
    seed: int = 0
    """Of the draws of wrong answers."""

    def __post_init__(self) -> None:
        if not self.candidates or min(self.candidates) < 2:
            raise ValueError(f"candidates {self.candidates}: two answers or more to choose from")

    def run(self, subject: Subject) -> dict[str, float]:
        pair, data = subject.encoder.pair, subject.data
        test = data.own[1]
        if pair is None or test is None or "answer" not in test.spec:
            return {}
        limit = data.max_examples if data.asked is None else data.asked
        x, y, same = _collected(pair, some(test, data.batch, limit), limit)
        return {
            name: value
            for n in self.candidates
            if n <= len(np.unique(same))  # else there are not so many
            for name, value in responses(x, y, same, candidates=n, seed=self.seed).items()
        }

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "mrr_of_"):
            return []
        return [
            "r@1_of_n, mrr_of_n: how often the true answer to what was said comes first among n "
            "(of 10, by chance: 10%), and the mean of 1 / its rank; the others are drawn evenly "
            "from the different answers of the test data, and ties count as wrong"
        ]


def responses(
    x: np.ndarray, y: np.ndarray, same: np.ndarray, *, candidates: int, seed: int = 0
) -> dict[str, float]:
    """{"r@1_of_n", "mrr_of_n"} of contexts and answers by their products.

    Args:
      x, y: unit vectors [N, D] of contexts and of their answers. same: int [N], equal for answers
        that are equal. candidates: n, the true answer among them. seed: of the draws.
    Raises: ValueError where there are fewer different answers than candidates.
    """
    # One of each different answer, and which of these every context has.
    _, first, which = np.unique(same, return_index=True, return_inverse=True)
    if len(first) < candidates:
        raise ValueError(
            f"{len(first)} different answers are fewer than the {candidates} candidates: choose "
            "fewer candidates, or use more test data"
        )
    rng = np.random.default_rng([seed, candidates])
    ranks = np.empty(len(x), np.int64)
    for i, own in enumerate(which):
        drawn = rng.choice(len(first) - 1, candidates - 1, replace=False)
        wrong = drawn + (drawn >= own)
        ranks[i] = 1 + np.sum(y[first[wrong]] @ x[i] >= y[i] @ x[i] - _TIE)
    return {
        f"r@1_of_{candidates}": float(np.mean(ranks == 1)),
        f"mrr_of_{candidates}": float(np.mean(1 / ranks)),
    }


def _collected(pair: Pair, batches: Any, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(contexts [N, D], answers [N, D], which answers are equal [N])."""
    sides: dict[str, list[np.ndarray]] = {"tokens": [], "answer": []}
    said, seen = [], 0
    for rows in batches:
        mask = rows.get("mask", np.ones(len(rows["index"]), bool))
        for name, x in pair(rows).items():
            sides[name].append(_unit(np.asarray(x, np.float32)[mask], name))
        said.append(rows["answer"][mask])
        if (seen := seen + int(mask.sum())) >= limit:
            break
    x, y, rows = (np.concatenate(p)[:limit] for p in (*sides.values(), said))
    return x, y, np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _unit(x: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(x).all():
        raise ValueError(f"the embeddings of {name} are NaN or infinite")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
