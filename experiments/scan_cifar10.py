"""SCAN on CIFAR-10: classes without labels, from the neighbours that a SimCLR run found.

    ssljax train experiments/simclr_cifar10.py --workdir runs/simclr
    ssljax train experiments/scan_cifar10.py --pretrained runs/simclr --workdir runs/scan
    python experiments/cluster_score.py runs/scan --experiment experiments/scan_cifar10.py

Published (authors, ResNet-18, best of the table): accuracy 81.6, NMI 71.5, ARI 66.5, and after
self-labelling (self_label_cifar10.py) 88.3, 79.7, 77.2. Hyperparameters are theirs: 20 neighbours,
entropy weight 5, rate 1e-4, weight decay 1e-4, batch 128, 50 epochs; but AdamW in place of Adam
with L2, and other strong views (see ssljax/methods/scan.py). Not measured yet.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Neighbors
from ssljax.method import Method, from_pretrained
from ssljax.methods import SCAN
from ssljax.nets import ResNet
from ssljax.probes import features
from ssljax.probes.knn import nearest
from ssljax.runs.evaluation import embedder
from ssljax.runs.load import load_run

EPOCH = 50_000 // 128


@dataclass(frozen=True, kw_only=True)
class Scan(Experiment):
    """An experiment that begins from the encoder of another run and its neighbours."""

    pretrained: str = "runs/simclr"
    """Run folder of the encoder; its data must be the same."""
    neighbors: int = 20

    def load(self, folder: Path | None = None) -> tuple[Any, Any]:
        """The table of neighbours is kept in the folder of the pretrained run."""
        train, test = super().load(folder)
        before, method, state, *_ = load_run(Path(self.pretrained))
        file = Path(self.pretrained) / f"neighbors-{int(state.step)}-{self.neighbors}.npy"
        if not file.is_file():
            x, _ = features(embedder(before, method, state), train, batch=before.batch)
            np.save(file, nearest(x, x, k=1 + self.neighbors)[1])  # itself and its neighbours
        return Neighbors(train, np.load(file)), test

    def build(self, dataset: Any) -> Method:
        _, before, state, *_ = load_run(Path(self.pretrained))
        params, stats = jax.device_get(before.backbone(state))
        return from_pretrained(super().build(dataset), {"encoder": params}, {"encoder": stats})


EXPERIMENT = Scan(
    method=SCAN(encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16")),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-4, weight_decay=1e-4, per_batch=None, schedule="constant"
    ),
    steps=50 * EPOCH,
    batch=128,
    # The pretrained encoder comes in by `refresh` at step 0.
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, refresh=50 * EPOCH
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
