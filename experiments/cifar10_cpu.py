"""The two CIFAR-10 experiments, cut down to what two CPU cores finish: proof of the path only.

    ssljax sweep experiments/cifar10_cpu.py --data parquet:path/to/cifar10    # or tfds:cifar10

Against `simclr_cifar10.py` and `byol_cifar10.py`: a quarter of the width, float32, batch 128 and
1,000 steps (2.6 epochs of 200). docs/results.md has the numbers.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import Cadence, Experiment
from ssljax.cli.flags import load_experiment


def shortened(file: str) -> Experiment:
    """The experiment of a file beside this one, on a budget for two cores."""
    full = load_experiment(str(Path(__file__).with_name(file)))
    return replace(
        full,
        method=replace(full.method, encoder=full.method.encoder.clone(width=16, dtype="float32")),
        optimizer=replace(full.optimizer, warmup=100),
        batch=128,
        steps=1000,
        cadence=Cadence(log=20, evaluate=250, save=100, monitor=100, best="eval/knn200_t0.1"),
    )


SWEEP = {
    "simclr": shortened("simclr_cifar10.py"),
    "byol": shortened("byol_cifar10.py"),
}
