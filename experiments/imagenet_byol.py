"""BYOL on ImageNet as in the paper: ResNet-50, global batch 4096, LARS, 1000 epochs.

    ssljax train experiments/imagenet_byol.py --store gs://bucket/run    # on every host

Published (deepmind-research, byol): 74.0 to 74.5% linear. The hosts decode
to 256 pixels (shorter side resized, centre crop); random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import BYOL
from ssljax.nets import ResNet

EPOCH = 1_281_167 // 4096

EXPERIMENT = Experiment(
    method=BYOL(encoder=ResNet(depth=50, dtype="bfloat16")),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    # The rate of 0.2 for 256 images, 3.2 for 4096.
    optimizer=Optimizer(name="lars", learning_rate=0.2, weight_decay=1.5e-6, warmup=10 * EPOCH),
    steps=1000 * EPOCH,
    batch=4096,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
