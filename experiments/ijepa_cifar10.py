"""I-JEPA on CIFAR-10: ViT-Tiny with patches of 4 pixels, batch 512, 400 epochs.

    ssljax train experiments/ijepa_cifar10.py
    ssljax train experiments/ijepa_cifar10.py --data parquet:cifar10

The authors' settings for ImageNet, with a narrower predictor and, as the grid has only 8 x 8
patches, contexts of up to half of it. Watch the probe and RankMe: a loss that falls says little
here. No number has been published for this setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import IJEPA
from ssljax.nets import Decoder, vit
from ssljax.views import crop_and_flip
from ssljax.views.image import CIFAR_MEAN, CIFAR_STD

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=IJEPA(
        encoder=vit("tiny", patch=4, positions="sincos", pool="mean", dtype="bfloat16"),
        predictor=Decoder(width=96, depth=6, heads=3, dtype="bfloat16"),
        view=crop_and_flip(size=32, scale=(0.3, 1.0), flip=0.0, mean=CIFAR_MEAN, std=CIFAR_STD),
        context=0.5,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1.25e-4,  # 1e-3 for 2048 images
        weight_decay=0.04,
        weight_decay_end=0.4,
        warmup=40 * EPOCH,
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
