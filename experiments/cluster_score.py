"""Scores the classes that a run found without labels (SCAN, SelfLabel, DeepCluster's first head).

    python experiments/cluster_score.py RUN [--experiment FILE]

Prints, for training and test data: accuracy under the best one-to-one map of clusters to classes
(Hungarian), NMI with the arithmetic mean, ARI. As in the papers, the map is found on the very data
that is scored. FILE is the experiment file of a run that defines a class of its own (SCAN).
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from ssljax.clustering import scores
from ssljax.runs.load import load_run


def found(method, state, dataset, *, batch):
    """(clusters [N], labels [N]) of a data set."""
    predict = jax.jit(method.answer)
    clusters, labels = [], []
    for rows in dataset.once(batch):
        best = np.asarray(predict(state, {"image": rows["image"]})).argmax(1)
        clusters.append(best[rows["mask"]])
        labels.append(rows["label"][rows["mask"]])
    return np.concatenate(clusters), np.concatenate(labels)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--experiment", help="file with the class of the experiment")
    options = parser.parse_args(arguments)
    experiment, _, state, train, test = load_run(options.run, file=options.experiment)
    results = {}
    for name, dataset in (("train", train), ("test", test)):
        if dataset is None or not dataset.labelled:
            continue
        pair = found(experiment.method, state, dataset, batch=experiment.batch)
        results[name] = scores(*pair)
        print(name, *(f"{key} {value:.4f}" for key, value in results[name].items()))
    return results


if __name__ == "__main__":
    main()
