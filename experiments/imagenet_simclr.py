"""SimCLR on ImageNet as in the paper: ResNet-50, global batch 4096, LARS, 100 epochs.

    ssljax train experiments/imagenet_simclr.py --store gs://bucket/run    # on every host

Published (google-research/simclr, 100 epochs): 64.5% linear. The hosts decode to 256 pixels
(shorter side resized, centre crop); random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import SimCLR
from ssljax.nets import ResNet
from ssljax.views import simclr_imagenet

EPOCH = 1_281_167 // 4096

EXPERIMENT = Experiment(
    method=SimCLR(
        encoder=ResNet(depth=50, dtype="bfloat16"),
        view=simclr_imagenet(),
        temperature=0.1,
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    # The paper's rate of 0.3 for 256 images, 4.8 for 4096.
    optimizer=Optimizer(name="lars", learning_rate=0.3, weight_decay=1e-6, warmup=10 * EPOCH),
    steps=100 * EPOCH,
    batch=4096,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
