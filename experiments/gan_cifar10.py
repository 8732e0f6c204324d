"""SNGAN on CIFAR-10: the standard CNN of the paper, hinge loss, five critic steps a step.

    ssljax train experiments/gan_cifar10.py                                 # TFDS, one GPU
    ssljax train experiments/gan_cifar10.py --data parquet:path/to/cifar10
    python experiments/gan_score.py RUN                                     # Frechet distance
    # WGAN-GP: --method.game wasserstein --method.gradient-penalty 10
    #          --method.encoder.norm none --method.head.norm none --optimizer.learning-rate 1e-4

Each step takes 5 x 64 images. Papers give FID in Inception's features; the Frechet distance that
gan_score.py prints is in those of our own classifier, and the two cannot be compared.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import GAN
from ssljax.nets import DiscriminatorTrunk, Generator

EXPERIMENT = Experiment(
    method=GAN(
        encoder=DiscriminatorTrunk(dtype="bfloat16"),
        generator=Generator(dtype="bfloat16"),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adam", learning_rate=2e-4, b1=0.0, b2=0.9, per_batch=None, schedule="constant"
    ),
    steps=100_000,
    batch=5 * 64,
    cadence=Cadence(log=100, evaluate=0, save=5000, monitor=5000),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
