"""SimMIM on CIFAR-10: ViT-Tiny with patches of 4 pixels, batch 512, 400 epochs.

    ssljax train experiments/simmim_cifar10.py
    ssljax train experiments/simmim_cifar10.py --data parquet:cifar10

The authors' settings for ImageNet, with hidden squares of 8 pixels, two patches wide as there, and
a cosine in place of their step at seven eighths of the run. No number has been published for this
setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SimMIM
from ssljax.nets import vit
from ssljax.views import crop_and_flip
from ssljax.views.image import CIFAR_MEAN, CIFAR_STD

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=SimMIM(
        encoder=vit("tiny", patch=4, pool="mean", mask_token=True, dtype="bfloat16"),
        view=crop_and_flip(size=32, scale=(0.67, 1.0), mean=CIFAR_MEAN, std=CIFAR_STD),
        square=8,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-4,
        per_batch=512,
        weight_decay=0.05,
        warmup=10 * EPOCH,
        clip=5.0,
    ),
    steps=400 * EPOCH,
    batch=512,
    cadence=Cadence(
        log=50, evaluate=20 * EPOCH, save=20 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
