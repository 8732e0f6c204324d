"""Tunes as vectors, and which of them to recommend to who likes one.

    python experiments/music_score.py codes runs/musicvae --out codes
    python experiments/music_score.py recommend codes --styles runs/dances
    python experiments/music_score.py places runs/musicvae

`codes` writes tables for `selftrain_nottingham.py`, a row for each tune that has a label, in four
folders: the mean code of its pieces (musicvae), that of the untrained network (random), the
histogram of its intervals (intervals), and how often a note begins at each sixteenth (rhythm).

`recommend` prints precision@10: each test tune asks for the ten training tunes that are nearest to
it by the cosine of standardised vectors, and those of its own dance are right. "chance" is what ten
drawn tunes get. With styles, those come first that are thought to be of the same dance as the one
that asks, the nearest of them before the others: as logistic regression says from 5 labels of each
dance, as the last round of the run says, and as it is said from all labels of the training tunes.
The means are over test tunes, and over seeds where labels are drawn.

`places` prints, of 1,024 melodies each of training and test, which share of the notes, and of the
places where notes begin, the decoder has right from the code at its mean, beat by beat; and nats
of the numbers of the code.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from ssljax import probes
from ssljax.data.melody import FIRST
from ssljax.data.midi import intervals
from ssljax.runs.evaluation import embedder
from ssljax.runs.load import load_run
from ssljax.selftraining.teachers import Opened
from ssljax.training.steps import initial

SPACES = ("musicvae", "random", "intervals", "rhythm")
BEST = 10


class Tunes(NamedTuple):
    """names: of the tunes; label: their dances; x: float64 [N, D]."""

    names: list[str]
    label: np.ndarray
    x: np.ndarray


def codes(run: Path, out: Path) -> None:
    experiment, method, state, *parts = load_run(run)
    untrained = jax.jit(
        lambda key: initial(method, key, spec=parts[0].spec, batch=experiment.batch)
    )
    encoders = {
        "musicvae": embedder(experiment, method, state),
        "random": embedder(experiment, method, untrained(jax.random.key(experiment.seed))),
        "intervals": lambda rows: np.stack([intervals(np.asarray(x)) for x in rows["melody"]]),
        "rhythm": lambda rows: (np.asarray(rows["melody"]) >= FIRST).astype(np.float32),
    }
    for split, data in zip(("train", "test"), parts, strict=True):
        tune = np.array([name.rpartition(":")[0] for name in data.names])
        names, first, of = np.unique(tune, return_index=True, return_inverse=True)
        label = data.labels()[first]
        for space, encode in encoders.items():
            x, _ = probes.features(encode, data, batch=experiment.batch)
            mean = np.zeros((len(names), x.shape[1]))
            np.add.at(mean, of, x)
            mean /= np.bincount(of)[:, None]
            file = out / space / f"{split}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w", newline="") as opened:
                table = csv.writer(opened)
                table.writerow(["tune", "label", *(f"x{i}" for i in range(x.shape[1]))])
                for name, k, row in zip(names, label, mean, strict=True):
                    if k >= 0:
                        table.writerow([name, data.classes[k], *(f"{v:.7g}" for v in row)])


def read(file: Path) -> Tunes:
    with file.open(newline="") as opened:
        _, *rows = csv.reader(opened)
    x = np.array([row[2:] for row in rows], float)
    return Tunes([row[0] for row in rows], np.array([row[1] for row in rows]), x)


def nearest(train: Tunes, test: Tunes, styles: tuple[np.ndarray, np.ndarray] | None) -> float:
    """Precision@10. styles: the dance that each tune of train and of test is thought to be of."""
    mean, std = train.x.mean(0), np.maximum(train.x.std(0), 1e-8)
    a, b = ((t.x - mean) / std for t in (test, train))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    score = a @ b.T
    if styles is not None:
        of_train, of_test = styles
        score = score + 10 * (of_test[:, None] == of_train)
    best = np.argsort(-score, axis=1, kind="stable")[:, :BEST]
    return float((train.label[best] == test.label[:, None]).mean())


def said(train: Tunes, test: Tunes, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The dances of train and test, by a logistic regression on the labels of some tunes."""
    mean, std = train.x.mean(0), np.maximum(train.x.std(0), 1e-8)
    a, b = ((t.x - mean) / std for t in (train, test))
    fitted = LogisticRegression(C=0.1, max_iter=500).fit(a[index], train.label[index])
    return fitted.predict(a), fitted.predict(b)


def recommend(folder: Path, styles: Path | None, experiment: str | None, seeds: int) -> None:
    found: dict[str, float] = {}
    for space in SPACES:
        train, test = (read(folder / space / f"{split}.csv") for split in ("train", "test"))
        share = {k: (train.label == k).mean() for k in np.unique(train.label)}
        found["chance"] = float(np.mean([share.get(k, 0.0) for k in test.label]))
        found[space] = nearest(train, test, None)
        everything = said(train, test, np.arange(len(train.names)))
        found[f"{space}, style from all labels"] = nearest(train, test, everything)
        few = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            drawn = [rng.permutation(np.flatnonzero(train.label == k))[:5] for k in share]
            few.append(nearest(train, test, said(train, test, np.concatenate(drawn))))
        found[f"{space}, style from 5 labels each"] = float(np.mean(few))
        if styles is not None and space == "musicvae":
            by_rounds = []
            for seed in range(seeds):
                opened = Opened(styles, file=experiment, seed=seed)
                of = [
                    np.array(opened.classes)[opened.teacher.guess(data).target]
                    for data in (opened.pool, opened.test)
                ]
                by_rounds.append(nearest(train, test, (of[0], of[1])))
            found[f"{space}, style by rounds"] = float(np.mean(by_rounds))
    print(json.dumps({name: round(value, 4) for name, value in found.items()}, indent=2))


def places(run: Path) -> None:
    experiment, _, state, *parts = load_run(run)
    recipe: Any = experiment.method

    @jax.jit
    def again(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, log_var = recipe.posterior(state.params, x)
        nats = (mean**2 + jnp.exp(log_var) - 1 - log_var).mean(0) / 2
        return recipe.decode(state.params, mean)[1], nats

    for split, data in zip(("train", "test"), parts, strict=True):
        rows = np.random.default_rng(0).choice(len(data), min(1024, len(data)), replace=False)
        true = data.take(rows)["melody"]
        drawn, nats = map(np.asarray, again(jnp.asarray(true)))
        begins = true >= FIRST
        beats = [slice(i, i + 4) for i in range(0, true.shape[1], 4)]
        print(split, "notes", *(f"{(drawn == true)[:, b][begins[:, b]].mean():.2f}" for b in beats))
        print(split, "begins", *(f"{((drawn >= FIRST) == begins)[:, b].mean():.2f}" for b in beats))
        same = np.maximum(begins.mean(0), 1 - begins.mean(0))
        print(split, "begins, at best the same for all", *(f"{same[b].mean():.2f}" for b in beats))
        print(split, "nats", *(f"{v:.1f}" for v in np.sort(nats)[:-13:-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    work = parser.add_subparsers(dest="work", required=True)
    one = work.add_parser("codes")
    one.add_argument("run", type=Path, help="a run of MusicVAE")
    one.add_argument("--out", type=Path, required=True)
    two = work.add_parser("recommend")
    two.add_argument("codes", type=Path, help="what `codes` has written")
    two.add_argument("--styles", type=Path, help="a run of selftrain_nottingham.py")
    two.add_argument(
        "--experiment", default=str(Path(__file__).with_name("selftrain_nottingham.py"))
    )
    two.add_argument("--seeds", type=int, default=3, help="of the run, and draws of 5 labels")
    three = work.add_parser("places")
    three.add_argument("run", type=Path, help="a run of MusicVAE")
    args = parser.parse_args()
    if args.work == "codes":
        codes(args.run, args.out)
    elif args.work == "places":
        places(args.run)
    else:
        recommend(args.codes, args.styles, args.experiment, args.seeds)


if __name__ == "__main__":
    main()
