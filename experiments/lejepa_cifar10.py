"""LeJEPA on CIFAR-10: ResNet-18 with the CIFAR stem, batch 256, 200 epochs.

    ssljax train experiments/lejepa_cifar10.py
    ssljax train experiments/lejepa_cifar10.py --data parquet:cifar10

The authors' recommendations (AdamW at 5e-4, weight decay 5e-4 for ResNets, weight 0.05), with four
crops of 32 pixels each covering 8 to 100 %, as in their small example, and a narrow projection. No
number has been published for this setting.
"""

from dataclasses import replace

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import LeJEPA
from ssljax.nets import MLP, ResNet
from ssljax.views import MultiCrop, simclr_cifar

EPOCH = 50_000 // 256
VIEW = replace(simclr_cifar(), solarize=0.2)

EXPERIMENT = Experiment(
    method=LeJEPA(
        encoder=ResNet(depth=18, stem="cifar", dtype="bfloat16"),
        projector=MLP(widths=(2048, 2048, 64)),
        crops=MultiCrop(views=(VIEW, VIEW), local=VIEW, local_crops=2),
    ),
    data="tfds:cifar10",
    optimizer=Optimizer(
        name="adamw", learning_rate=5e-4, weight_decay=5e-4, per_batch=None, warmup=EPOCH
    ),
    steps=200 * EPOCH,
    batch=256,
    cadence=Cadence(
        log=50, evaluate=10 * EPOCH, save=10 * EPOCH, monitor=EPOCH, best="eval/knn200_t0.1"
    ),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
