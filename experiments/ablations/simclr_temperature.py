"""SimCLR: how sharp should the contrast be? The temperature of NT-Xent, on MNIST.

    ssljax sweep experiments/ablations/simclr_temperature.py --data parquet:path/to/mnist

The paper (arXiv:2002.05709, section 5.1, table 5) finds an optimum between extremes: too low a
temperature looks only at the hardest negatives, too high a one at none in particular. The setting
is that of `experiments/vision_small.py`, for two CPU cores.
"""

from pathlib import Path

from ssljax.methods import SimCLR
from ssljax.nets import MLP
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
AXIS = "method.temperature"

SWEEP = {
    f"t{temperature:g}": SMALL.small(
        SimCLR(
            encoder=SMALL.CONV,
            projector=MLP(widths=(128, 64)),
            view=SMALL.VIEW,
            temperature=temperature,
        )
    )
    for temperature in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
}
