"""data2vec on CIFAR-10: ViT-Tiny with patches of 4 pixels, batch 512, 400 epochs.

    ssljax train experiments/data2vec_cifar10.py
    ssljax train experiments/data2vec_cifar10.py --data parquet:cifar10

The authors' settings for ViT-B on ImageNet, with 39 of 64 patches hidden, the same share, in blocks
of at least 5, and crops of at least a fifth of the image; the run is short, so the decay is lower
and rises. No number has been published for this setting.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Data2Vec
from ssljax.nets import vit
from ssljax.views.image import CIFAR_MEAN, CIFAR_STD

EPOCH = 50_000 // 512

EXPERIMENT = Experiment(
    method=Data2Vec(
        encoder=vit("tiny", patch=4, pool="mean", mask_token=True, dtype="bfloat16"),
        view=replace(Data2Vec().view, size=32, scale=(0.2, 1.0), mean=CIFAR_MEAN, std=CIFAR_STD),
        hidden=39,
        smallest=5,
        tau_start=0.996,
        tau=0.9998,
        ramp=100 * EPOCH,
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw",
        learning_rate=2.5e-4,  # 2e-3 for 2048 images
        weight_decay=0.05,
        warmup=10 * EPOCH,
        clip=3.0,
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
