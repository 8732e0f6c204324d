"""How well a run of VGAE tells links that no split holds from pairs that are not linked.

    python experiments/links_score.py RUN [--split test]

Prints the area under the ROC curve and the average precision of the held-out links of
`Graphs(links=...)`, beside those of the number of common neighbours in the graph that was seen.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from ssljax.runs.load import load_run


def numbers(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    return {
        "auc": float(roc_auc_score(truth, score)),
        "ap": float(average_precision_score(truth, score)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    args = parser.parse_args()
    experiment, _, state, train, _ = load_run(args.run)
    links, others = experiment.reader.held_out_links(experiment.data)[args.split]
    pairs = np.concatenate([links, others])
    truth = np.arange(len(pairs)) < len(links)
    rows = next(train.once(experiment.batch))
    logits = np.asarray(jax.jit(experiment.method.link_scores)(state, rows, pairs))
    near = [set(train.edges[train.edges[:, 0] == i, 1].tolist()) for i in range(len(train))]
    common = np.array([len(near[a] & near[b]) for a, b in pairs])
    found = {"vgae": numbers(truth, logits), "common neighbours": numbers(truth, common)}
    print(json.dumps({"links": len(links), **found}, indent=2))


if __name__ == "__main__":
    main()
