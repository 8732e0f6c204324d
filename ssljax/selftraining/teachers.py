"""The networks of a finished run, as sources of labels."""

import logging
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import probes
from ssljax.data import Arrays
from ssljax.method import Method, State
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.pseudolabels.numbering import Numbering
from ssljax.runs import known
from ssljax.runs.evaluation import embedder
from ssljax.runs.experiment import Experiment
from ssljax.runs.folder import config_of
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

log = logging.getLogger("ssljax")


class Embedded:
    """The encoder of a run of `ssljax train`: features, and classes where the method has some."""

    def __init__(self, folder: Path, *, file: str | None = None) -> None:
        self.config, method, state, train, _ = load_run(folder, file=file)
        self.data = train
        """That of the run."""
        params, stats = method.backbone(state)
        # A head is of its method: that of BERT names hidden words, and no target asks for them.
        parts = {k: v for k, v in self.config.method.arrays(state).items() if k != "head"}
        parts |= {"encoder": params}
        self.start = parts, {"encoder": stats}
        """What a network of the same encoder begins from, and maybe of the same decoder."""
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
        if self._logits is None:
            raise ValueError(f"{type(self.config.method).__name__} predicts no classes")
        parts = []
        for rows in data.once(self.config.batch):
            logits = self._logits({k: v for k, v in rows.items() if k != "mask"})
            parts.append(np.asarray(jax.nn.softmax(logits))[rows["mask"]])
        return Guess.of(np.concatenate(parts))

    def costs(self, data: Any) -> dict[str, float]:
        """Nothing: it was asked for no target."""
        del data
        return {}

    def features(self, data: Any) -> np.ndarray:
        """float32 [N, D]."""
        if self._kept is None or self._kept[0] is not data:
            found = probes.features(self._embed, data, batch=self.config.batch)[0]
            self._kept = (data, found)
        return self._kept[1]


class Opened:
    """A run of self-training, read back: nothing in its folder is written, and its pool is read
    when somebody needs an example, or a number of one, so that networks are there without it.

    config, folder: of the run. round: the last finished one. pool, test: its data. target: what
    the last learner is asked for. classes: names of the classes, or None. holds_out: whether test
    data is a part of the same data.
    """

    def __init__(self, folder: Path, *, file: str | None = None, seed: int | None = None) -> None:
        """Raises: FileNotFoundError where no round is finished."""
        self.folder, self.config = Path(folder), config_of(Path(folder), file)
        self._seed = self.config.seeds[0] if seed is None else seed
        self._here = self.folder / f"seed{self._seed}"
        done = sorted((self._here / "rounds").glob("*/round.json"))
        if not done:
            raise FileNotFoundError(f"{folder} has no finished round of seed {self._seed} yet")
        self._last, self.round = done[-1].parent, int(done[-1].parent.name)
        about = known.read(self.folder)
        if about is None:
            _check_tokenizer(self.config, self.folder)
            pool, self.test = self.config.load(self.folder)
            self.pool: Any  # data, or what stands for it until an example is asked for
            self.pool = self._called(pool)
            self.target = _target(self.config, self.pool)
            self._hidden = without_labels(self.pool, self.target)
            self.holds_out = self.config.holds_out
        else:
            self.holds_out = about["holds_out"]
            known.check_files(self.folder, about)
            found, self.test = known.remembered(self.config, self.folder, about)
            pool = known.Remembered(about["train"], lambda: self._called(found.opened()))
            self.pool = pool
            self.target = _target(self.config, self.pool)
            self._hidden = known.Remembered(
                about["feed"], lambda: without_labels(pool.opened(), self.target)
            )
        self.classes = self.pool.classes

    def _called(self, pool: Arrays) -> Arrays:
        """The pool itself. Raises: ValueError where it is other data than that of the run: what
        its files say of examples would be said of others."""
        pool = with_classes(pool, classes_in(pool, self.config, self._here))
        about = known.read(self.folder)
        if about is not None and known.fingerprint(pool, None) != about["fingerprint"]:
            raise ValueError(
                f"the data {self.config.data} is not what the run in {self.folder} was trained on: "
                "put that back"
            )
        return pool

    @cached_property
    def teacher(self) -> Any:
        """That of the last finished round. Raises: FileNotFoundError where a checkpoint is not
        there, or an estimator, which is fitted again, has lost its data.
        """
        learner, place = self.config.trained(self.round), self._last / "student"
        if learner.task is None:
            log.info("the estimator of %s is fitted again, on the data of the run", self.folder)
        return learner.load(self._hidden, self._labels, place, seed=self._seed)

    @cached_property
    def given(self) -> Labels:
        """The labels that a person gave, held-out ones too."""
        return tables.read(self._here / "given.parquet", examples=self._files, target=self.target)

    @property
    def numbering(self) -> Numbering:
        """Of the pool, as a person sees the data."""
        return Numbering.of(self.pool, classes=self._files.classes, held_out=self._held_out)

    def _labels(self) -> Labels:
        """What the last learner was trained on."""
        given = split_off(self.given, self.config.holdout, self._seed, self.target)[0]
        if not self.round:
            return given
        path = self._last / "labels.parquet"
        pseudo = tables.read(path, examples=self._files, target=self.target)
        return given.joined(pseudo.take(~np.isin(pseudo.index, given.index)), self.target)

    @property
    def _held_out(self) -> Any:
        return self.test if self.holds_out else None

    @cached_property
    def _files(self) -> Numbering:
        return numbering_of(self._here, self.pool, self._held_out, self.target)


def _target(config: SelfTraining, pool: Any) -> Target:
    """What the learner is asked for; a network says it without a look at the data, which is opened
    where its targets need more of it."""
    task = config.learner.task
    return config.learner.target(pool) if task is None else task.target.of(pool)


def _check_tokenizer(config: SelfTraining, folder: Path) -> None:
    learns = getattr(config.reader, "text", config.reader)  # of captions: that of the texts
    if hasattr(learns, "tokenizer") and not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError(
            f"{folder} has lost its tokenizer.json, and another one reads other tokens: put it back"
        )


def load_teacher(
    folder: Path, *, file: str | None = None, seed: int | None = None
) -> tuple[Any, Any, int]:
    """(configuration, the teacher of the last finished round, its round) of a run folder; for a
    run of pretraining (its experiment, an `Embedded`, 0).
    """
    config = config_of(Path(folder), file)
    if isinstance(config, Experiment):
        return config, Embedded(Path(folder), file=file), 0
    run = Opened(folder, file=file, seed=seed)
    return config, run.teacher, run.round


def load_any(
    folder: Path, *, file: str | None = None
) -> tuple[Experiment, Method, State, Any, Any]:
    """As `load_run`, also for a run of self-training: its last student as an experiment.

    Of an ensemble that is the first network. Raises: ValueError for an estimator of scikit-learn.
    """
    folder = Path(folder)
    if isinstance(config_of(folder, file), Experiment):
        return load_run(folder, file=file)
    opened = Opened(folder, file=file)
    config, learner = opened.config, opened.config.trained(opened.round)
    if learner.task is None:
        raise ValueError(
            f"{folder} trained an estimator of scikit-learn, which has no encoder to look at: "
            "`ssljax label` labels data with it"
        )
    teacher = opened.teacher
    experiment = Experiment(
        method=teacher.model,
        data=config.data,
        test=config.test,
        reader=config.reader,
        optimizer=learner.optimizer,
        steps=learner.steps,
        batch=learner.batch,
    )
    if (about := known.read(folder)) is None:
        train, test = experiment.load(folder)
    else:
        if opened.holds_out:  # then an experiment, which splits by itself, has both in one
            whole = len(opened.pool) + about["test"]["examples"]
            about = about | {"train": about["train"] | {"examples": whole}, "test": None}
        train, test = known.remembered(experiment, folder, about)
    method = teacher.model.build(
        learner.optimizer.build(steps=learner.steps, batch=learner.batch), updates=learner.steps
    )
    return experiment, method, teacher.states[0], train, test
