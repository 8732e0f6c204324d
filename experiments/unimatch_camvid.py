"""Street scenes of CamVid with a tenth of the frames labelled, by UniMatch: no rounds, the pool is
learned from at every step.

    ssljax selftrain experiments/unimatch_camvid.py --data masks:path/to/camvid.zip

Frames, labels, network and test are those of selftrain_camvid.py, beside which it belongs: its
round 0 is what supervised training on the same frames gives, and what is called supervised here is
UniMatch. A batch is 8 frames with masks and 8 without, each seen in three ways. Not run yet.
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
