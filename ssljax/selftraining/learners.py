"""What self-training trains: a network, or any estimator of scikit-learn.

A learner is a frozen dataclass with `target(data)`, the kind of target that it is asked for, and
`train(data, labels, folder, seed, start) -> Teacher`; a teacher can `guess` the targets of any data
and give its `features` (`pseudolabels.generate`). Its `task` is that of its network, None where
it has none.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from ssljax.data.chosen import Chosen
from ssljax.method import Method, State, from_pretrained
from ssljax.methods import Student
from ssljax.pseudolabels.labels import Guess, Labels
from ssljax.recipes_tasks import OfTask
from ssljax.tasks import OneOf, Target, Task
from ssljax.tasks.suggested import one_number
from ssljax.tasks.target import named, take
from ssljax.training.checkpoint import Checkpoints, abstract
from ssljax.training.optimizers import Optimizer
from ssljax.training.sharding import Parallel
from ssljax.training.steps import initial
from ssljax.training.train import Cadence, fit

_WHOLE = 512  # examples at a time in scikit-learn's passes over the data


@dataclass(frozen=True, kw_only=True)
class Network:
    """A task trained by gradient descent, always for the same number of steps."""

    task: Task
    optimizer: Optimizer = Optimizer(per_batch=None)
    steps: int = 500
    batch: int = 64
    """Examples of a step; also those that are labelled at once, for what can be trained on fits."""
    ema: float = 0.0
    """Decay of the moving average that labels and is evaluated (mean teacher); 0: none."""
    renew: float = 0.0
    """Probability that a pseudo-label is made anew after it was learnt from (slimIPL); 0: never."""
    members: int = 1
    """Networks of an ensemble, each from other weights and another order of the data."""
    share: float | None = None
    """Part of every batch that has true labels; None: as many as there are among all labels."""
    cadence: Cadence = Cadence(log=100, save=500, keep=1, monitor=0)

    def model(self, data: Any) -> OfTask:
        """The method that trains it on the examples of `data`."""
        pool = len(data) if self.renew else 0
        return Student(task=self.task, ema=self.ema, renew=self.renew, pool=pool)

    def target(self, data: Any) -> Target:
        """That of the task, with what the data tells of it. Raises: ValueError where the data holds
        another one."""
        self.task.target.check(data)
        return self.task.target.of(data)

    def train(
        self,
        data: Any,
        labels: Labels,
        folder: Path,
        *,
        seed: int,
        start: Any = None,
    ) -> "NetworkTeacher":
        """Trains or resumes in `folder`.

        start: a teacher to begin from, or (params, stats) by network; None: fresh weights.
        """
        chosen, model = self._chosen(data, labels), self.model(data)
        states = []
        for member in range(self.members):
            method, cadence = self._method(model), self.cadence
            begin = _start(start, model, member)
            if begin is not None:
                method = from_pretrained(method, *begin)
                cadence = dataclasses.replace(cadence, refresh=self.steps)
            place = self._place(folder, member)
            place.mkdir(parents=True, exist_ok=True)
            state = fit(
                method,
                chosen,
                steps=self.steps,
                batch=self.batch,
                seed=seed + 7919 * member,
                cadence=cadence,
                folder=place,
            )
            if int(state.step) < self.steps:
                raise KeyboardInterrupt("stopped by a signal; the same command goes on")
            states.append(state)
        return NetworkTeacher(model, tuple(states), batch=self.batch)

    def load(
        self, data: Any, labels: Callable[[], Labels], folder: Path, *, seed: int
    ) -> "NetworkTeacher":
        """What `train` has left in `folder`, of which nothing is written or trained again. Of
        `data` only its spec is looked at, and of `labels` nothing.

        Raises: FileNotFoundError where its last checkpoint is not there.
        """
        del labels
        model = self.model(data)
        init = partial(initial, self._method(model), spec=data.spec, batch=self.batch)
        shapes = jax.eval_shape(init, jax.random.key(seed))
        parallel = Parallel()
        like = abstract(shapes, parallel.place(shapes, parallel.mesh()))
        places = [self._place(folder, member) / "checkpoints" for member in range(self.members)]
        return NetworkTeacher(
            model,
            tuple(_restored(place, like, steps=self.steps) for place in places),
            batch=self.batch,
        )

    def _chosen(self, data: Any, labels: Labels) -> Chosen:
        used = labels.take(labels.is_used)
        learnt = {k: np.asarray(x) for k, x in named(self.task.target.fixed(used.target)).items()}
        learnt["weight"] = used.weight
        if self.renew:
            learnt["given"] = used.is_given
        return data.chosen(used.index, learnt, given=used.is_given, share=self.share)

    def _method(self, model: OfTask) -> Method:
        tx = self.optimizer.build(steps=self.steps, batch=self.batch)
        return model.build(tx, updates=self.steps // self.optimizer.accumulate)

    def _place(self, folder: Path, member: int) -> Path:
        return folder if self.members == 1 else folder / f"member{member}"


def _restored(place: Path, like: State, *, steps: int) -> State:
    state = None
    if place.is_dir():
        checkpoints = Checkpoints(place, reading=True)
        state = checkpoints.restore(like)
        checkpoints.close()
    if state is None or int(state.step) < steps:
        found = "none" if state is None else f"only that of step {int(state.step)}"
        raise FileNotFoundError(
            f"the checkpoint of step {steps} is not in {place} ({found} is there): repeat the "
            "command that trained the run to finish it"
        )
    return state


def _start(start: Any, model: OfTask, member: int) -> tuple[Any, Any] | None:
    if isinstance(start, NetworkTeacher):
        start = model.teacher(start.states[min(member, len(start.states) - 1)])
    if start is None:
        return None
    params, stats = start
    params = model.task.started(params)
    # Copies: training donates its state, and what it started from may be needed again.
    stats = {name: tree for name, tree in stats.items() if name in params}
    return jax.tree.map(lambda x: np.array(x), (params, stats))


class NetworkTeacher:
    """One network or several, with their weights."""

    def __init__(self, model: OfTask, states: tuple[State, ...], *, batch: int) -> None:
        self.model, self.states, self.batch = model, states, batch
        self._outputs = jax.jit(model.predict)
        self._embed = jax.jit(model.embed)

    def guess(self, data: Any, *, views: int = 0, seed: int = 0) -> Guess:
        """Targets of all examples of `data`, in its order; the average of members and views."""
        task, key = self.model.task, jax.random.key(seed)
        finish = jax.jit(partial(_finished, task))
        targets, confidences, ps = [], [], []
        for i, rows in enumerate(data.once(self.batch)):
            x = _arrays(rows)
            keys = [None]
            if views:
                keys = list(jax.random.split(jax.random.fold_in(key, i), views))
            outputs = [self._outputs(state, x, k) for state in self.states for k in keys]
            several = jax.tree.map(lambda *parts: jax.numpy.stack(parts), *outputs)
            target, confidence, p = jax.device_get(finish(several))
            mask = rows["mask"]
            targets.append(take(target, mask))
            confidences.append(confidence[mask])
            ps.append(None if p is None else p[mask])
        p = None if ps[0] is None else np.concatenate(ps)
        confidence = np.clip(np.concatenate(confidences), 0, 1)
        return Guess(task.target.join(targets), confidence, p)

    def costs(self, data: Any) -> dict[str, float]:
        """As `Teacher.costs`, by the first network."""
        task = self.model.task
        if type(task.target).costs is Target.costs:
            return {}

        @jax.jit
        def one(state: State, batch: Any, truth: Any) -> Any:
            params, stats = self.model.teacher(state)
            told, _ = task.outputs(params, stats, batch, key=None, train=False, target=truth)
            return task.target.costs(told, truth, batch)

        totals: dict[str, np.ndarray] = {}
        for rows in data.once(self.batch):
            truth = task.target.truth(rows)
            if truth is None:  # nothing is known
                return {}
            truth = task.target.fixed(truth)
            counted = rows["mask"] & task.target.known(truth)
            for name, pair in one(self.states[0], _arrays(rows), truth).items():
                both = np.stack([np.asarray(x, np.float64)[counted].sum() for x in pair])
                totals[name] = totals.get(name, 0) + both
        return {name: float(a / b) for name, (a, b) in totals.items() if b}

    def features(self, data: Any) -> np.ndarray:
        """float32 [N, D] of the (first) encoder."""
        parts = [
            np.asarray(self._embed(self.states[0], _arrays(rows)), np.float32)[rows["mask"]]
            for rows in data.once(self.batch)
        ]
        return np.concatenate(parts)


def _finished(task: Task, outputs: Any) -> tuple[Any, jax.Array, jax.Array | None]:
    """(targets, confidence, p or None) of the outputs [E, B, ...] of members and views."""
    several = len(jax.tree.leaves(outputs)[0]) > 1
    mean = task.target.average(outputs) if several else jax.tree.map(lambda x: x[0], outputs)
    return *task.pseudo(mean), task.target.probabilities(mean)


def _arrays(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v for k, v in rows.items() if k not in ("label", "mask")}


@dataclass(frozen=True, kw_only=True)
class Scikit:
    """An estimator of scikit-learn, on the plainest features of the reader: a classifier with
    `predict_proba`, or for values a regressor whose `predict` has `return_std` (`BayesianRidge`,
    `GaussianProcessRegressor`).
    """

    estimator: Callable[[], Any]
    """Called without arguments for a fresh estimator: a frozen dataclass with `__call__`."""
    reader: Any = None
    """What gives the features; None: rows have "features"."""
    task: ClassVar[Task | None] = None
    """There is no network."""

    def target(self, data: Any) -> Target:
        """Classes or values, what the data has. Raises: ValueError where it has others."""
        return one_number(data)

    def train(
        self, data: Any, labels: Labels, folder: Path, *, seed: int, start: Any = None
    ) -> "ScikitTeacher":
        """Fits anew; `start` is not used, nor `folder`: a fit is repeated after a kill."""
        del start, folder
        used = labels.take(labels.is_used)
        classes = len(data.classes) if data.classes else 0
        spread = 1.0
        if not classes:
            spread = max(float(np.std(np.asarray(labels.target)[labels.is_given])), 1e-8)
        teacher = ScikitTeacher(self.estimator(), self.reader, classes=classes, spread=spread)
        fitted = teacher.estimator
        if "random_state" in fitted.get_params():
            fitted.set_params(random_state=seed)
        x = teacher.features(data)[used.index]
        # Estimators without weights are only given labels that count fully.
        plain = bool((used.weight == 1).all())
        target = OneOf(classes=classes).hard(used.target) if classes else used.target
        fitted.fit(x, target, **({} if plain else {"sample_weight": used.weight}))
        return teacher

    def load(
        self, data: Any, labels: Callable[[], Labels], folder: Path, *, seed: int
    ) -> "ScikitTeacher":
        """As it was trained: an estimator is a function of the data, the labels and the seed."""
        return self.train(data, labels(), folder, seed=seed)


class ScikitTeacher:
    """A fitted estimator."""

    def __init__(self, estimator: Any, reader: Any, *, classes: int, spread: float = 1.0) -> None:
        self.estimator, self._reader = estimator, reader
        self._classes, self._spread = classes, spread
        self._kept: tuple[Any, np.ndarray] | None = None

    def guess(self, data: Any, *, views: int = 0, seed: int = 0) -> Guess:
        """Classes by `predict_proba` where there are some; values with the confidence
        1 / (1 + (std / spread)^2), where the spread is that of the given labels. Raises: ValueError
        for random views, and for a regressor that cannot say how sure it is.
        """
        if views:
            raise ValueError("random views are of networks: set generate.views to 0")
        if not self._classes:
            try:
                value, std = self.estimator.predict(self.features(data), return_std=True)
            except TypeError as error:
                raise ValueError(
                    f"{type(self.estimator).__name__} cannot say how sure it is of a value "
                    f"({error}): use one whose predict has return_std, such as BayesianRidge"
                ) from error
            confidence = 1 / (1 + (np.asarray(std) / self._spread) ** 2)
            return Guess(np.asarray(value, np.float32), confidence)
        found = np.asarray(self.estimator.predict_proba(self.features(data)))
        p = np.zeros((len(found), self._classes))
        p[:, self.estimator.classes_] = found
        return Guess.of(p)

    def costs(self, data: Any) -> dict[str, float]:
        """Nothing: estimators say no more of a truth than their guess."""
        del data
        return {}

    def features(self, data: Any) -> np.ndarray:
        """float32 [N, D], the plainest of the reader."""
        if self._kept is None or self._kept[0] is not data:
            plain = self._reader.plain if self._reader else lambda rows: rows["features"]
            parts = [np.asarray(plain(r), np.float32)[r["mask"]] for r in data.once(_WHOLE)]
            self._kept = (data, np.concatenate(parts))
        return self._kept[1]
