"""BERT on the letters of genes, then splice junctions (donor, acceptor, neither) from 10 of each.

    ssljax train experiments/bert_splice.py --data letters:PATH/splice/splice.data \\
        --workdir runs/bert
    ssljax selftrain experiments/selftrain_splice.py --data letters:PATH/splice/splice.data \\
        --begin runs/bert

Each round labels the pool anew with the network, keeps the most confident of each kind, 100 more a
round, and trains again from BERT's weights. Logistic regression on the letters themselves is
`selftrain_splice_linear.py`.
"""

from pathlib import Path

from ssljax import Optimizer, SelfTraining
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.record import load_file
from ssljax.selftraining.learners import Network
from ssljax.tasks import OneOf, Task, TokenInput

_BERT = load_file(Path(__file__).with_name("bert_splice.py")).EXPERIMENT

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=TokenInput(drop=0.1),
            encoder=_BERT.method.encoder,
            target=OneOf(classes=3),
            dropout=0.1,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=5e-4, per_batch=None, warmup=20, weight_decay=0.01, clip=1.0
        ),
        steps=100,
        batch=64,
        share=0.5,
    ),
    data="letters:splice/splice.data",
    reader=_BERT.reader,
    few=10,
    rounds=Rounds(count=3, select=Greedy(per_class=100, growing=True)),
)
