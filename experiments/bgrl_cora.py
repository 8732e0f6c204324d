"""BGRL on Cora, 2,708 papers and their citations.

    ssljax train experiments/bgrl_cora.py --data graph:path/to/cora

`path/to/cora` holds ind.cora.x and its kin, the public split. A step sees the whole graph (a batch
of 2,712 rows, which two, four and eight devices divide). Published, linear probe on the public
split, mean of several runs: 82.7 (as GraphMAE's authors ran it).

Measured on two shared CPU cores, 2026-11-30, seeds 0 and 1, last step, percent: 79.0 and 79.7;
random weights 75.0 and 72.0, features 46.9. Three points below: the authors train for 10,000 steps,
and we have run no more than these 500.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Graphs
from ssljax.methods import BGRL
from ssljax.probes import Evaluation

EXPERIMENT = Experiment(
    method=BGRL(),
    data="graph:path/to/cora",
    reader=Graphs(),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, weight_decay=1e-5, warmup=50, per_batch=None
    ),
    steps=500,
    batch=2712,
    cadence=Cadence(log=10, evaluate=0, save=0, monitor=0),
    evaluation=Evaluation(knn=None, few_shot=None, clustering=None, retrieval=None, lidar=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
