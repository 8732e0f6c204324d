"""Ratings of users of whom five are known (MovieLens 100K), and what pseudo-labels add.

    ssljax selftrain experiments/selftrain_movielens.py --data interactions:path/to/ml-100k

Five random ratings of each of the 943 users are known; the pool is what else they rated, without
the numbers. Five networks (DeepFM that gives a mean and a variance, each from other weights and
another order) label it; a rating is sure as far as each is and as they agree. Each round labels the
pool anew, keeps the surest 10,000, 10,000 more a round, weighs each by how sure it is, and trains
fresh networks on those and on the known ones, half of each batch. The test part is a random tenth
of each user's ratings.

RMSE of the ratings, and precision, recall and F1 of those that are 4 or 5; of the test part as of
the pseudo-labels. The pool are films that a user did rate, which is more than a service knows. On
all true ratings of the training part (`full`) it has the same steps; experiments/
deepfm_movielens.py is DeepFM with steps for that.

A try of the whole path, of a few steps:

    ssljax selftrain experiments/selftrain_movielens.py --data interactions:path/to/ml-100k
        --learner.steps 3 --learner.members 2 --rounds.count 1 --seeds 0 --full False

Measured on one of two shared CPU cores, 2026-11-30, one seed (--seeds 0), last step (600) of the
last round, 9,596 test ratings; nobody has tuned it, and one seed does not say what is chance:

                           RMSE     precision, recall, F1 of 4 and 5
    supervised             1.134    73.6  40.6  52.3       4,715 ratings
    self-trained           1.109    73.1  39.8  51.5       rounds: 1.106, 1.106, 1.109
    all ratings            .926     83.9  39.9  54.1

    pseudo-labels          1.142, 1.086, 1.086             of 13, 26 and 39% of the pool

RMSE falls by .025, of the .209 to all ratings; F1 does not gain. Both are poor: to say the mean of
the test ratings always is an RMSE of 1.123. 600 steps go over the 4,715 ratings 65 times, too
often, and what the networks are sure of is no better than the rest: the surest 13% of round 1 have
an RMSE of 1.142, all of the pool 1.149.
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Interactions
from ssljax.nets import MLP, DeepFields, FieldVectors
from ssljax.pseudolabels.refine import Weigh
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import FieldInput, Task, Value

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=FieldInput(drop=0.2),
            # Users, age, gender, occupation; films, year, up to six genres.
            encoder=DeepFields(
                table=FieldVectors(count=2669, width=17, sizes=(1, 1, 1, 1, 1, 1, 6)),
                deep=MLP(widths=(64, 32), norm=False),
            ),
            target=Value(
                leaves=("rating",), mean=3.5, std=1.1, by="rmse", scale=(1.0, 5.0), at_least=4.0
            ),
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-3, per_batch=None, warmup=20, weight_decay=0.1
        ),
        steps=600,
        batch=512,
        members=5,
        share=0.5,
        cadence=Cadence(log=100, save=600, keep=1, monitor=0, steps_per_call=10),
    ),
    data="interactions:path/to/ml-100k",
    reader=Interactions(),
    few=5,
    each="user",
    rounds=Rounds(count=3, select=Greedy(budget=10_000, growing=True), refine=(Weigh(),)),
)
