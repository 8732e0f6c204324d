"""MSN on CIFAR-10: ViT-Tiny with patches of 4 pixels, batch 512, 200 epochs.

    ssljax train experiments/msn_cifar10.py
    ssljax train experiments/msn_cifar10.py --data parquet:cifar10

The authors' settings for ImageNet, with crops of 32 and 16 pixels and a quarter of the prototypes.
No number has been published for this setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import MSN
from ssljax.nets import vit
from ssljax.views import multi_crop, simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=MSN(
        encoder=vit("tiny", patch=4, any_size=True, dtype="bfloat16"),
        crops=multi_crop(simclr_cifar(), split=0.3, local_size=16, local_crops=6),
        prototypes=256,
    ),
    data="tfds:cifar10",
    # The authors' rate of 1e-3 goes with a batch of 1024.
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-3,
        per_batch=1024,
        warmup=15 * EPOCH,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip=3.0,
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
