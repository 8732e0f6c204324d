"""SimSiam on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/simsiam_cifar10.py
    ssljax train experiments/simsiam_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 76.4%, and 81.9% with a
batch of 128. The projector has two layers for CIFAR-10, as lightly and the paper have it.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SimSiam
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=SimSiam(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(
            widths=(2048, 2048),
            hidden_bias=False,
            output_bias=False,
            output_norm=True,
            output_affine=False,
        ),
        view=replace(simclr_cifar(), scale=(0.2, 1.0)),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(name="sgd", learning_rate=0.06, weight_decay=5e-4, per_batch=None),
    steps=200 * EPOCH,
    batch=512,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
