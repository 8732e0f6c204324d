"""DINO: what keeps the teacher from collapsing? Centring and sharpening, each left out, on MNIST.

    ssljax sweep experiments/ablations/dino_centering.py --data parquet:path/to/mnist

The paper (arXiv:2104.14294, section 5.3, figure 7) finds two kinds of collapse that hold each
other: without centring one output wins and the entropy of the teacher goes to 0; without
sharpening, a low teacher temperature, all outputs become equal and it goes to ln K. The curve of
`teacher_entropy` in comparison.html shows both; here ln 256 = 5.5. The setting is that of
`experiments/vision_small.py`, for two CPU cores.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.methods import DINO
from ssljax.nets import DINOHead
from ssljax.runs.record import load_file
from ssljax.views import multi_crop

SMALL = load_file(Path(__file__).parents[1] / "vision_small.py")
METHOD = DINO(
    encoder=SMALL.CONV,
    head=DINOHead(prototypes=256, hidden=128, bottleneck=32, norm=True),
    crops=multi_crop(SMALL.VIEW, split=0.5, local_size=16, local_crops=2),
    tau=0.97,
    freeze=60,
)
BLUNT = {"teacher_temperature": 1.0, "warmup_temperature": 1.0}

SWEEP = {
    "published": SMALL.small(METHOD),
    "no_centring": SMALL.small(replace(METHOD, centre_momentum=1.0)),  # it stays at zero
    "no_sharpening": SMALL.small(replace(METHOD, **BLUNT)),
    "neither": SMALL.small(replace(METHOD, centre_momentum=1.0, **BLUNT)),
}
