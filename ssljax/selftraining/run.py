"""Runs a `SelfTraining` over all seeds, beside a fully supervised network, and writes

    config.json    the whole configuration        results.json, report.html    the numbers
    seed0/rounds/NN/   see `ssljax.pseudolabels.rounds`    seed0/full/   trained on all true labels
    pretrained/    the run of `pretrain`, if there is one

Every network, supervised on the few labels, self-trained or on all labels, has the same number of
steps and starts from the same weights.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import report
from ssljax.data import Arrays
from ssljax.files import read_json, write_json
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.generate import Teacher
from ssljax.pseudolabels.labels import GIVEN, Labels
from ssljax.pseudolabels.numbering import Numbering, refuse_older
from ssljax.pseudolabels.rounds import self_train
from ssljax.runs import known
from ssljax.runs.folder import accept, begun, compared, hardware, opened
from ssljax.runs.load import begin_with
from ssljax.runs.run import run
from ssljax.selftraining.pictures import write_pictures
from ssljax.selftraining.plan import MAY_DIFFER, SelfTraining
from ssljax.selftraining.pool import (
    check_targets,
    classes_in,
    labels_mark,
    note_numbering,
    numbering_of,
    split_off,
    truth_of,
    with_classes,
    without_labels,
)
from ssljax.selftraining.results import notes, scores, summary, what_is_scored
from ssljax.selftraining.teachers import Embedded
from ssljax.tasks import Target, Targets
from ssljax.tasks.target import count, take

log = logging.getLogger("ssljax")


def run_self_training(config: SelfTraining, folder: Path) -> dict[str, Any]:
    """Runs or resumes `config` in `folder` and returns what results.json holds.

    Raises: ValueError where `folder` belongs to another configuration or to other data, or for
      labels that do not fit.
    """
    if jax.process_count() > 1:
        raise ValueError("self-training runs on one host: its rounds read and write files")
    folder = Path(folder)
    with opened(folder):
        pool, test = _begun(config, folder)
        first = _pretrained(config, folder)
        target = config.learner.target(pool)
        seeds = [_one(config, folder / f"seed{s}", pool, test, first, s) for s in config.seeds]
        tested = what_is_scored(target, truth_of(test, target), pool.classes)
        results = summary(seeds, target) | {"seeds": seeds, "test": tested, "hardware": hardware()}
        results["notes"] = notes(results)
        write_json(folder / "results.json", results)
        held_out = test if config.holds_out else None
        called = numbering_of(folder / f"seed{config.seeds[0]}", pool, held_out, target)
        write_pictures(folder, pool, target, called, seeds[0]["rounds"])
        report.write_self_training(folder)
    return results


def _begun(config: SelfTraining, folder: Path) -> tuple[Arrays, Arrays]:
    """(pool, test data), with the folder made or found to be of this very run and data."""
    fresh = not begun(folder)
    changed = compared(config, folder, may_differ=MAY_DIFFER)
    about = None if fresh else known.read(folder)
    if about is None and any(c.startswith(("data:", "test:")) for c in changed):
        compared(config, folder, may_differ=set(MAY_DIFFER) - {"data", "test"})
    with known.learning(folder, about, fresh=fresh) as learned:
        pool, test = config.load(learned)
        pool = with_classes(pool, classes_in(pool, config, folder / f"seed{config.seeds[0]}"))
        check_targets(config.targets, pool, test)
        target = config.learner.target(pool)
        now = known.about(config, pool, test, without_labels(pool, target))
        now |= {"holds_out": config.holds_out, "labels": labels_mark(config, about, folder)}
        if about is not None:
            known.check_same(about, now, folder)
            known.check_same_test(about, now, folder)
            now["files"] = about["files"]
        accept(config, folder, changed)
        known.accept(now, folder, learned)
    return pool, test


def _one(
    config: SelfTraining,
    folder: Path,
    pool: Arrays,
    test: Arrays,
    first: "Embedded | Weights | None",
    seed: int,
) -> dict[str, Any]:
    """All rounds of one seed."""
    folder.mkdir(parents=True, exist_ok=True)
    start = None if first is None else first.start
    target = config.learner.target(pool)
    truth, hidden = truth_of(pool, target), without_labels(pool, target)
    right, unseen = truth_of(test, target), without_labels(test, target)
    called = numbering_of(folder, pool, test if config.holds_out else None, target)
    given = given_labels(config, folder, called, truth, target, seed, hidden)
    given, held_out = split_off(given, config.holdout, seed, target)

    def train(labels: Labels, r: int, place: Path, teacher: Teacher | None) -> Teacher:
        learner = config.trained(r)
        return learner.train(hidden, labels, place, seed=seed, start=teacher or start)

    def score(teacher: Teacher) -> dict[str, float]:
        return scores(target, right, teacher.guess(unseen), teacher.costs(test))

    rows, ended = self_train(
        folder,
        config.rounds,
        pool=hidden,
        given=given,
        target=target,
        train=train,
        score=score,
        truth=truth,
        held_out=held_out,
        names=pool.classes,
        numbering=called,
        pretrained=first,
        seed=seed,
    )
    found = {"seed": seed, "labels": len(given), "ended": ended, "rounds": rows}
    if config.full and truth is not None:
        done = folder / "full.json"
        if not done.exists():
            every = np.flatnonzero(target.known(truth))
            every = Labels.given(every, take(truth, every))
            learner = config.student or config.learner
            teacher = learner.train(hidden, every, folder / "full", seed=seed, start=start)
            write_json(done, score(teacher))
        found["full"] = read_json(done, dict, remedy="Remove it: it is then measured again")
    return found


class Weights:
    """Networks of a file, from which every network starts; they have no features of their own."""

    def __init__(self, place: str, networks: dict[str, Any]) -> None:
        self.start = begin_with(place, networks)

    def features(self, data: Any) -> np.ndarray:
        raise ValueError("begin names a file of weights: pretrained features need a run folder")


def _pretrained(config: SelfTraining, folder: Path) -> Embedded | Weights | None:
    """What every network starts from, or None."""
    if config.begin is not None:
        if config.pretrain is not None:
            raise ValueError("begin and pretrain both name a pretraining: keep one of them")
        place = Path(config.begin)
        if not place.is_dir():
            task = config.learner.task
            if task is None:
                raise ValueError("begin: only networks begin from weights, not scikit-learn")
            return Weights(config.begin, {"encoder": task.encoder} | task.target.networks)
    elif config.pretrain is not None:
        place = folder / "pretrained"
        first = dataclasses.replace(config.pretrain, data=config.data, reader=config.reader)
        if not (place / "results.json").exists() and not run(first, place)["finished"]:
            raise KeyboardInterrupt(
                "stopped by a signal while pretraining; the same command goes on"
            )
    else:
        return None
    return Embedded(place)


def given_labels(
    config: SelfTraining,
    folder: Path,
    called: Numbering,
    truth: Targets | None,
    target: Target,
    seed: int,
    hidden: Arrays,
) -> Labels:
    """The true labels of this seed, also on disk. hidden: the pool without its truth.

    Raises: ValueError for a file of labels that does not fit, or a class without a label.
    """
    path = folder / "given.parquet"
    if not path.exists():
        if config.labels is not None:
            refuse_older(Path(config.labels), called)
            found = tables.read(Path(config.labels), examples=called, target=target)
        elif truth is None:
            raise ValueError("this data has no labels: name a file of few with --labels FILE")
        else:
            group = None if config.each is None else _leaf(hidden, config.each)
            index = _drawn(config.few, truth, target, np.random.default_rng([seed, 17]), group)
            found = Labels.given(index, take(truth, index))
        found = dataclasses.replace(found, provenance=np.full(len(found), GIVEN, object))
        note_numbering(folder)
        found.write(path, target, called)
    found = tables.read(path, examples=called, target=target)
    # Whatever made them, to this run they are given; their weights count.
    found = dataclasses.replace(
        found,
        provenance=np.full(len(found), GIVEN, object),
        round=np.zeros(len(found), np.int32),
    )
    if target.has_classes():
        tables.every_class(found, target, called.classes)
    return found


def _drawn(
    few: int,
    truth: Targets,
    target: Target,
    rng: np.random.Generator,
    group: np.ndarray | None,
) -> np.ndarray:
    """A few examples whose truth is known, of each group, or of each class where there are classes,
    in order. group: [N], None for none."""
    known = np.flatnonzero(target.known(truth))
    if len(known) < count(truth):
        log.info("%d of %d examples of the pool have a label", len(known), count(truth))
    if group is not None:
        mixed = rng.permutation(known)
        mixed = mixed[np.argsort(group[mixed], kind="stable")]
        _, first = np.unique(group[mixed], return_index=True)
        place = np.arange(len(mixed)) - np.repeat(first, np.diff([*first, len(mixed)]))
        return np.sort(mixed[place < few])
    if not target.has_classes():
        return np.sort(rng.permutation(known)[:few])
    hard, classes = target.hard(truth), target.require_classes("a draw from each class")
    groups = (np.flatnonzero(hard == c) for c in range(classes))
    return np.sort(np.concatenate([rng.permutation(g)[:few] for g in groups]))


def _leaf(data: Arrays, name: str) -> np.ndarray:
    """A leaf of all examples, [N]. Raises: ValueError where there is none, or not a number each."""
    if name not in data.spec or data.spec[name][0]:
        raise ValueError(
            f"each: the data has no number {name!r} for an example, only {', '.join(data.spec)}"
        )
    return data.take(np.arange(len(data)))[name]
