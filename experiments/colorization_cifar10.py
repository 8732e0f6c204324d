"""Colourisation of CIFAR-10: colour classes at 16x16 from lightness at 32x32, 200 epochs.

    ssljax train experiments/colorization_cifar10.py
    ssljax train experiments/colorization_cifar10.py --data parquet:cifar10
    ssljax train experiments/colorization_cifar10.py --method.form regression

Bins, targets and weights are the paper's; optimizer Adam without weight decay as there (3e-5 for
its batch of 40, here linearly more). The paper has no number for CIFAR-10, and the full run has
not been made. The report shows image, lightness, and the colours that the network gives it.

What a CPU can do, 300 steps (0.8 epochs), 2026-11-29, one seed, last step: linear probe 37.6% and
k-NN (k 200) 34.9% of the test images, random weights 27.9 and 22.8, pixels 41.4 and 30.9:
--batch 128 --steps 300 --method.encoder.width 16 --method.encoder.dtype float32
--optimizer.learning-rate 3e-4 --optimizer.warmup 30
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Colorization
from ssljax.nets import ResNet
from ssljax.views import CIFAR_MEAN, CIFAR_STD, plain_only

EPOCH = 50_000 // 256

EXPERIMENT = Experiment(
    method=Colorization(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        widths=(256, 128),
        view=replace(
            plain_only(size=32, mean=CIFAR_MEAN, std=CIFAR_STD), scale=(0.5, 1.0), flip=0.5
        ),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(name="adam", learning_rate=3e-5, warmup=EPOCH, per_batch=40),
    steps=200 * EPOCH,
    batch=256,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
