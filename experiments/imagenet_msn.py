"""MSN on ImageNet as the authors have it: ViT-S/16, batch 1024, AdamW, 800 epochs.

    ssljax train experiments/imagenet_msn.py --store gs://bucket/run    # on every host

The authors' repository gives no number for this model. The hosts decode to 256 pixels (shorter
side resized, centre crop); crops of 224 and 96 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import MSN
from ssljax.nets import vit

EPOCH = 1_281_167 // 1024

EXPERIMENT = Experiment(
    method=MSN(encoder=vit("small", any_size=True, dtype="bfloat16")),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-3,
        per_batch=1024,
        warmup=15 * EPOCH,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip=3.0,
    ),
    steps=800 * EPOCH,
    batch=1024,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
