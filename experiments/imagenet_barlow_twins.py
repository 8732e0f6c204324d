"""Barlow Twins on ImageNet as in the paper: ResNet-50, batch 2048, LARS, 1000 epochs.

    ssljax train experiments/imagenet_barlow_twins.py --store gs://bucket/run    # on every host

Published (facebookresearch/barlowtwins): 73.3% linear. Biases and norms have a rate of their own,
0.0048 where kernels have 0.2. The hosts decode to 256 pixels (shorter side resized, centre crop);
random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import BarlowTwins
from ssljax.nets import ResNet

EPOCH = 1_281_167 // 2048

EXPERIMENT = Experiment(
    method=BarlowTwins(encoder=ResNet(depth=50, dtype="bfloat16")),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(
        name="lars",
        learning_rate=0.2,
        vectors=0.024,
        weight_decay=1e-6,
        warmup=10 * EPOCH,
    ),
    steps=1000 * EPOCH,
    batch=2048,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
