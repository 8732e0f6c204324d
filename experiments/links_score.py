"""How well a run of VGAE tells links that no split holds from pairs that are not linked.

    python experiments/links_score.py RUN [--split test]

The evaluation of a run says the former of the test (`probes.Links`); this says it of either split,
beside the number of common neighbours in the graph that was seen.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ssljax.probes import features, links
from ssljax.runs.evaluation import encoder_of
from ssljax.runs.load import load_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    args = parser.parse_args()
    experiment, method, state, train, _ = load_run(args.run)
    held, others = experiment.reader.held_out_links(experiment.data)[args.split]
    codes, _ = features(encoder_of(experiment, method, state).links, train, batch=experiment.batch)
    # As codes: which nodes are neighbours. Their product is how many two nodes share.
    near = np.zeros((len(train), len(train)), np.float32)
    near[train.edges[:, 0], train.edges[:, 1]] = 1
    found = {
        "vgae": links(codes, held, others),
        "common neighbours": links(near, held, others),
    }
    print(json.dumps({"links": len(held), **found}, indent=2))


if __name__ == "__main__":
    main()
