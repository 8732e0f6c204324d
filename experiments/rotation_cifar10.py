"""Rotation prediction (RotNet) on CIFAR-10: ResNet-18 with the CIFAR stem, batch 128, 200 epochs.

    ssljax train experiments/rotation_cifar10.py
    ssljax train experiments/rotation_cifar10.py --data parquet:cifar10

Optimizer and views are those of the authors' code (SGD 0.1, weight decay 5e-4; moves by up to four
pixels, mirror), with half a cosine in place of their steps. Each of the 128 images is in the batch
four times. The paper evaluates a middle layer of a network in network, so it has no number for this
setting; not measured yet.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Rotation
from ssljax.nets import ResNet
from ssljax.views import CIFAR_MEAN, CIFAR_STD, plain_only

EPOCH = 50_000 // 128

EXPERIMENT = Experiment(
    method=Rotation(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        view=replace(
            plain_only(size=32, mean=CIFAR_MEAN, std=CIFAR_STD), translate=0.125, flip=0.5
        ),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(name="sgd", learning_rate=0.1, weight_decay=5e-4, per_batch=None),
    steps=200 * EPOCH,
    batch=128,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
