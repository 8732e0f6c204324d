"""The networks of a finished run, as sources of labels."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import probes
from ssljax.method import Method, State
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels.labels import Guess
from ssljax.runs import record
from ssljax.runs.evaluation import embedder
from ssljax.runs.experiment import Experiment
from ssljax.runs.load import load_run
from ssljax.selftraining.pool import split_off, without_labels


class Embedded:
    """The encoder of a run of `ssljax train`: features, and classes where the method has some."""

    def __init__(self, folder: Path, *, file: str | None = None) -> None:
        self.config, method, state, _, _ = load_run(folder, file=file)
        params, stats = method.backbone(state)
        self.start = {"encoder": params}, {"encoder": stats}
        """What a network of the same encoder begins from."""
        self._kept: tuple[Any, np.ndarray] | None = None
        self._embed = embedder(self.config, method, state)
        predict = getattr(method, "predict", None)
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


def load_teacher(
    folder: Path, *, file: str | None = None, seed: int | None = None
) -> tuple[Any, Any, int]:
    """(configuration, the teacher of the last finished round, its round) of a run folder; for a
    run of pretraining (its experiment, an `Embedded`, 0).
    """
    folder = Path(folder)
    config = config_of(folder, file)
    if isinstance(config, Experiment):
        return config, Embedded(folder, file=file), 0
    seed = config.seeds[0] if seed is None else seed
    done = sorted((folder / f"seed{seed}" / "rounds").glob("*/round.json"))
    if not done:
        raise FileNotFoundError(f"{folder} has no finished round of seed {seed} yet")
    here, r = done[-1].parent, int(done[-1].parent.name)
    pool, _ = config.load(folder)
    target = config.learner.target(pool)
    path = folder / f"seed{seed}" / "given.parquet"
    given = tables.read(path, examples=len(pool), target=target)
    given, _ = split_off(given, config.holdout, seed, target)
    labels = given
    if r:
        pseudo = tables.read(here / "labels.parquet", examples=len(pool), target=target)
        labels = given.joined(pseudo.take(~np.isin(pseudo.index, given.index)), target)
    learner = config.trained(r)
    hidden = without_labels(pool, target)
    teacher = learner.train(hidden, labels, here / "student", seed=seed, start=None)
    return config, teacher, r


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
