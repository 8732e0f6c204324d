"""Self-training as one frozen dataclass, recorded with its results, and the function that runs it.

A file says `SELFTRAIN = SelfTraining(...)`; `ssljax selftrain FILE` runs it over all seeds, beside
a fully supervised network, and writes

    config.json    the whole configuration        results.json, report.html    the numbers
    seed0/rounds/NN/   see `ssljax.pseudolabels.rounds`    seed0/full/   trained on all true labels
    pretrained/    the run of `pretrain`, if there is one

Every network, supervised on the few labels, self-trained or on all labels, has the same number of
steps and starts from the same weights.
"""

import dataclasses
import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import probes, record, report
from ssljax.data import Arrays, Images
from ssljax.experiment import Experiment, embedder, hardware, load_run, lock, prepare, run
from ssljax.method import Method, State
from ssljax.pseudolabels import labels as tables
from ssljax.pseudolabels import quality
from ssljax.pseudolabels.generate import Clusters, Known, Neighbors, Teacher
from ssljax.pseudolabels.labels import GIVEN, Guess, Labels
from ssljax.pseudolabels.rounds import Rounds, self_train, write_json
from ssljax.report.selftraining import percent

log = logging.getLogger("ssljax")


@dataclass(frozen=True, kw_only=True)
class SelfTraining:
    """One result of self-training. Every field can be overridden on the command line."""

    learner: Any
    """What is trained: a `Network` or a `Scikit` (`ssljax.learners`)."""
    student: Any = None
    """The learner from round 1 on, for instance a larger or a noisier one; None: the same."""
    data: str = "digits"
    """Training data, of which few labels are used; see `Experiment`."""
    test: str | None = None
    """Data to test on. None: the test split of `data`, or a held-out part."""
    reader: Any = Images()
    few: int = 10
    """Labelled examples of each class, drawn by the seed; of values, in all."""
    labels: str | None = None
    """A Parquet file with index and target, in place of a draw."""
    holdout: float = 0.0
    """Share of the given labels that no training sees, to estimate the quality of pseudo-labels
    where the truth of the pool is unknown."""
    rounds: Rounds = Rounds()
    pretrain: Experiment | None = None
    """Pretraining without labels, on `data` and by `reader` of this run, whatever it says itself;
    every network starts from its encoder."""
    begin: str | None = None
    """In place of that, the folder of a finished run of pretraining."""
    seeds: tuple[int, ...] = (0, 1, 2)
    test_fraction: float = 0.2
    """Share held out for testing, for data without a test split."""
    full: bool = True
    """Also train on all true labels of the pool, where they are known."""

    def trained(self, round: int) -> Any:
        """The learner of a round."""
        return self.learner if round == 0 or self.student is None else self.student

    def load(self, folder: Path | None = None) -> tuple[Arrays, Arrays]:
        """(pool with whatever labels the data has, test data), both in memory."""
        reader = self.reader.prepared(self.data, folder)
        options = {"in_memory_bytes": 8 * 2**30, "workers": 0}
        pool = reader.load(self.data, split="train", **options)
        if self.test is not None:
            return pool, reader.load(self.test, split="test", **options)
        offered = reader.splits(self.data)
        if len(offered) > 1:
            held = "test" if "test" in offered else "validation"
            return pool, reader.load(self.data, split=held, **options)
        rng = np.random.default_rng(0)
        order = rng.permutation(len(pool))
        count = max(1, round(self.test_fraction * len(pool)))
        return _part(pool, np.sort(order[count:])), _part(pool, np.sort(order[:count]))


def run_self_training(config: SelfTraining, folder: Path) -> dict[str, Any]:
    """Runs or resumes `config` in `folder` and returns what results.json holds.

    Raises: ValueError where `folder` belongs to another configuration, or for labels that do not
      fit.
    """
    if jax.process_count() > 1:
        raise ValueError("self-training runs on one host: its rounds read and write files")
    folder = Path(folder)
    prepare(config, folder)
    with lock(folder):
        pool, test = config.load(folder)
        first = _pretrained(config, folder)
        seeds = [_one(config, folder / f"seed{s}", pool, test, first, s) for s in config.seeds]
        results = summary(seeds) | {"seeds": seeds, "hardware": hardware()}
        write_json(folder / "results.json", results)
        _pictures(folder, pool, seeds)
        report.write_self_training(folder)
    return results


def _one(
    config: SelfTraining,
    folder: Path,
    pool: Arrays,
    test: Arrays,
    first: "Embedded | None",
    seed: int,
) -> dict[str, Any]:
    """All rounds of one seed."""
    folder.mkdir(parents=True, exist_ok=True)
    start = None if first is None else first.start
    truth, hidden = truth_of(pool), without_labels(pool)
    known, classes = truth_of(test), len(pool.classes) if pool.labelled else None
    given = _given(config, folder, pool, truth, classes, seed)
    given, held = _split(given, config.holdout, seed)

    def train(labels: Labels, r: int, place: Path, teacher: Teacher | None) -> Teacher:
        learner = config.trained(r)
        return learner.train(hidden, labels, place, seed=seed, start=teacher or start)

    def score(teacher: Teacher) -> dict[str, float]:
        return scores(known, teacher.guess(without_labels(test)), classes)

    rows, ended = self_train(
        folder,
        config.rounds,
        pool=hidden,
        given=given,
        classes=classes,
        train=train,
        score=score,
        truth=truth,
        held=held,
        names=pool.classes,
        pretrained=first,
        seed=seed,
    )
    found = {"seed": seed, "labels": len(given), "ended": ended, "rounds": rows}
    if config.full and truth is not None:
        done = folder / "full.json"
        if not done.exists():
            every = Labels.given(np.arange(len(pool)), truth)
            learner = config.student or config.learner
            teacher = learner.train(hidden, every, folder / "full", seed=seed, start=start)
            write_json(done, score(teacher))
        found["full"] = json.loads(done.read_text())
    return found


def scores(truth: np.ndarray | None, guess: Any, classes: int | None) -> dict[str, float]:
    """{"score", ...} of a teacher on test data: accuracy of classes and sets, r2 of values."""
    if truth is None:
        return {}
    every = np.ones(len(truth), bool)
    if classes is not None:
        found = quality.classes_quality(truth, guess.target, every, classes=classes)
        right = np.asarray(guess.target) == truth
        more = {"f1": found["f1"], "ece": quality.ece(right, np.asarray(guess.confidence))}
        return {"score": found["accuracy"], **more}
    measure = quality.sets_quality if truth.ndim == 2 else quality.values_quality
    found = measure(truth, guess.target, every)
    return {"score": found.get("r2", found.get("accuracy")), **found}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """The four numbers, each {"mean", "std", "values"} over the seeds, and the gap closed."""
    found: dict[str, Any] = {}
    columns = {
        "supervised": [s["rounds"][0]["test"].get("score") for s in seeds],
        "self_trained": [s["rounds"][-1]["test"].get("score") for s in seeds],
        "full": [s.get("full", {}).get("score") for s in seeds],
    }
    for name, values in columns.items():
        if all(v is not None for v in values):
            found[name] = _spread(values)
    last = max(len(s["rounds"]) for s in seeds)
    found["quality_by_round"] = []
    for r in range(1, last):
        here = [s["rounds"][r] for s in seeds if len(s["rounds"]) > r]
        estimated = not any("quality" in h for h in here)  # the truth is unknown: by the hold-out
        kind = "estimate" if estimated else "quality"
        here = [h for h in here if kind in h]
        if here:
            first = "accuracy" if "accuracy" in here[0][kind] else "r2"
            names = {"labels": first, "precision": "precision", "recall": "recall", "f1": "f1"}
            row = {
                k: _spread([h[kind][n] for h in here])
                for k, n in names.items()
                if n in here[0][kind]
            }
            row |= {"round": r, "coverage": _spread([h["coverage"] for h in here])}
            measure = "right" if first == "accuracy" else "r2"
            row |= {"estimated": estimated, "measure": measure}
            found["quality_by_round"].append(row)
    if {"supervised", "full"} <= found.keys():
        means = [found[k]["mean"] for k in ("supervised", "self_trained", "full")]
        # A gap within the spread of the seeds is none.
        spread = max(found[k]["std"] for k in ("supervised", "full"))
        gap = quality.gap_closed(*means) if means[2] - means[0] > spread else None
        found["gap_closed"] = gap
    return found


def table(results: dict[str, Any]) -> str:
    """The four numbers as text, in percent."""
    lines = [f"{len(results['seeds'])} seeds, {results['seeds'][0]['labels']} labels, last round"]
    names = {
        "supervised": "supervised on the few labels",
        "self_trained": "self-trained",
        "full": "fully supervised",
    }
    for key, name in names.items():
        if key in results:
            lines.append(f"  {name:30} {percent(results[key])}")
    for row in results["quality_by_round"]:
        name = f"pseudo-labels of round {row['round']}"
        said = f"{percent(row['labels'])} {row['measure']}, of {percent(row['coverage'])}"
        if "f1" in row:
            said += "".join(f", {k} {percent(row[k])}" for k in ("precision", "recall", "f1"))
        lines.append(f"  {name:30} {said}{' (estimated)' if row['estimated'] else ''}")
    gap = results.get("gap_closed")
    if gap is not None:
        lines.append(f"  {'gap closed':30} {100 * gap:.0f}%")
        if gap <= 0:
            lines.append("  self-training does not help here")
    elif "full" in results:
        lines.append("  all labels are no better than the few: there is nothing to gain here")
    said = {w for s in results["seeds"] for r in s["rounds"] for w in r.get("warnings", ())}
    return "\n".join(lines + [f"  warning: {w}" for w in sorted(said)[:5]])


BY = {
    "vote": Neighbors(rule="vote"),
    "propagation": Neighbors(rule="propagation"),
    "spreading": Neighbors(rule="spreading"),
    "kmeans": Clusters(kind="kmeans"),
    "mixture": Clusters(kind="mixture"),
}
"""How a few labels reach the rest of the data over the features of a pretraining run."""


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
    config = _config(folder, file)
    if isinstance(config, Experiment):
        return config, Embedded(folder, file=file), 0
    seed = config.seeds[0] if seed is None else seed
    done = sorted((folder / f"seed{seed}" / "rounds").glob("*/round.json"))
    if not done:
        raise FileNotFoundError(f"{folder} has no finished round of seed {seed} yet")
    here, r = done[-1].parent, int(done[-1].parent.name)
    pool, _ = config.load(folder)
    given = tables.read(folder / f"seed{seed}" / "given.parquet", examples=len(pool))
    given, _ = _split(given, config.holdout, seed)
    labels = given
    if r:
        pseudo = tables.read(here / "labels.parquet", examples=len(pool))
        labels = given.joined(pseudo.take(~np.isin(pseudo.index, given.index)))
    learner = config.trained(r)
    hidden = without_labels(pool)
    teacher = learner.train(hidden, labels, here / "student", seed=seed, start=None)
    return config, teacher, r


def _config(folder: Path, file: str | None) -> Any:
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
    if isinstance(_config(folder, file), Experiment):
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


def label(
    folder: Path,
    *,
    data: str | None,
    out: Path,
    file: str | None = None,
    given: Path | None = None,
    by: str = "spreading",
) -> Labels:
    """Labels all examples of `data` (default: the training data of the run).

    Args:
      folder: a run of self-training, whose last teacher labels; or of pretraining, whose features
        say which of the `given` labels an example is near to.
      out: Parquet file to write. file: the experiment file, where the run needs it.
      given: Parquet file of a few labels of that data (index, target), for a pretraining run.
      by: a key of `BY`, for a pretraining run.
    Raises: ValueError or FileNotFoundError where something is missing or does not fit.
    """
    config, teacher, r = load_teacher(folder, file=file)
    reader = config.reader.prepared(config.data, Path(folder))
    options = {"split": "train", "in_memory_bytes": 8 * 2**30, "workers": 0}
    pool = config.load(Path(folder))[0] if data is None else reader.load(data, **options)
    hidden = without_labels(pool)
    if isinstance(config, SelfTraining) or (given is None and teacher.knows_classes):
        guess = teacher.guess(hidden)
    else:
        if given is None:
            raise ValueError(
                f"{folder} is a run of pretraining, which knows no classes: name a file of a few "
                "labels (index, target) with --given FILE"
            )
        few = tables.read(given, examples=len(pool))
        classes = int(few.hard().max()) + 1
        tables.every_class(few, classes)
        guess = BY[by](Known(teacher, hidden, few.index, few.hard(), classes, seed=0))
    guess = guess.check(str(folder))
    found = Labels.made(
        np.arange(len(pool)),
        guess.target,
        guess.confidence,
        provenance=Path(folder).resolve().name,
        round=r,
    )
    found.write(out)
    return found


def truth_of(data: Arrays) -> np.ndarray | None:
    """True targets of all examples: labels, else a leaf "value", else None."""
    if data.labelled:
        return data.labels()
    return data.take(np.arange(len(data)))["value"] if "value" in data.spec else None


def without_labels(data: Arrays) -> Arrays:
    """The same examples, of which nothing but the inputs is known."""
    rows = data.take(np.arange(len(data)))
    kept = {k: v for k, v in rows.items() if k not in ("label", "value", "index")}
    return Arrays(kept, classes=data.classes, readable=data.readable)


def _part(data: Arrays, index: np.ndarray) -> Arrays:
    rows = data.take(index)
    rows.pop("index")
    return Arrays(rows, classes=data.classes, readable=data.readable)


def _given(
    config: SelfTraining,
    folder: Path,
    pool: Arrays,
    truth: np.ndarray | None,
    classes: int | None,
    seed: int,
) -> Labels:
    """The true labels of this seed, also on disk."""
    path = folder / "given.parquet"
    if not path.exists():
        if config.labels is not None:
            found = tables.read(Path(config.labels), examples=len(pool), classes=classes)
            found = Labels.given(found.index, found.target)
        elif truth is None:
            raise ValueError("this data has no labels: name a file of few with --labels FILE")
        else:
            rng = np.random.default_rng([seed, 17])
            if classes is None:
                index = rng.permutation(len(pool))[: config.few]
            else:
                groups = (np.flatnonzero(truth == c) for c in range(classes))
                index = np.concatenate([rng.permutation(g)[: config.few] for g in groups])
            index = np.sort(index)
            found = Labels.given(index, truth[index])
        found.write(path)
    found = tables.read(path, examples=len(pool), classes=classes)
    if (found.provenance != GIVEN).any():
        found = Labels.given(found.index, found.target)
    if classes is not None:
        tables.every_class(found, classes, pool.classes)
    return found


def _split(given: Labels, holdout: float, seed: int) -> tuple[Labels, Labels | None]:
    """(labels to train on, labels to estimate quality with): at least one of a class stays."""
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout {holdout} must be at least 0 and below 1")
    if not holdout:
        return given, None
    rng, away = np.random.default_rng([seed, 29]), []
    whole = given.target.ndim == 1 and np.issubdtype(given.target.dtype, np.integer)
    hard = given.target if whole else np.zeros(len(given), np.int64)
    for c in np.unique(hard):
        rows = rng.permutation(np.flatnonzero(hard == c))
        away.extend(rows[: min(round(holdout * len(rows)), len(rows) - 1)])
    mask = np.zeros(len(given), bool)
    mask[away] = True
    return given.take(~mask), given.take(mask) if mask.any() else None


def _pretrained(config: SelfTraining, folder: Path) -> Embedded | None:
    """What every network starts from, or None."""
    if config.begin is not None:
        if config.pretrain is not None:
            raise ValueError("begin and pretrain both name a pretraining: keep one of them")
        place = Path(config.begin)
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


def _spread(values: list[float]) -> dict[str, Any]:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": std, "values": [float(v) for v in values]}


def _pictures(folder: Path, pool: Arrays, seeds: list[dict[str, Any]]) -> None:
    """Images of the most confident mistakes of the first seed's last round, for the report."""
    found = seeds[0]["rounds"][-1].get("mistakes", [])
    arrays = {"names": np.array(pool.classes)} if pool.classes else {}
    if found:
        arrays["mistakes"] = np.array(found, np.float64)
        rows = pool.take(np.array([int(m[0]) for m in found]))
        if "image" in rows:
            arrays["images"] = rows["image"]
        elif pool.readable is not None:
            arrays["texts"] = np.array(pool.readable(rows))
    np.savez_compressed(folder / "report.npz", **arrays)
