"""BYOL: how slowly should the target move? The decay of its moving average, on MNIST.

    ssljax sweep experiments/ablations/byol_ema.py --data parquet:path/to/mnist

The paper (arXiv:2006.07733, section 5, table 5a) finds that a target that is the online network
itself (0) collapses, that one that never moves (1) teaches little, though more than chance, and
that values between 0.9 and 0.999 all work. Here, as in the method, `tau` is the decay at the first
step and rises to 1 along a cosine; the setting is that of `experiments/vision_small.py`.
"""

from pathlib import Path

from ssljax.methods import BYOL
from ssljax.nets import MLP
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
AXIS = "method.tau"
HEAD = MLP(widths=(128, 64), output_bias=False)

SWEEP = {
    f"tau{tau:g}": SMALL.small(
        BYOL(
            encoder=SMALL.CONV,
            projector=HEAD,
            predictor=HEAD,
            views=(SMALL.VIEW, SMALL.VIEW),
            tau=tau,
        )
    )
    for tau in (0.0, 0.9, 0.97, 0.99, 1.0)
}
