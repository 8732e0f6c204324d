"""Membranes of neurons, slices of an electron microscope (ISBI 2012), all 20 training slices known.

    ssljax selftrain experiments/unet_isbi.py --data masks:path/to/isbi2012_membrane.zip

The U-Net, the slices and the test (the last 10 slices) are those of selftrain_isbi.py, for longer:
there 160 steps leave nothing between 3 labels and all. `--few 3` is what to close. Not run yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import Cadence
from ssljax.pseudolabels.rounds import Rounds
from ssljax.runs.record import load_file

_BASE = load_file(Path(__file__).with_name("selftrain_isbi.py")).SELFTRAIN

SELFTRAIN = replace(
    _BASE,
    learner=replace(
        _BASE.learner,
        steps=600,
        share=None,
        cadence=Cadence(log=50, save=600, keep=1, monitor=0),
    ),
    few=20,
    full=False,
    rounds=Rounds(count=0),
)
