"""SwAV on ImageNet: ResNet-50, two crops of 224 and six of 96 pixels, batch 4096, 100 epochs.

    ssljax train experiments/imagenet_swav.py --store gs://bucket/run   # on every host

Published (facebookresearch/swav, 100 epochs): 72.1% linear. For a batch of 256 the authors use
`--method.queue 3840 --method.queue_start 75060 --method.freeze 5005`. Their LARC adapts biases and
norms as well; LARS here does not. The hosts decode to 256 pixels; crops are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import SwAV
from ssljax.nets import ResNet

EPOCH = 1_281_167 // 4096

EXPERIMENT = Experiment(
    method=SwAV(encoder=ResNet(depth=50, zero_init_residual=False, dtype="bfloat16")),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    # The authors' rate of 4.8 for 4096 images.
    optimizer=Optimizer(name="lars", learning_rate=0.3, weight_decay=1e-6, warmup=10 * EPOCH),
    steps=100 * EPOCH,
    batch=4096,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
