"""A ByteNet on masked amino acids of 111 protein chains, on two CPU cores.

    ssljax train experiments/bytenet_proteins.py --data letters:PATH/protein_secondary_structure

Not run to its end yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Letters, Text
from ssljax.methods import BERT
from ssljax.nets import ByteNet

EXPERIMENT = Experiment(
    method=BERT(encoder=ByteNet(vocab=25, width=128, depth=4, kernel=5, dilations=3)),
    data="letters:protein_secondary_structure",
    reader=Letters(text=Text(tokenizer="characters", vocab=25, length=500, lowercase=False)),
    optimizer=Optimizer(
        name="adamw", learning_rate=1e-3, per_batch=None, warmup=50, weight_decay=0.01, clip=1.0
    ),
    steps=300,
    batch=16,
    cadence=Cadence(log=50, save=300, monitor=0),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
