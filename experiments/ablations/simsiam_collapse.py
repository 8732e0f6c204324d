"""SimSiam: what keeps it from collapsing? Stop-gradient and predictor, each left out, on MNIST.

    ssljax sweep experiments/ablations/simsiam_collapse.py --data parquet:path/to/mnist

The paper (arXiv:2011.10566, sections 4.1 and 4.2) finds that without the stop-gradient, or without
the predictor, the loss reaches its minimum of -1, the embeddings become one point and the accuracy
that of chance. The curves of `loss` and `embedding_std` in comparison.html show it: a spread of
1/sqrt(128) = 0.088 is even, 0 is a point.

Measured on a shared CPU core, 2026-11-29, one seed, last step, 600 steps: as published the loss is
-0.787, the spread 0.076 and the linear probe 81.0% (random weights 76.1). Without the predictor,
the stop-gradient or both the loss is -0.9997 and the spread 0.002 in all three: collapsed, and the
linear probe is below random weights (72.9, 64.4 and 73.1%).

The projector has no batch norm on its output, unlike the published one: with it, short runs without
the stop-gradient fell onto few directions and not yet onto a point. Probes see the encoder below
the projector, whose gradient vanishes with the collapse: they may stay well above chance. The
setting is that of `experiments/vision_small.py`, for two CPU cores.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.methods import SimSiam
from ssljax.nets import MLP
from ssljax.runs.record import load_file

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
METHOD = SimSiam(
    encoder=SMALL.CONV,
    projector=MLP(widths=(128, 128), hidden_bias=False),
    predictor=MLP(widths=(32, 128), hidden_bias=False),
    view=SMALL.VIEW,
)

SWEEP = {
    "published": SMALL.small(METHOD),
    "no_stop_gradient": SMALL.small(replace(METHOD, stop_gradient=False)),
    "no_predictor": SMALL.small(replace(METHOD, predictor=None)),
    "neither": SMALL.small(replace(METHOD, stop_gradient=False, predictor=None)),
}
