"""DeepCluster v2 on CIFAR-10: ResNet-18 with the CIFAR stem, two crops, batch 256, 1000 epochs.

    ssljax train experiments/deepcluster_cifar10.py
    ssljax train experiments/deepcluster_cifar10.py --data parquet:cifar10

Published for this architecture and length (solo-learn, online linear): 88.85%, by LARS with a batch
of 256. The memory is clustered at the start of each epoch into three times 3000 clusters, as for
ImageNet; 50,000 images must be the training data, or --method.examples says how many there are.
Not measured yet.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import DeepCluster
from ssljax.nets import MLP, ResNet
from ssljax.views import MultiCrop, simclr_cifar

EPOCH = 50_000 // 256
VIEW = replace(simclr_cifar(), scale=(0.2, 1.0))

EXPERIMENT = Experiment(
    method=DeepCluster(
        examples=50_000,
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(2048, 128)),
        crops=MultiCrop(views=(VIEW, VIEW)),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="lars", learning_rate=0.6, weight_decay=1e-6, warmup=10 * EPOCH, per_batch=256
    ),
    steps=1000 * EPOCH,
    batch=256,
    cadence=Cadence(
        log=50,
        evaluate=50 * EPOCH,
        save=10 * EPOCH,
        monitor=EPOCH,
        refresh=EPOCH,
        best="eval/knn200_t0.1",
    ),
    online_probe=True,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
