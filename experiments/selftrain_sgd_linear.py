"""What a user wants in a dialogue, by logistic regression on words, from 10 turns of each intent.

    ssljax selftrain experiments/selftrain_sgd_linear.py --data dialogues:PATH/sgd

Turns with up to four turns before them, as in `selftrain_sgd_intents.py`, whose BERT this is the
bar for; TF-IDF of word pieces. Three rounds take the surest 30, 60 and 90 turns of each intent.

Measured on one of two shared CPU cores, 2026-12-01, three seeds, percent of the 4,230 test turns:
72.9 +- 1.0 from 270 labels, 72.2 +- 0.7 after the rounds, 83.2 on all: no gain, though 97.6, 96.1
and 94.6% of the pseudo-labels are right. Equally many of each intent is not how they are spread
(from 56 to 976 of a class), and the surest turns are those from which a linear rule has least to
learn. Of the turn alone (`--reader.history 0`): 29.2 +- 1.3, 31.0 +- 0.7 and 49.2. Half a minute.
"""

from dataclasses import dataclass

from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ssljax import SelfTraining
from ssljax.data import Dialogues, Text
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Scikit


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on TF-IDF."""

    c: float = 10.0
    """Inverse of the strength of l2."""

    def __call__(self):
        tfidf = TfidfTransformer(sublinear_tf=True)
        return make_pipeline(tfidf, LogisticRegression(C=self.c, max_iter=200))


_READER = Dialogues(text=Text(length=64, vocab=2048), history=4)

SELFTRAIN = SelfTraining(
    learner=Scikit(estimator=Logistic(), reader=_READER),
    data="dialogues:sgd",
    reader=_READER,
    few=10,
    rounds=Rounds(count=3, select=Greedy(per_class=30, growing=True)),
)
