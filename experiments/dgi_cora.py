"""Deep Graph Infomax on Cora, 2,708 papers and their citations.

    ssljax train experiments/dgi_cora.py --data graph:path/to/cora

`path/to/cora` holds ind.cora.x and its kin, the public split. A step sees the whole graph (a batch
of 2,712 rows, which two, four and eight devices divide). Published, linear probe on the public
split, mean of several runs: 82.3 (Velickovic et al. 2019).

Measured on two shared CPU cores, 2026-11-30, seeds 0 and 1, last step, percent: 80.5 and 82.7;
random weights 71.8 and 72.8, features 46.9.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Graphs
from ssljax.methods import DGI
from ssljax.probes import Evaluation

EXPERIMENT = Experiment(
    method=DGI(),
    data="graph:path/to/cora",
    reader=Graphs(),
    optimizer=Optimizer(name="adam", learning_rate=1e-3, schedule="constant", per_batch=None),
    steps=300,
    batch=2712,
    cadence=Cadence(log=10, evaluate=0, save=0, monitor=0),
    evaluation=Evaluation(knn=None, few_shot=None, clustering=None, retrieval=None, lidar=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
