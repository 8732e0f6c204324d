"""I-JEPA on ImageNet as in the paper: ViT-B/16, 224 pixels, batch 2048, 600 epochs.

    ssljax train experiments/imagenet_ijepa.py --store gs://bucket/run    # on every host

The settings are those of the authors' code, which has them for ViT-H/14; a linear probe reads the
mean of the target's patch tokens. The hosts decode to 256 pixels; the random crops of 224 are cut
on the device. The authors start the rate at 2e-4 and end it at 1e-6, not at zero.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import IJEPA
from ssljax.nets import Decoder, vit

EPOCH = 1_281_167 // 2048

EXPERIMENT = Experiment(
    method=IJEPA(
        encoder=vit("base", positions="sincos", pool="mean", dtype="bfloat16"),
        predictor=Decoder(width=384, depth=6, heads=12, dtype="bfloat16"),
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-3,
        per_batch=2048,
        weight_decay=0.04,
        weight_decay_end=0.4,
        warmup=40 * EPOCH,
    ),
    steps=600 * EPOCH,
    batch=2048,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
