"""Two kinds of input in one space: does each find its partner, and do class names find the class?

Retrieval, both ways (Radford et al. 2021, arXiv:2103.00020). Inputs that are equal count once, as a
query and as an answer, so that a caption of many images is one caption:

    r@k    share of the queries that have one of the right answers among the first k by cosine

Where pairs have labels every input of the same class is right (class_r@k), else just the partners.
Ties with a wrong answer count against the query: an encoder that says the same of all gets 0.

Zero-shot classification: the mean of the unit vectors of all prompts of a class stands for it, and
the nearest one by cosine is the answer.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ssljax.probes.evaluator import Evaluator, Pair, Subject, measured
from ssljax.probes.splits import some

# Similarities held at a time, and how close they may be to count as equal.
_ENTRIES, _TIE = 2**22, 1e-6


@dataclass(frozen=True)
class Paired(Evaluator):
    """Retrieval between two kinds of input, and zero-shot classes, of methods of pairs."""

    quick: ClassVar[bool] = True

    def run(self, subject: Subject) -> dict[str, float]:
        pair, data = subject.encoder.pair, subject.data
        train, test = data.own
        if pair is None or test is None or "answer" in test.spec:  # that is of `Responses`
            return {}
        limit = data.max_examples if data.asked is None else data.asked
        prompts, compared = train.prompts, data.compared
        return paired(pair, test, prompts=prompts, batch=data.batch, limit=limit, compared=compared)

    def describe(self, results: dict[str, Any]) -> list[str]:
        rows = results["encoders"].values()
        sizes = {k: v for row in rows for k, v in row.items() if k.startswith("items_")}
        if not sizes:
            return []
        items = " and ".join(f"{v:,.0f} {k.removeprefix('items_')}" for k, v in sizes.items())
        right = "the partners"
        if any("_class_r@" in k for row in rows for k in row):
            right = (
                "all of the same class (class_r@k), not the one partner: with several of them k "
                "above 1 rewards a ranking that mixes classes, so compare with the random encoder"
            )
        lines = [
            "A_to_B_r@k: of all different inputs A, those that have a right one among the first k "
            f"different B by cosine, ties counted as wrong; {items}, right are {right}"
        ]
        if measured(results, "zero_shot"):
            lines.append(
                "zero_shot: nearest class by cosine with the mean of all that stands for it, such "
                "as its name in all templates; training saw the same classes where its pairs were "
                "made of their labels"
            )
        return lines


def paired(
    pair: Pair,
    dataset: Any,
    *,
    batch: int,
    limit: int,
    compared: int,
    prompts: Any = None,
    at: Sequence[int] = (1, 5, 10),
) -> dict[str, float]:
    """{"zero_shot": ..., "A_to_B_r@1": ..., "items_A": ...} of one data set of pairs A, B.

    Args:
      pair: see `Pair`. dataset: as in `ssljax.data`. batch: examples in a batch.
      limit: examples at most, a random part of larger data. compared: the same of the retrieval.
      prompts: data set of one side alone with labels: all that stands for a class.
      at: the k of r@k.
    Returns: tokens are called text; items_A is the number of different inputs. Raises: ValueError
      where an embedding is not finite.
    """
    sides, inputs, labels = _collect(pair, some(dataset, batch, limit), limit)
    found = {}
    if prompts is not None and labels is not None:
        found["zero_shot"] = _zero_shot(pair, sides, labels, prompts.once(batch))
    kept = np.random.default_rng(0).permutation(len(inputs[0]))[:compared]
    groups = None if labels is None else labels[kept]
    a, b = (
        _distinct(x[kept], [names[i] for i in kept]) for x, names in zip(sides.values(), inputs)
    )
    right = _right(a[1], b[1], groups)
    names = ["text" if name == "tokens" else name for name in sides]
    found |= {f"items_{name}": float(len(x)) for name, (x, _) in zip(names, (a, b))}
    level = "" if groups is None else "class_"
    for start, end, x, y, hit in (
        (names[0], names[1], a[0], b[0], right),
        (names[1], names[0], b[0], a[0], right.T),
    ):
        rank = ranks(x, y, hit)
        found |= {f"{start}_to_{end}_{level}r@{k}": float(np.mean(rank <= k)) for k in at}
    return found


def ranks(x: np.ndarray, y: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank of the best right answer of each query, int [N], from 1; wrong ones win all ties.

    Args:
      x: queries [N, D], y: answers [M, D], unit vectors. right: bool [N, M], one or more a query.
    """
    found = []
    for rows in np.array_split(np.arange(len(x)), max(1, -(-len(x) * len(y) // _ENTRIES))):
        s = x[rows] @ y.T
        best = np.where(right[rows], s, -np.inf).max(axis=1)
        found.append(1 + np.sum(~right[rows] & (s >= best[:, None] - _TIE), axis=1))
    return np.concatenate(found)


def _collect(
    pair: Pair, batches: Iterable[dict[str, np.ndarray]], limit: int
) -> tuple[dict[str, np.ndarray], list[list[bytes]], np.ndarray | None]:
    """(unit vectors by leaf, what tells the inputs of each side apart, labels or None)."""
    vectors: dict[str, list[np.ndarray]] = {}
    inputs: dict[str, list[bytes]] = {}
    labels: list[np.ndarray] = []
    seen = 0
    for rows in batches:
        mask = rows.get("mask", np.ones(len(rows["index"]), bool))
        if "label" in rows:  # without one nobody knows which answers are right
            mask = mask & (rows["label"] >= 0)
        for name, x in pair(rows).items():
            vectors.setdefault(name, []).append(_unit(x[mask], name))
            inputs.setdefault(name, []).extend(
                hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
                for row in rows[name][mask]
            )
        if "label" in rows:
            labels.append(rows["label"][mask])
        seen += int(mask.sum())
        if seen >= limit:
            break
    sides = {name: np.concatenate(parts)[:limit] for name, parts in vectors.items()}
    told = np.concatenate(labels)[:limit] if labels else None
    return sides, [names[:limit] for names in inputs.values()], told


def _unit(x: Any, name: str) -> np.ndarray:
    x = np.asarray(x, np.float32)
    if not np.isfinite(x).all():
        raise ValueError(f"the embeddings of {name} are NaN or infinite")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _distinct(x: np.ndarray, names: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """(vectors of the different inputs [n, D], which of them each of the N is, int [N])."""
    number: dict[bytes, int] = {}
    which = np.array([number.setdefault(name, len(number)) for name in names])
    return x[np.unique(which, return_index=True)[1]], which


def _right(a: np.ndarray, b: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """bool [n, m]: which of the m different inputs of one side are right for which of the other's.

    a, b: int [N], the inputs of N pairs. labels: int [N], or None: only partners are right.
    """
    if labels is None:
        right = np.zeros((a.max() + 1, b.max() + 1), bool)
        right[a, b] = True
        return right
    of_a, of_b = (labels[np.unique(which, return_index=True)[1]] for which in (a, b))
    return of_a[:, None] == of_b[None, :]


def _zero_shot(
    pair: Pair, sides: dict[str, np.ndarray], labels: np.ndarray, prompts: Iterable[Any]
) -> float:
    sums: dict[int, np.ndarray] = {}
    name = None
    for rows in prompts:
        ((name, x),) = pair(rows).items()
        mask = rows["mask"]
        for y, label in zip(_unit(x[mask], name), rows["label"][mask].tolist()):
            sums[label] = sums.get(label, 0) + y
    if name is None:
        raise ValueError("there is no prompt to tell the classes by")
    (asked,) = (x for other, x in sides.items() if other != name)
    known = np.array(sorted(sums))
    centres = _unit(np.stack([sums[label] for label in known.tolist()]), name)
    return float(np.mean(known[np.argmax(asked @ centres.T, axis=1)] == labels))
