"""BYOL on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/byol_cifar10.py
    ssljax train experiments/byol_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 86.8%.
A shortened run that two CPU cores finish, with its measured numbers, stands in docs/results.md.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import BYOL
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=BYOL(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(1024, 256), output_bias=False),
        predictor=MLP(widths=(1024, 256), output_bias=False),
        # At 32 pixels neither blur nor solarization helps: both views are drawn alike.
        views=(simclr_cifar(), simclr_cifar()),
        tau=0.99,
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
