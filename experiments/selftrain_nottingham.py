"""The dance of a tune from 5 labels of each (hornpipes, jigs, morris, reels, waltzes), by rounds on
what MusicVAE makes of it.

    ssljax train experiments/musicvae_nottingham.py --data midi:path/to/nottingham.zip \
        --workdir runs/musicvae
    python experiments/music_score.py codes runs/musicvae --out codes
    ssljax selftrain experiments/selftrain_nottingham.py --data csv:codes/musicvae \
        --workdir runs/dances
    ssljax selftrain experiments/selftrain_nottingham.py --data csv:codes/intervals
    ssljax selftrain experiments/selftrain_nottingham.py --data csv:codes/random

A tune is the mean of the codes of all its pieces of two bars; "random" are those of the same
network before it was trained, "intervals" are histograms of the steps between notes. Teacher and
student are logistic regressions, which train until they converge. Each round labels the pool anew
and keeps the surest of each class, 15 more a round. The tunes that pretraining held out for the
test are held out here too.

Which tunes to recommend to who likes one of them is said by

    python experiments/music_score.py recommend codes --styles runs/dances

Not run yet.
"""

from dataclasses import dataclass

from sklearn.linear_model import LogisticRegression

from ssljax import SelfTraining
from ssljax.data import Table
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Scikit


@dataclass(frozen=True)
class Logistic:
    """Logistic regression."""

    c: float = 0.1
    """Inverse of the strength of l2."""

    def __call__(self):
        return LogisticRegression(C=self.c, max_iter=500)


SELFTRAIN = SelfTraining(
    learner=Scikit(estimator=Logistic()),
    data="csv:codes/musicvae",
    reader=Table(drop=("tune",)),
    few=5,
    rounds=Rounds(count=3, select=Greedy(per_class=15, growing=True)),
)
