"""SimCSE on the sentences of SST-2, from random weights, then their sentiment by probes.

    ssljax train experiments/simcse_sst2.py --data tsv:PATH/sst2

The paper starts from a trained BERT; this one does not, so it shows the path and no more. Not run
to a result yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Text
from ssljax.methods import SimCSE
from ssljax.nets import Bert

EXPERIMENT = Experiment(
    method=SimCSE(
        encoder=Bert(vocab=2048, width=128, depth=4, heads=4, hidden=512, length=48, pool="cls")
    ),
    data="tsv:sst2",
    reader=Text(length=48, vocab=2048),
    optimizer=Optimizer(
        name="adamw", learning_rate=3e-4, per_batch=None, warmup=50, weight_decay=0.01, clip=1.0
    ),
    steps=600,
    batch=64,
    cadence=Cadence(log=50, save=300, monitor=100, steps_per_call=10),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
