"""FreeMatch on CIFAR-10 with 250 labels: WRN-28-2, 2^20 steps of 64 labelled images.

    ssljax train experiments/freematch_cifar10.py    # an accelerator
    ssljax train experiments/freematch_cifar10.py --few.per-class 4   # 40 labels

The recipe that FixMatch and its successors share.
Published for 250 labels: 4.85% error. Not run here yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import FewLabels
from ssljax.methods import FreeMatch
from ssljax.nets import WideResNet

_NET = WideResNet(depth=28, widen=2)

EXPERIMENT = Experiment(
    method=FreeMatch(encoder=_NET, fairness_weight=0.001),
    data="tfds:cifar10",
    few=FewLabels(per_class=25, ratio=7),
    optimizer=Optimizer(
        name="sgd",
        learning_rate=0.03,
        per_batch=None,
        schedule="cosine_7_16",
        nesterov=True,
        weight_decay=5e-4,
    ),
    steps=2**20,
    batch=64,
    cadence=Cadence(log=256, evaluate=2**14, save=2**12, monitor=2**12, best="eval/accuracy"),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
