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

import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssljax.files import read_json, write_json
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.generate import LabelContext, Model, Teacher
from ssljax.pseudolabels.judge import Judge
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.pseudolabels.numbering import Numbering
from ssljax.pseudolabels.select import Threshold
from ssljax.tasks.target import Target, Targets, from_named, named

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
    target: Target,
    train: Train,
    score: Callable[[Teacher], dict[str, Any]],
    truth: Targets | None = None,
    held_out: Labels | None = None,
    names: tuple[str, ...] | None = None,
    numbering: Numbering | None = None,
    pretrained: Any = None,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], str]:
    """Runs or resumes all rounds in `folder`.

    Args:
      pool: data without labels; `once(batch)` and `len` are used here. given: true labels.
      target: the kind of targets. train: see `Train`.
      score: numbers of a teacher on test data; called once a round and never used here.
      truth: true targets of the pool, arrays [N, ...], only to measure. held_out: true labels that
        training never sees, to estimate quality where the truth is unknown.
      names: of the classes. numbering: how a person calls the examples, for labels.parquet; None:
        by their place in the pool.
      pretrained: what training began from, with `features(data)`, or None.
    Returns: (what round.json of each round says, first the one of round 0; why it ended:
      max_iter, no_change, all_labeled or nothing_selected, the first three as in scikit-learn).
    Raises: ValueError where everything abstains or confidences are none.
    """
    size, fixed = len(pool), given.index
    called = numbering or Numbering.plain(size, classes=names)
    if target.has_classes():
        tables.every_class(given, target, names)
    out = np.setdiff1d(np.arange(size), fixed)
    if held_out is not None:
        out = np.setdiff1d(out, held_out.index)
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
            assert teacher is not None  # that of the round before
            context = LabelContext(
                teacher=teacher,
                pool=pool,
                index=fixed,
                truth=given.target,
                target=target,
                seed=seed + 1000 * r,
                earlier=tuple(earlier),
                pretrained=pretrained,
            )
            if not path.exists():
                guess = _make(here, plan, context, out, r, before, path, called)
            if not path.exists():
                reason = "no_change" if plan.keep else "nothing_selected"
                log.warning("round %d chose nothing: %s", r, _why(guess, out, target))
                break
            guess = _guess_again(here, plan.source(r), context)
            if guess.p is not None:
                earlier.append(guess.p)
            pseudo = tables.read(path, examples=called, target=target)
            labels = given.joined(pseudo.take(~np.isin(pseudo.index, fixed)), target)
        mark = tables.fingerprint(path) if path.exists() else None
        remedy = "Remove it: the round is then measured, or trained, again"
        record = read_json(done, dict, remedy=remedy) if done.exists() else None
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
            if pseudo is not None and guess is not None:
                judge = Judge(target, out, truth, held_out, names, size)
                record |= judge.measure(guess, pseudo, before)
                if r == 1 and target.has_classes():
                    record["warnings"] += plan.limits(*_shares(target, guess, given))
                for line in record.get("warnings", ()):
                    log.warning("round %d: %s", r, line)
            write_json(done, record)
        rows.append(record)
        teacher, before = student, pseudo
        if plan.keep and pseudo is not None and len(np.union1d(pseudo.index, fixed)) == size:
            reason = "all_labeled"
            break
    return rows, reason


def transduction(
    folder: Path, given: Labels, *, target: Target, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """As scikit-learn: (classes int [N], -1 for none; the round of each, 0 given, -1 never)."""
    found, at = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    paths = sorted((Path(folder) / "rounds").glob("*/labels.parquet"))
    last = tables.read(paths[-1], examples=size, target=target) if paths else given
    for labels in (last, given):
        found[labels.index], at[labels.index] = target.hard(labels.target), labels.round
    return found, at


def _make(
    here: Path,
    plan: Rounds,
    context: LabelContext,
    out: np.ndarray,
    r: int,
    before: Labels | None,
    path: Path,
    called: Numbering,
) -> Guess:
    """Makes the labels of a round and writes them, or none where nothing is chosen."""
    source = plan.source(r)
    guess = source(context).check(f"round {r}, {type(source).__name__}", context.target)
    if len(guess.confidence) != len(called):
        raise ValueError(f"{len(guess.confidence)} labels for a pool of {len(called)} examples")
    _write_guess(here, guess)  # raw, beside whatever becomes of it
    for step in plan.refine:
        if hasattr(step, "guess"):
            guess = step.guess(guess, context).check(
                f"round {r}, {type(step).__name__}", context.target
            )
    open_ = out
    if plan.keep and before is not None:
        open_ = np.setdiff1d(out, before.index)
    if not len(open_):
        return guess
    part = guess.take(open_).whole(context.target)
    mask = plan.select(part, round=r, target=context.target)
    if not mask.any():
        return guess
    part = part.take(mask)
    labels = Labels.made(
        open_[mask], part.target, part.confidence, provenance=type(source).__name__, round=r
    )
    for step in plan.refine:
        if hasattr(step, "labels"):
            labels = step.labels(labels, guess, context)
    if not labels.is_used.any():
        return guess
    if plan.keep and before is not None:
        labels = before.joined(labels, context.target)
    labels.write(path, context.target, called)
    return guess


def _shares(target: Target, guess: Guess, given: Labels) -> tuple[np.ndarray, int]:
    """(examples that are taken for each class int [K], labels of the class that has fewest)."""
    classes = target.require_classes("shares of classes")
    taken = target.hard(guess.target)[np.asarray(guess.confidence) > 0]
    count = np.bincount(target.hard(given.target), minlength=classes)
    return np.bincount(taken, minlength=classes), int(count.min())


def _why(guess: Guess | None, out: np.ndarray, target: Target) -> str:
    if guess is None or not len(out):
        return "no example is left"
    m = guess.whole(target).confidence[out]
    return (
        f"the largest confidence is {m.max():.3g}. Lower the threshold, or choose the most "
        "confident ones with Greedy"
    )


def _write_guess(here: Path, guess: Guess) -> None:
    fresh = here / "guess.tmp.npz"
    parts: dict[str, Any] = named(guess.target) | {"confidence": guess.confidence}
    if guess.p is not None:
        parts["p"] = np.asarray(guess.p, np.float32)
    np.savez(fresh, **parts)
    os.replace(fresh, here / "guess.npz")


def read_guess(here: Path) -> Guess:
    """What the teacher said about the whole pool, from the folder of a round."""
    with np.load(here / "guess.npz", allow_pickle=False) as stored:
        return Guess(from_named(stored), stored["confidence"], stored.get("p"))


def _guess_again(here: Path, source: Callable[[LabelContext], Guess], context: Any) -> Guess:
    """What guess.npz holds; where it is damaged or gone it is made again."""
    try:
        return read_guess(here)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be read (%s) and is made again", here / "guess.npz", error)
    guess = source(context).check(f"{here.name}, {type(source).__name__}", context.target)
    _write_guess(here, guess)
    return guess


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
