"""SimSiam on ImageNet as in the paper: ResNet-50, batch 256, SGD, 100 epochs.

    ssljax train experiments/imagenet_simsiam.py --store gs://bucket/run    # on every host

Published (facebookresearch/simsiam): 68.1% linear. The rate of the predictor stays constant, as
in the authors' command (`--fix-pred-lr`). The hosts decode
to 256 pixels (shorter side resized, centre crop); random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import SimSiam
from ssljax.nets import ResNet

EPOCH = 1_281_167 // 256

EXPERIMENT = Experiment(
    method=SimSiam(encoder=ResNet(depth=50, dtype="bfloat16")),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(name="sgd", learning_rate=0.05, weight_decay=1e-4, constant=("predictor",)),
    steps=100 * EPOCH,
    batch=256,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
