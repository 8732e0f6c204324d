"""DINOv2 on CIFAR-10: ViT-Tiny with patches of 4 pixels, batch 512, 200 epochs.

    ssljax train experiments/dinov2_cifar10.py
    ssljax train experiments/dinov2_cifar10.py --data parquet:cifar10

The authors' losses and schedules, with crops of 32 and 16 pixels, 2048 prototypes and DINO's
learning rate: the authors' rate of 4e-3 goes with layer-wise decay. No number has been published
for this setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import DINOv2
from ssljax.nets import DINOHead, vit
from ssljax.views import multi_crop, simclr_cifar

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=DINOv2(
        encoder=vit("tiny", patch=4, any_size=True, mask_token=True, dtype="bfloat16"),
        head=DINOHead(prototypes=2048),
        crops=multi_crop(simclr_cifar(), split=0.32, local_size=16, local_crops=6),
        warmup=30 * EPOCH,
        freeze=EPOCH,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw",
        learning_rate=5e-4,
        warmup=10 * EPOCH,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip_each=3.0,
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
