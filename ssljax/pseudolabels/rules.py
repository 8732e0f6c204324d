"""Labels by rules that may abstain: the majority, or a model of how accurate each rule is.

Votes are int [N, R]: the class that each of R rules gives, or -1 where it abstains. The label model
is that of Dawid and Skene (1979, "Maximum likelihood estimation of observer error-rates using the
EM algorithm", Applied Statistics 28) with one number a rule, its accuracy a_r, and errors spread
evenly over the other classes:

    E:  log p(y_i = k) = b_k + sum_r [v_ir = k] log a_r + [v_ir != k] log (1 - a_r)/(K - 1)
    M:  a_r = (sum_i p(y_i = v_ir) + 7) / (n_r + 10),     b: mean of p(y_i = k) = share_k

over the votes that are cast and the examples that have any; where a true label is known, p is that
label. The pseudo-counts keep a rule that votes once from being taken for perfect, and settle which
of two mirrored solutions is meant: rules are better than not. The shares of the classes are held,
as posterior regularisation has it (Ganchev et al. 2010, JMLR 11): rules for one class each, which
seldom meet, are explained just as well by one class for everything, and EM ends there otherwise.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

_RIGHT, _WRONG = 7.0, 3.0
_BALANCE = 100  # steps of b, within one of EM, until the shares are held


def check_votes(votes: np.ndarray, classes: int) -> np.ndarray:
    """Votes as int [N, R]. Raises: ValueError where they are none."""
    votes = np.asarray(votes)
    if votes.ndim != 2 or not votes.size or not np.issubdtype(votes.dtype, np.integer):
        raise ValueError(f"votes are integers [N, R], not {votes.dtype} {votes.shape}")
    if votes.min() < -1 or votes.max() >= classes:
        raise ValueError(
            f"votes {votes.min()} to {votes.max()}: a rule gives a class from 0 to {classes - 1}, "
            "or -1 to abstain"
        )
    return votes


def majority(votes: np.ndarray, *, classes: int) -> np.ndarray:
    """Shares of the votes cast, float64 [N, K]; a row of zeros where all rules abstain."""
    votes = check_votes(votes, classes)
    counts = (votes[:, :, None] == np.arange(classes)).sum(1).astype(np.float64)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def label_model(
    votes: np.ndarray,
    *,
    classes: int,
    prior: np.ndarray | None = None,
    known: tuple[np.ndarray, np.ndarray] | None = None,
    iterations: int = 200,
    tol: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray]:
    """EM from the majority: (probabilities [N, K], accuracies of the rules [R]), float64.

    Args:
      prior: shares of the classes [K] among the examples with a vote; None: equal.
      known: (index [L], labels int [L]), the examples whose true label is known.
    Returns: rows of zeros where all rules abstain; a rule that never votes has the accuracy of the
      pseudo-counts.
    Raises: ValueError for votes that are none, shares that are none, fewer than two classes, or
      fewer than three rules, whose agreement does not tell how accurate each is.
    """
    votes = check_votes(votes, classes)
    if classes < 2:
        raise ValueError("a label model needs two classes or more")
    if votes.shape[1] < 3:
        raise ValueError(
            f"{votes.shape[1]} rules do not tell how accurate each is: write three or more, or "
            "count votes (majority)"
        )
    cast = votes >= 0
    some = np.any(cast, axis=1)
    prior = np.full(classes, 1 / classes) if prior is None else np.asarray(prior, np.float64)
    if prior.shape != (classes,) or prior.min() <= 0 or abs(prior.sum() - 1) > 1e-4:
        raise ValueError(
            f"a prior of {classes} classes is {classes} shares above 0 that sum to one"
        )
    p = majority(votes, classes=classes)
    index, labels = known or (np.zeros(0, np.int64), np.zeros(0, np.int64))
    index, true = index[some[index]], np.eye(classes)[labels[some[index]]]
    p[index] = true
    rows = np.arange(len(votes))[:, None]
    accuracy, bias = np.zeros(votes.shape[1]), np.log(prior)
    for _ in range(iterations):
        before = accuracy
        right = np.where(cast, p[rows, np.maximum(votes, 0)], 0.0).sum(0)
        accuracy = (right + _RIGHT) / (cast.sum(0) + _RIGHT + _WRONG)
        # What a vote for k adds over a vote for anything else.
        gain = np.log(accuracy) - np.log((1 - accuracy) / (classes - 1))
        score = np.zeros((len(votes), classes))
        for r in range(votes.shape[1]):
            score[cast[:, r], votes[cast[:, r], r]] += gain[r]
        p[some], bias = _balanced(score[some], bias, prior)
        p[~some], p[index] = 0, true
        if np.abs(accuracy - before).max() < tol:
            break
    return p, accuracy


def _balanced(
    score: np.ndarray, bias: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(p [n, K], bias [K]): p = softmax(score + bias), whose mean is the prior."""
    p = np.zeros_like(score)
    for _ in range(_BALANCE if len(score) else 0):
        logit = score + bias
        logit -= logit.max(1, keepdims=True)
        p = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
        miss = np.log(prior) - np.log(np.maximum(p.mean(0), 1e-300))
        if np.abs(miss).max() < 1e-6:
            break
        bias = bias + miss
    return p, bias


@dataclass(frozen=True)
class Matches:
    """A rule for text: a class for every text that a regular expression is found in."""

    pattern: str
    """As in Python's `re`, upper and lower case alike."""
    label: int
    """The class."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"rule {self.pattern!r} is no regular expression: {error}") from None

    def __call__(self, rows: dict[str, Any]) -> np.ndarray:
        """int [B], -1 where the expression is not found. Raises: ValueError for other data."""
        if "text" not in rows:
            raise ValueError("a rule that matches text needs data with text: read it with `Text`")
        found = re.compile(self.pattern, re.IGNORECASE)
        return np.array([self.label if found.search(x) else -1 for x in rows["text"]])
