"""Street scenes of CamVid with a tenth of the frames labelled, by UniMatch: no rounds, the pool is
learned from at every step.

    ssljax selftrain experiments/unimatch_camvid.py --data masks:path/to/camvid.zip

Frames, labels, network and test are those of selftrain_camvid.py, beside which it belongs: its
round 0 is what supervised training on the same frames gives, and what is called supervised here is
UniMatch. A batch is 8 frames with masks and 8 without, each seen in three ways.

Measured on a share of two busy CPU cores, 2026-11-30, one seed (`--seeds 0 --no-full`), step 400,
percent of the 233 test frames: mean IoU 28.0 and 72.5% of the pixels, where supervised training on
the same 37 frames has 26.2 and 70.4%, and on all 367 25.3 and 70.0%. One seed does not say how much
of this is chance; pole, sign, pedestrian and cyclist have an IoU of 0 as there. At the last step
48% of the pixels of the pool are sure enough to count. A step takes about five times as long as
there, all in all seven minutes of CPU.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.pseudolabels.rounds import Rounds
from ssljax.runs.record import load_file
from ssljax.selftraining.online import Online

_BASE = load_file(Path(__file__).with_name("selftrain_camvid.py")).SELFTRAIN
_NETWORK = replace(_BASE.learner, share=None)

SELFTRAIN = replace(
    _BASE,
    learner=Online(
        task=_NETWORK.task,
        optimizer=_NETWORK.optimizer,
        steps=_NETWORK.steps,
        batch=_NETWORK.batch,
        cadence=_NETWORK.cadence,
        threshold=0.9,
    ),
    student=_NETWORK,  # of all true labels
    rounds=Rounds(count=0),
)
