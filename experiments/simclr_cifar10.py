"""SimCLR on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/simclr_cifar10.py                          # TFDS, one GPU or TPU host
    ssljax train experiments/simclr_cifar10.py --data parquet:cifar10   # a folder of Parquet files

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 84.8%.
A shortened run that two CPU cores finish, with its measured numbers, stands in docs/results.md.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SimCLR
from ssljax.nets import MLP, ResNet
from ssljax.probes import Evaluation
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512  # steps; the remainder of each epoch is dropped

EXPERIMENT = Experiment(
    method=SimCLR(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(512, 128), output_norm=True, output_bias=False),
        view=simclr_cifar(),
        temperature=0.5,
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
    evaluation=Evaluation(),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
