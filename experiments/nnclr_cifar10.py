"""NNCLR on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/nnclr_cifar10.py
    ssljax train experiments/nnclr_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 81.5%, with NT-Xent in
place of the paper's loss. Projector and queue are lightly's, the temperature solo-learn's.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import NNCLR
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=NNCLR(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(2048, 256), output_norm=True),
        views=(simclr_cifar(), simclr_cifar()),
        temperature=0.2,
        queue=8192,
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
