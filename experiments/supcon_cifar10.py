"""SupCon on CIFAR-10: ResNet-18 with the CIFAR stem, batch 256, 1000 epochs.

    ssljax train experiments/supcon_cifar10.py
    ssljax train experiments/supcon_cifar10.py --data parquet:cifar10

Published for this setting (solo-learn, online linear): 93.8%. The labels of all training images are
used: compare it with supervised training, not with the other methods.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SupCon
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 256

EXPERIMENT = Experiment(
    method=SupCon(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(2048, 256), norm=False),
        view=simclr_cifar(),
        temperature=0.2,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="sgd", learning_rate=0.4, weight_decay=1e-5, warmup=10 * EPOCH, per_batch=256
    ),
    steps=1000 * EPOCH,
    batch=256,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
