"""BERT on the sentences of SST-2 alone, then their sentiment by probes, on two CPU cores.

    ssljax train experiments/bert_sst2.py --data tsv:PATH/sst2

4 layers, 128 wide, 2,048 word pieces, trained on the 6,920 training sentences without labels.
Beside masked accuracy stands that of always guessing the most frequent token, and beside the probes
the same network at random weights and the counts of word pieces. On two shared CPU cores,
2026-11-28, one seed, last step: masked accuracy 10.0% (3.1%); sentiment by linear probe 61.9%
(random 61.1%, counts 78.0%); `ssljax probe RUN --finetune --steps 200`, 2026-11-29: 77.3%, from
random weights 78.3%: so few sentences and steps teach nothing about sentiment.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Text
from ssljax.methods import BERT
from ssljax.nets import Bert
from ssljax.probes import Evaluation, FewShot

EXPERIMENT = Experiment(
    method=BERT(
        encoder=Bert(
            vocab=2048,
            width=128,
            depth=4,
            heads=4,
            hidden=512,
            length=48,
            dropout=0.0,
            attention_dropout=0.0,
        )
    ),
    data="tsv:sst2",
    reader=Text(length=48, vocab=2048),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, per_batch=None, warmup=50, weight_decay=0.01, clip=1.0
    ),
    steps=600,
    batch=64,
    cadence=Cadence(log=50, save=300, monitor=0, steps_per_call=10),
    evaluation=Evaluation(few_shot=FewShot(shots=(10,), draws=3), retrieval=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
