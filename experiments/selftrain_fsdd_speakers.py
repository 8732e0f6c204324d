"""Who of six speaks (Free Spoken Digit Dataset), from one or five recordings of each.

    ssljax selftrain experiments/selftrain_fsdd_speakers.py --data audio:PATH/fsdd.zip
    ssljax selftrain experiments/selftrain_fsdd_speakers.py --data audio:PATH/fsdd.zip --few 5

BEST-RQ without labels on the 2,700 recordings of takes 5 to 49 of all six speakers, then the same
network as a classifier: on the few alone, and in three rounds on those and the surest 60, 120 and
180 of each that it labels itself. Scored on takes 0 to 4. Not measured yet.
"""

from dataclasses import replace
from pathlib import Path

from ssljax import Optimizer, SelfTraining
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.record import load_file
from ssljax.selftraining.learners import Network
from ssljax.tasks import OneOf, SoundInput, Task
from ssljax.views import SpecAugment

_BEST_RQ = load_file(Path(__file__).with_name("best_rq_speakers.py")).EXPERIMENT
_READER = replace(_BEST_RQ.reader, test=r"_[0-4]\.wav$")

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=SoundInput(
                frames=replace(
                    _BEST_RQ.method.view,
                    augment=SpecAugment(bands=1, width=6, times=1, frames=10, share=0.2),
                )
            ),
            encoder=_BEST_RQ.method.encoder,
            target=OneOf(classes=6),
            dropout=0.1,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=5e-4, per_batch=None, warmup=30, weight_decay=0.01, clip=1.0
        ),
        steps=300,
        batch=64,
        share=0.5,
    ),
    data="audio:fsdd.zip",
    reader=_READER,
    few=1,
    rounds=Rounds(count=3, select=Greedy(per_class=60, growing=True)),
    pretrain=replace(_BEST_RQ, reader=_READER),
)
