"""The networks of a finished run, as sources of labels."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ssljax import probes
from ssljax.data import Arrays
from ssljax.method import Method, State
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.pseudolabels.numbering import Numbering
from ssljax.runs import record
from ssljax.runs.evaluation import embedder
from ssljax.runs.experiment import Experiment
from ssljax.runs.load import load_run
from ssljax.selftraining.plan import SelfTraining
from ssljax.selftraining.pool import (
    classes_in,
    numbering_of,
    split_off,
    with_classes,
    without_labels,
)
from ssljax.tasks import Target


class Embedded:
    """The encoder of a run of `ssljax train`: features, and classes where the method has some."""

    def __init__(self, folder: Path, *, file: str | None = None) -> None:
        self.config, method, state, _, _ = load_run(folder, file=file)
        params, stats = method.backbone(state)
        self.start = {"encoder": params}, {"encoder": stats}
        """What a network of the same encoder begins from."""
        self._kept: tuple[Any, np.ndarray] | None = None
        self._embed = embedder(self.config, method, state)
        predict = method.predict
        self._logits = None if predict is None else jax.jit(partial(predict, state))

    @property
    def knows_classes(self) -> bool:
        """Whether the method predicts classes of the data."""
        return self._logits is not None

    def guess(self, data: Any, *, views: int = 0, seed: int = 0) -> Guess:
        """Classes by the method's own classifier; without random views."""
        del views, seed
        parts = []
        for rows in data.once(self.config.batch):
            logits = self._logits({k: v for k, v in rows.items() if k != "mask"})
            parts.append(np.asarray(jax.nn.softmax(logits))[rows["mask"]])
        return Guess.of(np.concatenate(parts))

    def features(self, data: Any) -> np.ndarray:
        """float32 [N, D]."""
        if self._kept is None or self._kept[0] is not data:
            found = probes.features(self._embed, data, batch=self.config.batch)[0]
            self._kept = (data, found)
        return self._kept[1]


class Opened(NamedTuple):
    """A run of self-training, read back: nothing in its folder was written."""

    config: SelfTraining
    teacher: Any
    """That of the last finished round."""
    round: int
    pool: Arrays
    target: Target
    numbering: Numbering
    """Of the pool, as a person sees the data."""
    given: Labels


def open_run(folder: Path, *, file: str | None = None, seed: int | None = None) -> Opened:
    """A run of self-training by its folder. Raises: FileNotFoundError where no round is finished,
    or a checkpoint is not there.
    """
    folder = Path(folder)
    config = config_of(folder, file)
    seed = config.seeds[0] if seed is None else seed
    here = folder / f"seed{seed}"
    done = sorted((here / "rounds").glob("*/round.json"))
    if not done:
        raise FileNotFoundError(f"{folder} has no finished round of seed {seed} yet")
    last, r = done[-1].parent, int(done[-1].parent.name)
    learns = getattr(config.reader, "text", config.reader)  # of captions: that of the texts
    if hasattr(learns, "tokenizer") and not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError(
            f"{folder} has lost its tokenizer.json, and another one reads other tokens: put it back"
        )
    pool, test = config.load(folder)
    held_out = test if config.holds_out else None
    pool = with_classes(pool, classes_in(pool, config, here))
    target = config.learner.target(pool)
    called = numbering_of(here, pool, held_out, target)
    every = tables.read(here / "given.parquet", examples=called, target=target)
    labels = given = split_off(every, config.holdout, seed, target)[0]
    if r:
        pseudo = tables.read(last / "labels.parquet", examples=called, target=target)
        labels = given.joined(pseudo.take(~np.isin(pseudo.index, given.index)), target)
    hidden = without_labels(pool, target)
    teacher = config.trained(r).load(hidden, labels, last / "student", seed=seed)
    now = Numbering.of(pool, classes=called.classes, held_out=held_out)
    return Opened(config, teacher, r, pool, target, now, every)


def load_teacher(
    folder: Path, *, file: str | None = None, seed: int | None = None
) -> tuple[Any, Any, int]:
    """(configuration, the teacher of the last finished round, its round) of a run folder; for a
    run of pretraining (its experiment, an `Embedded`, 0).
    """
    config = config_of(Path(folder), file)
    if isinstance(config, Experiment):
        return config, Embedded(Path(folder), file=file), 0
    return open_run(folder, file=file, seed=seed)[:3]


def config_of(folder: Path, file: str | None) -> Any:
    """The `SelfTraining` or `Experiment` of a run folder."""
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    module = record.load_file(file) if file else None
    return record.decode(
        json.loads((folder / "config.json").read_text())["experiment"], module=module
    )


def load_any(
    folder: Path, *, file: str | None = None
) -> tuple[Experiment, Method, State, Any, Any]:
    """As `load_run`, also for a run of self-training: its last student as an experiment.

    Of an ensemble that is the first network. Raises: ValueError for an estimator of scikit-learn.
    """
    folder = Path(folder)
    if isinstance(config_of(folder, file), Experiment):
        return load_run(folder, file=file)
    config, teacher, r = load_teacher(folder, file=file)
    if not hasattr(teacher, "states"):
        raise ValueError(
            f"{folder} trained an estimator of scikit-learn, which has no encoder to look at: "
            "`ssljax label` labels data with it"
        )
    learner = config.trained(r)
    experiment = Experiment(
        method=teacher.model,
        data=config.data,
        test=config.test,
        reader=config.reader,
        optimizer=learner.optimizer,
        steps=learner.steps,
        batch=learner.batch,
    )
    train, test = experiment.load(folder)
    method = teacher.model.build(
        learner.optimizer.build(steps=learner.steps, batch=learner.batch), updates=learner.steps
    )
    return experiment, method, teacher.states[0], train, test
