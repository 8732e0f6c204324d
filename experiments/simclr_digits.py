"""SimCLR on scikit-learn's 1,797 handwritten digits: the whole path in about a minute on two cores.

    ssljax train experiments/simclr_digits.py

Pretrains without labels on all images (it sees the images of the held-out part, not their labels),
then probes on three stratified splits, beside raw pixels and the same network with random weights.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import SimCLR
from ssljax.nets import MLP, SmallConv
from ssljax.views import ImageView

EXPERIMENT = Experiment(
    method=SimCLR(
        encoder=SmallConv(widths=(32, 64, 128)),
        projector=MLP(widths=(128, 64)),
        # Digits must not be mirrored: affine and intensity jitter keep what a digit is.
        view=ImageView(
            size=8,
            scale=(0.6, 1.0),
            flip=0.0,
            degrees=15.0,
            translate=0.1,
            zoom=(0.9, 1.1),
            brightness=0.4,
            contrast=0.4,
            saturation=0.0,
            hue=0.0,
            grayscale=0.0,
            blur=0.0,
            mean=(0.5,),
            std=(0.5,),
        ),
        temperature=0.5,
    ),
    data="digits",
    optimizer=Optimizer(name="adamw", learning_rate=3e-3, warmup=30, weight_decay=1e-4),
    steps=500,
    batch=256,
    cadence=Cadence(log=10, evaluate=100, save=100, monitor=50),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
