"""Street scenes of CamVid, a class for each pixel (11, driving): a tenth of the frames has labels.

    ssljax selftrain experiments/selftrain_camvid.py --data masks:path/to/camvid.zip

37 of the 367 training frames have masks, drawn by the seed; the network is that of unet_camvid.py,
from random weights. The rounds go as ST++ does (Yang et al. 2021, arXiv:2106.05095): first the more
reliable half of the other frames is learned too, then all of them, each time from fresh weights.
Reliable is here who is sure on average over its pixels, where theirs compares checkpoints; pixels
that are less than 80% sure are ignored.

Measured on a share of two busy CPU cores, 2026-11-30, one seed (`--seeds 0`), step 400, percent of
the 233 test frames: mean IoU 26.2 from the 37, 23.0 and 23.4 after the two rounds, 25.3 on all 367.
There is nothing to gain here: 400 steps do not learn what is in 37 frames, and all of them give no
more. The rounds do harm: the mean IoU of their pixels that count is 33.5 and 27.2, and in the
second 22% of the trees and 21% of the pavement get their right label, but 96% of the road. Seven
minutes of CPU for all four trainings; longer ones were not run.
"""

from pathlib import Path

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Masks
from ssljax.pseudolabels.refine import Parts
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.record import load_file
from ssljax.selftraining.learners import Network

_BASE = load_file(Path(__file__).with_name("unet_camvid.py"))

SELFTRAIN = SelfTraining(
    learner=Network(
        task=_BASE.TASK,
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-3, per_batch=None, warmup=30, weight_decay=1e-3
        ),
        steps=400,
        batch=8,
        share=0.5,
        cadence=Cadence(log=50, save=400, keep=1, monitor=0),
    ),
    data="masks:camvid.zip",
    reader=Masks(size=64, classes=_BASE.CLASSES, ignore=11),
    few=37,
    rounds=Rounds(count=2, select=Greedy(budget=165, growing=True), refine=(Parts(value=0.8),)),
)
