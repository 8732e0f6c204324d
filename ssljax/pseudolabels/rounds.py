"""Rounds of self-training: generate -> refine -> select -> refine -> train -> measure, and again.

Everything that a round needs lies in its folder, so that a killed run goes on where it was and any
round can be looked at, edited and repeated:

    rounds/00/student/   the first teacher, trained on the given labels alone
    rounds/NN/guess.npz        what the teacher of round NN-1 said about the whole pool
    rounds/NN/labels.parquet   the pseudo-labels of round NN
    rounds/NN/student/         what was trained on them and on the given labels
    rounds/NN/round.json       its numbers, and the fingerprint of the labels that it learnt from

Where somebody has edited labels.parquet of a finished round, that round's student and all later
rounds are trained again. The truth of the pool, where it is known, goes to `measure` alone.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssljax.files import write_json
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels import quality
from ssljax.pseudolabels.generate import Known, Model, Teacher
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.pseudolabels.numbering import Numbering
from ssljax.pseudolabels.select import Threshold

log = logging.getLogger("ssljax")
Train = Callable[[Labels, int, Path, Teacher | None], Teacher]
"""(labels, round, folder, teacher to start from or None) -> what was trained; it resumes."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How self-training goes."""

    count: int = 3
    """Rounds after the first teacher."""
    generate: Any = Model()
    """Where labels come from (`generate.py`); or a tuple of sources, one a round, of which the last
    goes on: rules first, then what was trained on them."""
    refine: tuple[Any, ...] = ()
    """What makes them better, in order (`refine.py`)."""
    select: Any = field(default_factory=Threshold)
    """Which of them count (`select.py`)."""
    restart: Literal["fresh", "warm"] = "fresh"
    """Train each student from the first weights, or from those of the teacher. Going on keeps early
    mistakes."""
    keep: bool = False
    """An example once labelled is never labelled again, as in scikit-learn; else every round labels
    everything anew."""

    def __post_init__(self) -> None:
        if self.count < 0 or self.restart not in ("fresh", "warm"):
            raise ValueError("rounds: count must not be negative, restart fresh or warm")
        if self.generate == ():
            raise ValueError("rounds: generate names no source of labels")

    def source(self, round: int) -> Any:
        """Where the labels of a round come from; rounds count from 1."""
        if not isinstance(self.generate, tuple):
            return self.generate
        return self.generate[min(round, len(self.generate)) - 1]

    def limits(self, shares: np.ndarray, few: int) -> list[str]:
        """What its parts know not to work, which may say so in a method of this name.

        shares: examples of the pool that are taken for each class, int [K]. few: labelled examples
        of the class that has fewest.
        """
        parts = [p for p in (self.source(1), self.select) if hasattr(p, "limits")]
        return [line for part in parts for line in part.limits(shares, few)]


def self_train(
    folder: Path,
    plan: Rounds,
    *,
    pool: Any,
    given: Labels,
    classes: int | None,
    train: Train,
    score: Callable[[Teacher], dict[str, Any]],
    truth: np.ndarray | None = None,
    held: Labels | None = None,
    names: tuple[str, ...] | None = None,
    numbering: Numbering | None = None,
    pretrained: Any = None,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], str]:
    """Runs or resumes all rounds in `folder`.

    Args:
      pool: data without labels; `once(batch)` and `len` are used here. given: true labels.
      classes: K where targets are classes, else None. train: see `Train`.
      score: numbers of a teacher on test data; called once a round and never used here.
      truth: true targets of the pool [N, ...], only to measure; -1 (NaN of values) where nobody
        knows. held: true labels that training never sees, to estimate quality without a truth.
      names: of the classes. numbering: how a person calls the examples, for labels.parquet; None:
        by their place in the pool.
      pretrained: what training began from, with `features(data)`, or None.
    Returns: (what round.json of each round says, first the one of round 0; why it ended:
      max_iter, no_change, all_labeled or nothing_selected, the first three as in scikit-learn).
    Raises: ValueError where everything abstains or confidences are none.
    """
    size, fixed = len(pool), given.index
    called = numbering or Numbering.plain(size, classes=names)
    if classes is not None:
        tables.every_class(given, classes, names)
    out = np.setdiff1d(np.arange(size), fixed)
    if held is not None:
        out = np.setdiff1d(out, held.index)
    rows: list[dict[str, Any]] = []
    teacher: Teacher | None = None
    before: Labels | None = None
    earlier: list[np.ndarray] = []
    reason = "max_iter"
    for r in range(plan.count + 1):
        here = Path(folder) / "rounds" / f"{r:02d}"
        done, path = here / "round.json", here / "labels.parquet"
        here.mkdir(parents=True, exist_ok=True)
        labels, pseudo, guess = given, None, None
        if r > 0:
            known = Known(
                teacher=teacher,
                pool=pool,
                index=fixed,
                target=given.hard() if classes is not None else given.target,
                classes=classes,
                seed=seed + 1000 * r,
                earlier=tuple(earlier),
                pretrained=pretrained,
            )
            if not path.exists():
                guess = _make(here, plan, known, out, r, before, path, called)
            if not path.exists():
                reason = "no_change" if plan.keep else "nothing_selected"
                log.warning("round %d chose nothing: %s", r, _why(guess, out))
                break
            guess = _read_guess(here)
            if guess.p is not None:
                earlier.append(guess.p)
            pseudo = tables.read(path, examples=called, classes=classes)
            labels = given.joined(pseudo.take(~np.isin(pseudo.index, fixed)))
        mark = tables.fingerprint(path) if path.exists() else None
        record = json.loads(done.read_text()) if done.exists() else None
        if record is not None and record["labels"] != mark:
            log.warning("the labels of round %d were edited: it is trained again from there", r)
            record = None
            # Its own record goes last, so that a kill in between is seen as an edit once more.
            for later in sorted(here.parent.iterdir()):
                if later.name > here.name:
                    _clear(later)
            done.unlink()
        _learning_from(here / "student", mark)
        student = train(labels, r, here / "student", teacher if plan.restart == "warm" else None)
        if record is None:
            record = {"round": r, "labels": mark, "seed": seed, "test": score(student)}
            if pseudo is not None:
                record |= _measure(guess, pseudo, before, out, truth, held, classes, names, size)
                if r == 1 and classes is not None:
                    taken = np.asarray(guess.target)[np.asarray(guess.confidence) > 0]
                    count = np.bincount(given.hard(), minlength=classes)
                    shares = np.bincount(taken, minlength=classes)
                    record["warnings"] += plan.limits(shares, int(count.min()))
                for line in record.get("warnings", ()):
                    log.warning("round %d: %s", r, line)
            write_json(done, record)
        rows.append(record)
        teacher, before = student, pseudo
        if plan.keep and pseudo is not None and len(np.union1d(pseudo.index, fixed)) == size:
            reason = "all_labeled"
            break
    return rows, reason


def transduction(folder: Path, given: Labels, *, size: int) -> tuple[np.ndarray, np.ndarray]:
    """As scikit-learn: (classes int [N], -1 for none; the round of each, 0 given, -1 never)."""
    target, at = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    paths = sorted((Path(folder) / "rounds").glob("*/labels.parquet"))
    last = tables.read(paths[-1], examples=size) if paths else given
    for labels in (last, given):
        target[labels.index], at[labels.index] = labels.hard(), labels.round
    return target, at


def _make(
    here: Path,
    plan: Rounds,
    known: Known,
    out: np.ndarray,
    r: int,
    before: Labels | None,
    path: Path,
    called: Numbering,
) -> Guess:
    """Makes the labels of a round and writes them, or none where nothing is chosen."""
    source = plan.source(r)
    guess = source(known).check(f"round {r}, {type(source).__name__}")
    if len(guess.target) != len(called):
        raise ValueError(f"{len(guess.target)} labels for a pool of {len(called)} examples")
    _write_guess(here, guess)  # raw, beside whatever becomes of it
    for step in plan.refine:
        if hasattr(step, "guess"):
            guess = step.guess(guess, known).check(f"round {r}, {type(step).__name__}")
    open_ = out
    if plan.keep and before is not None:
        open_ = np.setdiff1d(out, before.index)
    part = Guess(*(None if x is None else np.asarray(x)[open_] for x in guess))
    if not len(open_):
        return guess
    mask = plan.select(part, round=r, classes=known.classes)
    if not mask.any():
        return guess
    labels = Labels.made(
        open_[mask],
        part.target[mask],
        np.minimum(part.confidence[mask], 1),
        provenance=type(source).__name__,
        round=r,
    )
    for step in plan.refine:
        if hasattr(step, "labels"):
            labels = step.labels(labels, guess, known)
    if not (labels.weight > 0).any():
        return guess
    if plan.keep and before is not None:
        labels = before.joined(labels)
    labels.write(path, called)
    return guess


def _measure(
    guess: Guess,
    pseudo: Labels,
    before: Labels | None,
    out: np.ndarray,
    truth: np.ndarray | None,
    held: Labels | None,
    classes: int | None,
    names: tuple[str, ...] | None,
    size: int,
) -> dict[str, Any]:
    """The numbers of a round; nothing of it goes back into training."""
    used = pseudo.take(pseudo.weight > 0)
    m = np.asarray(guess.confidence)
    found: dict[str, Any] = {
        "coverage": float(np.isin(out, used.index).mean()),
        "mean_weight": float(pseudo.weight.mean()),
        "mean_confidence": float(m[out].mean()),
    }
    if classes is not None:
        now, old = _dense(used, size), None if before is None else _dense(before, size)
        selected = np.bincount(now[now >= 0], minlength=classes)
        found["selected"] = selected.tolist()
        if old is not None:
            found["stability"] = quality.stability(old, now, classes=classes)
        last = None if old is None else np.bincount(old[old >= 0], minlength=classes)
        found["warnings"] = quality.warnings(selected, last, names=names)
    if truth is not None:
        out = out[quality.is_known(truth)[out]]
    if truth is not None and len(out):
        chosen = np.zeros(size, bool)
        chosen[used.index] = True
        if classes is not None:
            t, y, c = truth[out], now[out], chosen[out]
            found["quality"] = quality.classes_quality(t, np.maximum(y, 0), c, classes=classes)
            every = np.ones(len(out), bool)
            found["all"] = {
                "accuracy": float((np.asarray(guess.target)[out] == t).mean()),
                "f1": quality.classes_quality(
                    t, np.asarray(guess.target)[out], every, classes=classes
                )["f1"],
            }
            cast = m[out] > 0  # who abstains has not said that it is unsure
            right = (np.asarray(guess.target)[out] == t)[cast]
            found["reliability"] = quality.reliability(right, m[out][cast])
            found["ece"] = quality.ece(right, m[out][cast])
            found["mistakes"] = _mistakes(used, truth)
        else:
            full = np.zeros((size, *used.target.shape[1:]), np.float32)
            full[used.index] = used.target
            found["quality"] = quality.without_classes(truth[out], full[out], chosen[out])
    if held is not None:
        found["estimate"] = _estimate(guess, used, held, classes)
    return found


def _estimate(guess: Guess, used: Labels, held: Labels, classes: int | None) -> dict[str, Any]:
    """The quality of labels as confident as those that are used, on held-out true labels."""
    target, m = np.asarray(guess.target)[held.index], np.asarray(guess.confidence)[held.index]
    sure = (m >= used.confidence.min()) & (m > 0)
    found: dict[str, Any] = {"examples": len(held)}
    if classes is None:
        return found | quality.without_classes(held.target, target, sure)
    numbers = quality.classes_quality(held.hard(), target, sure, classes=classes)
    names = ("accuracy", "coverage", "precision", "recall", "f1")
    return found | {k: numbers[k] for k in names} | {"ece": quality.ece(target == held.hard(), m)}


def _mistakes(used: Labels, truth: np.ndarray, count: int = 12) -> list[list[float]]:
    """[index, label, truth, confidence] of the most confident labels that are wrong."""
    hard = used.hard()
    wrong = np.flatnonzero((hard != truth[used.index]) & (truth[used.index] >= 0))
    first = wrong[np.argsort(-used.confidence[wrong], kind="stable")[:count]]
    return [
        [int(used.index[i]), int(hard[i]), int(truth[used.index[i]]), float(used.confidence[i])]
        for i in first
    ]


def _dense(labels: Labels, size: int) -> np.ndarray:
    target = np.full(size, -1, np.int64)
    target[labels.index] = labels.hard()
    return target


def _why(guess: Guess, out: np.ndarray) -> str:
    if guess is None or not len(out):
        return "no example is left"
    m = np.asarray(guess.confidence)[out]
    return (
        f"the largest confidence is {m.max():.3g}. Lower the threshold, or choose the most "
        "confident ones with Greedy"
    )


def _write_guess(here: Path, guess: Guess) -> None:
    fresh = here / "guess.tmp.npz"
    parts = {k: v for k, v in guess._asdict().items() if v is not None}
    if "p" in parts:
        parts["p"] = np.asarray(parts["p"], np.float32)
    np.savez(fresh, **parts)
    os.replace(fresh, here / "guess.npz")


def _read_guess(here: Path) -> Guess:
    with np.load(here / "guess.npz", allow_pickle=False) as stored:
        return Guess(stored["target"], stored["confidence"], stored.get("p"))


def _learning_from(student: Path, mark: str | None) -> None:
    """Throws away what was learnt from other labels, and notes which are learnt from now."""
    note = student / "labels.sha256"
    if student.exists() and (not note.exists() or note.read_text() != str(mark)):
        shutil.rmtree(student)
    student.mkdir(parents=True, exist_ok=True)
    note.write_text(str(mark))


def _clear(here: Path) -> None:
    for name in ("labels.parquet", "round.json", "guess.npz"):
        (here / name).unlink(missing_ok=True)
