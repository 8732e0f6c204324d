"""BERT on sentences without labels, then the sentiment of SST-2 from 10 sentences of each class.

    ssljax selftrain experiments/selftrain_sst2.py --data tsv:path/to/sst2
    ssljax selftrain experiments/selftrain_sst2.py --data tsv:path/to/sst2 --few 200

4 layers, 128 wide, that of `bert_sst2.py`: masked words of the 6,920 training sentences first, then
rounds in which the network labels all of them, keeps the surest of each class, 500 more a round,
and learns anew from those and the true labels, half of each batch. Words are left out at random.

Measured with --few 100 on a shared CPU core, 2026-11-29, three seeds, last round and last step,
percent: supervised 59.4 ± 1.0, self-trained 58.6 ± 0.4, fully supervised 71.2 ± 1.5: no help.
Pseudo-labels 71.3 and 68.2% right on 15 and 30% of the pool. With 10 of each class 50.7 ± 2.7,
51.8 ± 3.9 and 71.2: nothing is learnt, and pseudo-labels are 54.4 and 53.6% right. Rules that a
person writes help much more (`selftrain_sst2_rules.py`).
"""

from pathlib import Path

from ssljax import Optimizer, SelfTraining
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.record import load_file
from ssljax.selftraining.learners import Network
from ssljax.tasks import OneOf, Task, TokenInput

_BERT = load_file(Path(__file__).with_name("bert_sst2.py")).EXPERIMENT

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=TokenInput(drop=0.1),
            encoder=_BERT.method.encoder,
            target=OneOf(classes=2),
            dropout=0.1,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-4, per_batch=None, warmup=20, weight_decay=0.01, clip=1.0
        ),
        steps=200,
        batch=32,
        share=0.5,
    ),
    data="tsv:sst2",
    reader=_BERT.reader,
    few=10,
    rounds=Rounds(count=2, select=Greedy(per_class=500, growing=True)),
    pretrain=_BERT,
)
