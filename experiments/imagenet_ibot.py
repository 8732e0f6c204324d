"""iBOT on ImageNet as the authors have it: ViT-S/16, batch 1024, AdamW, 800 epochs.

    ssljax train experiments/imagenet_ibot.py --store gs://bucket/run    # on every host

Published (bytedance/ibot): k-NN 75.2%, linear 77.9%. Theirs has stochastic depth. The hosts decode
to 256 pixels (shorter side resized, centre crop); crops of 224 and 96 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import IBOT
from ssljax.nets import DINOHead, vit

EPOCH = 1_281_167 // 1024

EXPERIMENT = Experiment(
    method=IBOT(
        encoder=vit("small", any_size=True, mask_token=True, dtype="bfloat16"),
        head=DINOHead(prototypes=8192, dtype="bfloat16"),
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
    steps=800 * EPOCH,
    batch=1024,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
