"""BERT on the letters of splice junctions of primates, without their classes, on two CPU cores.

ssljax train experiments/bert_splice.py --data letters:PATH/splice/splice.data
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Letters, Text
from ssljax.methods import BERT
from ssljax.nets import Bert
from ssljax.probes import Evaluation, FewShot

EXPERIMENT = Experiment(
    method=BERT(
        encoder=Bert(
            vocab=16,
            width=64,
            depth=3,
            heads=4,
            hidden=256,
            length=62,
            dropout=0.0,
            attention_dropout=0.0,
            pool="cls",
        ),
    ),
    data="letters:splice/splice.data",
    reader=Letters(text=Text(tokenizer="characters", vocab=16, length=62, lowercase=False)),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, per_batch=None, warmup=100, weight_decay=0.01, clip=1.0
    ),
    steps=2000,
    batch=64,
    cadence=Cadence(log=100, save=1000, monitor=0, steps_per_call=10),
    evaluation=Evaluation(few_shot=FewShot(shots=(10,), draws=5), retrieval=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
