"""A variational graph autoencoder on Cora, and the citations that it has not seen.

    ssljax train experiments/vgae_cora.py --data graph:path/to/cora --seed 0 --reader.seed 0
    python experiments/links_score.py RUN          # beside the number of common neighbours

The evaluation gives AUC and AP of the held-out links (`links_auc`, `links_ap`), as the script does.
15% of the links are in no split: 5% for choosing settings and 10% for the test. Published (Kipf and
Welling 2016): AUC 91.4, AP 92.6.

Measured on two shared CPU cores, 2026-11-30, seeds 0 to 2 of weights and of links, last step,
percent, mean and standard deviation: AUC 91.6 ± 0.5, AP 92.7 ± 0.5; number of common neighbours AUC
72.3, AP 72.1. As features for the classes its codes are weak: linear probe 70.9, 67.0 and 65.2
(random weights 36.7, 42.4 and 34.8, features as they are 52.5).

Friends in a social network are links too: `--data graph:path/to/twitch_zhtw --reader.target partner
--batch 2776`, seed 0: AUC 89.6, AP 91.2; random weights 89.7 and 89.6, common friends 89.1, 88.6.
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
    evaluation=Evaluation(knn=None, few_shot=None, clustering=None, retrieval=None, lidar=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
