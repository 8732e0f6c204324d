"""BERT on the letters of splice junctions of primates, without their classes, on two CPU cores.

    ssljax train experiments/bert_splice.py --data letters:PATH/splice/splice.data

3,190 sequences of 60 letters, with a junction in the middle (donor, EI; acceptor, IE) or none (N).
3 layers, 64 wide. Measured on one of two shared CPU cores, 2026-11-30, one seed, step 2,000, about
9 minutes: classes by a linear probe on 10 labels of each 75.6 ± 4.2% (the same network at random
weights 46.2, which letter stands at each place 70.2); on all labels 90.0 ± 1.3 (76.1 and 95.9). So
few labels are worth more on its features than on the letters themselves, and all labels less.
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
