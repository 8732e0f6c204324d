"""MoCo v3 on ImageNet as the authors have it: ViT-S/16, global batch 4096, AdamW, 300 epochs.

    ssljax train experiments/imagenet_moco_v3.py --store gs://bucket/run   # on every host

Published (facebookresearch/moco-v3): 73.2% linear. Twelve heads, as in the authors' ViT-S; the
patch embedding stays random. The hosts decode to 256 pixels (shorter side resized, centre crop);
random crops of 224 are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Images
from ssljax.methods import MoCoV3
from ssljax.methods.moco_v3 import VIT_PREDICTOR, VIT_PROJECTOR
from ssljax.nets import vit

EPOCH = 1_281_167 // 4096

EXPERIMENT = Experiment(
    method=MoCoV3(
        encoder=vit("small", heads=12, positions="sincos", dtype="bfloat16"),
        projector=VIT_PROJECTOR,
        predictor=VIT_PREDICTOR,
        temperature=0.2,
        freeze_patches=True,
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    # The authors' rate of 1.5e-4 for 256 images, 2.4e-3 for 4096.
    optimizer=Optimizer(
        name="adamw", learning_rate=1.5e-4, weight_decay=0.1, warmup=40 * EPOCH, per_batch=256
    ),
    steps=300 * EPOCH,
    batch=4096,
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
