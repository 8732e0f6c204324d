"""DINOv2 on ImageNet: ViT-L/16, two crops of 224 and eight of 96 pixels, batch 2048, 125,000 steps.

    ssljax train experiments/imagenet_dinov2.py --store gs://bucket/run   # on every host

The authors' short setting. Published for it (facebookresearch/dinov2): k-NN 81.6%, linear 82.9%.
Theirs has layer-wise decay of a rate of 4e-3 sqrt(batch / 1024), stochastic depth, and centring
instead of Sinkhorn; without layer-wise decay the rate here is a quarter of it. The hosts decode to
256 pixels; crops are cut on the device.
"""

from ssljax import Cadence, Experiment, Optimizer, Parallel
from ssljax.data import Images
from ssljax.methods import DINOv2
from ssljax.nets import DINOHead, vit

EPOCH = 1250  # steps, as the authors count them

EXPERIMENT = Experiment(
    method=DINOv2(
        encoder=vit("large", any_size=True, mask_token=True, dtype="bfloat16"),
        head=DINOHead(dtype="bfloat16"),
    ),
    data="tfds:imagenet2012",
    test="tfds:imagenet2012:validation",
    reader=Images(size=256, channels=3),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-3 * 2**0.5,
        per_batch=None,
        warmup=10 * EPOCH,
        weight_decay=0.04,
        weight_decay_end=0.4,
        clip_each=3.0,
    ),
    steps=100 * EPOCH,
    batch=2048,
    parallel=Parallel(fsdp=True),
    cadence=Cadence(log=50, evaluate=0, save=EPOCH, monitor=EPOCH),
    workers=32,
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
