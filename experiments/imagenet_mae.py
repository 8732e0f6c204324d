"""MAE on ImageNet as in the paper: ViT-B/16, 224 pixels, batch 4096, 800 epochs.

    ssljax train experiments/imagenet_mae.py --store gs://bucket/run    # on every host

Published for ViT-B/16: linear 68%, after the paper's 1600 epochs (facebookresearch/mae#39). The
hosts decode to 256 pixels; the random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import MAE
from ssljax.nets import Decoder, vit

EPOCH = 1_281_167 // 4096

EXPERIMENT = Experiment(
    method=MAE(
        encoder=vit("base", positions="sincos", dtype="bfloat16"),
        decoder=Decoder(width=512, depth=8, heads=16, dtype="bfloat16"),
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    # The paper's rate of 1.5e-4 for 256 images, 2.4e-3 for 4096.
    optimizer=Optimizer(
        name="adamw", learning_rate=1.5e-4, b2=0.95, weight_decay=0.05, warmup=40 * EPOCH
    ),
    steps=800 * EPOCH,
    batch=4096,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
