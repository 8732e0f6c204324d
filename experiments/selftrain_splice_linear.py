"""Splice junctions of genes from 10 labels of each kind, by logistic regression on their letters.

ssljax selftrain experiments/selftrain_splice_linear.py --data letters:PATH/splice/splice.data
"""

from dataclasses import dataclass

from sklearn.linear_model import LogisticRegression

from ssljax import SelfTraining
from ssljax.data import Letters, Text
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Scikit


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on which letter is at each place."""

    c: float = 0.1
    """Inverse of the strength of l2."""

    def __call__(self):
        return LogisticRegression(C=self.c, max_iter=500)


_READER = Letters(text=Text(tokenizer="characters", vocab=16, length=62, lowercase=False))

SELFTRAIN = SelfTraining(
    learner=Scikit(estimator=Logistic(), reader=_READER),
    data="letters:splice/splice.data",
    reader=_READER,
    few=10,
    rounds=Rounds(count=6, select=Greedy(per_class=100, growing=True)),
)
