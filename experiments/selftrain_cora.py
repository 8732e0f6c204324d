"""Which of seven fields a paper of Cora belongs to, from 3 or 20 labelled papers of each.

    ssljax selftrain experiments/selftrain_cora.py --data graph:path/to/cora

`path/to/cora` holds ind.cora.x and its kin. The pool is the whole graph of 2,708 papers, and the
test the 1,000 nodes of the public split. A graph network of two layers (GCN) learns from a few
papers, labels the others, and learns from the surest of those as well. Beside it: the same on the
labels of all 1,208 papers outside of the public test and validation nodes.
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Graphs
from ssljax.nets import GCN
from ssljax.pseudolabels.generate import Model
from ssljax.pseudolabels.refine import Weigh
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.selftraining.learners import Network
from ssljax.tasks import GraphInput, OneOf, Task

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=GraphInput(),
            encoder=GCN(widths=(64, 64), dropout=0.5),
            target=OneOf(classes=7),
            dropout=0.5,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=1e-2, per_batch=None, warmup=0, weight_decay=0.1
        ),
        steps=200,
        batch=2712,
        cadence=Cadence(log=100, save=200, keep=1, monitor=0, steps_per_call=10),
    ),
    data="graph:path/to/cora",
    reader=Graphs(train="rest"),
    few=3,
    rounds=Rounds(
        count=3, generate=Model(), select=Greedy(per_class=50, growing=True), refine=(Weigh(),)
    ),
)
