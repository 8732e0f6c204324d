"""Jigsaw on CIFAR-10: nine tiles of 9 pixels out of cells of 11, 100 permutations, 200 epochs.

    ssljax train experiments/jigsaw_cifar10.py
    ssljax train experiments/jigsaw_cifar10.py --data parquet:cifar10

The paper's puzzle (64 of 75 pixels) at the size of CIFAR-10, for which it has no number: images are
33 pixels wide, cells 11, tiles 9. Not measured yet; tiles so small hold little, so expect it below
rotation and far below SimCLR.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Jigsaw
from ssljax.nets import MLP, ResNet
from ssljax.views import CIFAR_MEAN, CIFAR_STD, plain_only

EPOCH = 50_000 // 256

EXPERIMENT = Experiment(
    method=Jigsaw(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(128,)),
        hidden=1024,
        view=replace(
            plain_only(size=33, mean=CIFAR_MEAN, std=CIFAR_STD), scale=(0.6, 1.0), grayscale=0.3
        ),
        tile=9,
        count=100,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="sgd", learning_rate=0.1, weight_decay=5e-4, warmup=5 * EPOCH, per_batch=256
    ),
    steps=200 * EPOCH,
    batch=256,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
