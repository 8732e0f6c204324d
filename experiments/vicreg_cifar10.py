"""VICReg on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/vicreg_cifar10.py
    ssljax train experiments/vicreg_cifar10.py --data parquet:cifar10

Projector and views are solo-learn's, whose 1000 epochs with a batch of 256 reach 92.1% (online
linear); the optimizer is lightly's for Imagenette, where without LARS and a long warm-up the
training diverged.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import VICReg
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512
VIEW = replace(simclr_cifar(), scale=(0.2, 1.0), saturation=0.2, solarize=0.1)

EXPERIMENT = Experiment(
    method=VICReg(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(2048, 2048, 2048), output_bias=False),
        views=(VIEW, VIEW),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="lars", learning_rate=0.3, weight_decay=1e-4, warmup=20 * EPOCH, per_batch=256
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
