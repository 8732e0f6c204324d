"""One transformer over patches of CIFAR-10 and captions of their class names, on two CPU cores.

    ssljax train experiments/joint_masked_cifar10.py --data parquet:PATH/cifar10

Captions and data are those of `clip_cifar10.py`; a third of the tokens and half of the patches are
hidden. Beside the accuracy on hidden tokens stands the same without the image: the difference is
what the network reads off the pixels, above all the name of the class. The captions tell the
labels, so this is no self-supervision. Measured with --steps 300 on a shared CPU core, 2026-11-29,
one seed, last step: 81.2% of the hidden tokens of test captions with the image, 79.7% without it;
linear probe of the image 38.6% (random weights 35.2, pixels 39.0): it has begun to look.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import Cadence, Optimizer
from ssljax.cli.flags import load_experiment
from ssljax.methods import JointMasked
from ssljax.nets import JointViT

CLIP = load_experiment(str(Path(__file__).with_name("clip_cifar10.py")))

EXPERIMENT = replace(
    CLIP,
    method=JointMasked(
        encoder=JointViT(patch=4, vocab=256, length=16, width=64, depth=3, heads=4, hidden=128),
        view=CLIP.method.view,
        ratio=0.5,
        text_ratio=0.35,
        weight=1.0,
    ),
    optimizer=Optimizer(
        name="adamw", learning_rate=2e-3, per_batch=None, warmup=100, weight_decay=0.05, clip=1.0
    ),
    steps=1000,
    batch=64,
    cadence=Cadence(log=50, save=500, monitor=0),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
