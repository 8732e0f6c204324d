"""DINO on ImageNet: ViT-S/16, two crops of 224 and eight of 96 pixels, batch 512, 100 epochs.

    ssljax train experiments/imagenet_dino.py --store gs://bucket/run   # on every host

The authors' plain command. Published for it (facebookresearch/dino): k-NN 69.3%, linear 73.8%. The
hosts decode to 256 pixels; crops are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import DINO
from ssljax.nets import DINOHead, vit

EPOCH = 1_281_167 // 512

EXPERIMENT = Experiment(
    method=DINO(
        encoder=vit("small", any_size=True, dtype="bfloat16"),
        head=DINOHead(dtype="bfloat16"),
        freeze=EPOCH,
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=5e-4,
        warmup=10 * EPOCH,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip_each=3.0,
    ),
    steps=100 * EPOCH,
    batch=512,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
