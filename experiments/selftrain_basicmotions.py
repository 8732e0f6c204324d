"""A fully convolutional network on motions of a watch (BasicMotions, 4 classes), one label of each.

    ssljax selftrain experiments/selftrain_basicmotions.py --data ts:path/to/basicmotions

The folder holds the .ts files of the UEA archive: 40 series for training and 40 for the test, six
channels, 100 steps; rows are as long as the longest series of whatever data is named. Each round
labels the pool with the network of the round before, takes the surest three of each class, three
more a round, and trains a fresh one. InceptionTime in its place, or the LSTM of
`selftrain_vowels.py`, is a line of a file of one's own.

Measured on one of two shared CPU cores, 2026-12-01, three seeds, last step, percent of the 40 test
series: 100 from the four labels, 100 after the rounds, 100 on all, and all pseudo-labels are right:
there is nothing to gain. The LSTM of `selftrain_vowels.py` has 95.0 +- 6.6 from four labels.
"""

from ssljax import Optimizer, SelfTraining
from ssljax.data import TimeSeries
from ssljax.nets import FCN
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import OneOf, SeriesInput, Task

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=SeriesInput(noise=0.1, scale=0.1),
            encoder=FCN(widths=(32, 64, 32)),
            target=OneOf(classes=4),
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=1e-3, per_batch=None, warmup=10, weight_decay=1e-3, clip=1.0
        ),
        steps=100,
        batch=16,
        share=0.5,
    ),
    data="ts:basicmotions",
    reader=TimeSeries(),
    few=1,
    rounds=Rounds(count=3, select=Greedy(per_class=3, growing=True)),
)
