"""SwAV on CIFAR-10: ResNet-18 with the CIFAR stem, two crops, batch 512, 200 epochs.

    ssljax train experiments/swav_cifar10.py
    ssljax train experiments/swav_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 84.2%. As there, 512
prototypes that move from the start, and no small crops: at 32 pixels they gain little.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SwAV
from ssljax.nets import MLP, ResNet
from ssljax.views import MultiCrop, simclr_cifar

EPOCH = 50_000 // 512
VIEW = replace(simclr_cifar(), scale=(0.14, 1.0))

EXPERIMENT = Experiment(
    method=SwAV(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(512, 128)),
        crops=MultiCrop(views=(VIEW, VIEW)),
        prototypes=512,
        freeze=0,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(name="adamw", learning_rate=1e-3, weight_decay=1e-6, per_batch=128),
    steps=200 * EPOCH,
    batch=512,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
