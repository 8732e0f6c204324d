"""MoCo v3 on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/moco_v3_cifar10.py
    ssljax train experiments/moco_v3_cifar10.py --data parquet:cifar10

Heads, temperature, decay and views are solo-learn's, whose 1000 epochs with a batch of 256 reach
93.1% (online linear). The optimizer is that of the authors for their ResNet-50, not solo-learn's.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import MoCoV3
from ssljax.nets import ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512
FIRST = replace(simclr_cifar(), saturation=0.2)

EXPERIMENT = Experiment(
    method=MoCoV3(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        views=(FIRST, replace(FIRST, solarize=0.2)),
        temperature=0.2,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="lars", learning_rate=0.6, weight_decay=1e-6, warmup=10 * EPOCH, per_batch=256
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
