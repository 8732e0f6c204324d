"""Secondary structure of proteins from 11 chains whose structure is known: helix, strand or coil.

ssljax selftrain experiments/selftrain_proteins.py --data letters:PATH/protein_secondary_structure
"""

from pathlib import Path

from ssljax import Optimizer, SelfTraining
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Greedy
from ssljax.runs.record import load_file
from ssljax.selftraining.learners import Network
from ssljax.tasks import Tags, Task, TokenInput

_MASKED = load_file(Path(__file__).with_name("bytenet_proteins.py")).EXPERIMENT

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=TokenInput(drop=0.3),
            encoder=_MASKED.method.encoder,
            target=Tags(tags=("_", "e", "h"), sure="mean"),
            dropout=0.5,
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=5e-4, per_batch=None, warmup=20, weight_decay=0.3, clip=1.0
        ),
        steps=200,
        batch=16,
        share=0.5,
    ),
    data="letters:protein_secondary_structure",
    reader=_MASKED.reader,
    few=11,
    rounds=Rounds(count=1, select=Greedy(budget=100)),
)
