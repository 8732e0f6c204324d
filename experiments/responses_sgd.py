"""Which answer belongs to what was said: a dual encoder on dialogues, from random weights.

    ssljax train experiments/responses_sgd.py --data dialogues:PATH/sgd

BERT of two layers reads a turn of the user with up to four turns before it, and what the service
answers, 48 tokens each; 15,277 pairs of 1,732 dialogues. The test part has 4,823 pairs of other
dialogues, a few of services that training has not.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Dialogues, Text
from ssljax.methods import DualEncoder
from ssljax.nets import MLP, Bert
from ssljax.probes import Evaluation

_HEAD = MLP(widths=(256,), norm=False, output_bias=False)

EXPERIMENT = Experiment(
    method=DualEncoder(
        encoder=Bert(vocab=2048, width=128, depth=0, heads=4, length=48),
        projector=_HEAD,
        partner_projector=_HEAD,
    ),
    data="dialogues:sgd",
    reader=Dialogues(text=Text(length=48, vocab=2048), history=4, answers=True),
    optimizer=Optimizer(
        name="adamw", learning_rate=2e-3, per_batch=None, warmup=30, weight_decay=0.01, clip=1.0
    ),
    steps=300,
    batch=128,
    cadence=Cadence(log=100, save=300, monitor=0, steps_per_call=10),
    evaluation=Evaluation(linear=None, knn=None, few_shot=None, clustering=None, retrieval=None),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
