"""VICReg: how wide should the expander be? The width of the embedding, on MNIST.

    ssljax sweep experiments/ablations/vicreg_width.py --data parquet:path/to/mnist

The paper (arXiv:2105.04906, appendix) finds that accuracy grows with the width and levels off at
8192, far above the 2048 of the encoder: the loss needs room to decorrelate in. Here the encoder has
64 dimensions; the setting is that of `experiments/vision_small.py`, for two CPU cores.
"""

from pathlib import Path

from ssljax.methods import VICReg
from ssljax.nets import MLP
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")

SWEEP = {
    f"w{width}": SMALL.small(
        VICReg(
            encoder=SMALL.CONV,
            projector=MLP(widths=(width, width), output_bias=False),
            views=(SMALL.VIEW, SMALL.VIEW),
        )
    )
    for width in (16, 64, 256, 1024)
}
