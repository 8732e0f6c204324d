"""MoCo v2 on CIFAR-10: ResNet-18 with the CIFAR stem, batch 512, 200 epochs.

    ssljax train experiments/moco_v2_cifar10.py
    ssljax train experiments/moco_v2_cifar10.py --data parquet:cifar10

Published for this setting (lightly, k-NN k=200 T=0.1, maximum over epochs): 84.7%, with the loss
taken in both directions; here a step has one, as in the paper. Queue, temperature and decay are
lightly's: with so few images a queue of 65,536 would hold the whole data set.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import MoCoV2
from ssljax.nets import MLP, ResNet
from ssljax.views import simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=MoCoV2(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(512, 128), norm=False),
        view=simclr_cifar(),
        temperature=0.1,
        queue=8192,
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
