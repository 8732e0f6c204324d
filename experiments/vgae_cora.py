"""A variational graph autoencoder on Cora, and the citations that it has not seen.

    ssljax train experiments/vgae_cora.py --data graph:path/to/cora
    python experiments/links_score.py RUN          # AUC and AP of the held-out links

15% of the links are in no split: 5% for choosing settings and 10% for the test. Published (Kipf and
Welling 2016): AUC 91.4, AP 92.6.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Graphs
from ssljax.methods import VGAE
from ssljax.probes import Evaluation

EXPERIMENT = Experiment(
    method=VGAE(),
    data="graph:path/to/cora",
    reader=Graphs(links=0.15, normalize=False),
    optimizer=Optimizer(name="adam", learning_rate=1e-2, schedule="constant", per_batch=None),
    steps=200,
    batch=2712,
    cadence=Cadence(log=10, evaluate=0, save=0, monitor=0),
    evaluation=Evaluation(knn=(), shots=(), clustering=False, retrieval=False, lidar_views=0),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
