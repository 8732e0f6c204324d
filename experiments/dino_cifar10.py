"""DINO on CIFAR-10: ResNet-18 with the CIFAR stem, two crops, batch 512, 200 epochs.

    ssljax train experiments/dino_cifar10.py
    ssljax train experiments/dino_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 81.3%. The head is
lightly's for CIFAR-10: one hidden layer with batch norm, 2048 prototypes. Their teacher decays by
0.99 throughout; here that is where it starts.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import DINO
from ssljax.nets import DINOHead, ResNet
from ssljax.views import MultiCrop, simclr_cifar

EPOCH = 50_000 // 512
VIEW = replace(simclr_cifar(), scale=(0.4, 1.0))

EXPERIMENT = Experiment(
    method=DINO(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        head=DINOHead(prototypes=2048, layers=2, norm=True),
        crops=MultiCrop(views=(VIEW, replace(VIEW, solarize=0.2))),
        tau=0.99,
        freeze=EPOCH,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="sgd", learning_rate=0.12, weight_decay=5e-4, warmup=10 * EPOCH, per_batch=256
    ),
    steps=200 * EPOCH,
    batch=512,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
