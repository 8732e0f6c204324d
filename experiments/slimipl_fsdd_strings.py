"""Strings of spoken digits from 60 that are written down, by slimIPL: labels made anew on the way.

    ssljax selftrain experiments/slimipl_fsdd_strings.py --data audio:PATH/fsdd.zip
    python experiments/strings_score.py RUN

What `selftrain_fsdd_strings.py` does, with one round in place of three: all that the first network
hears in the 1,940 other strings is learnt from, and each of these texts is made anew with
probability .1 whenever it was, by the network as it is then. Not measured yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.runs.record import load_file

_ROUNDS = load_file(Path(__file__).with_name("selftrain_fsdd_strings.py")).SELFTRAIN

SELFTRAIN = replace(
    _ROUNDS,
    student=replace(_ROUNDS.learner, renew=0.1, steps=3 * _ROUNDS.learner.steps),
    rounds=Rounds(count=1, select=Threshold(value=0.0), restart="warm"),
    full=False,
)
