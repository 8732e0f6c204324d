"""Relative patch location on CIFAR-10: patches of 10 pixels, gaps of 4, jitter of 2, 200 epochs.

    ssljax train experiments/relative_patch_cifar10.py
    ssljax train experiments/relative_patch_cifar10.py --data parquet:cifar10

The paper's patches (96, 48, 7) at the size of CIFAR-10, for which it has no number: images are
resized to 40 pixels, of which three patches and two gaps take 38. Colours are projected, not
dropped, so that the encoder sees what the probes will show it. Not measured yet.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import RelativePatch
from ssljax.nets import MLP, ResNet
from ssljax.views import CIFAR_MEAN, CIFAR_STD, plain_only

EPOCH = 50_000 // 256

EXPERIMENT = Experiment(
    method=RelativePatch(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        head=MLP(widths=(512, 512, 8)),
        view=replace(plain_only(size=40, mean=CIFAR_MEAN, std=CIFAR_STD), scale=(0.8, 1.0)),
        patch=10,
        gap=4,
        jitter=2,
        colour="project",
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
