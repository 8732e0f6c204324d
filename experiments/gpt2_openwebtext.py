"""GPT-2 small, 124 million parameters, on web text, as nanoGPT trains it.

    ssljax train experiments/gpt2_openwebtext.py --data text:FOLDER --store gs://bucket/run

12 layers, 768 wide, context 1,024, 480 rows a step (half a million tokens), no dropout. Published
for it: a validation loss of about 2.85 after 600,000 steps (karpathy/nanoGPT). Not run yet: it
takes a slice of chips; `ssljax compile` says what it would need of one.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Text
from ssljax.methods import GPT
from ssljax.nets import GPT2

EXPERIMENT = Experiment(
    method=GPT(encoder=GPT2(dropout=0.0, attention_dropout=0.0, dtype="bfloat16")),
    data="text:openwebtext",
    reader=Text(length=1025, vocab=50257, layout="windows"),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=6e-4,
        per_batch=None,
        warmup=2000,
        weight_decay=0.1,
        b2=0.95,
        clip=1.0,
    ),
    steps=600_000,
    batch=480,
    cadence=Cadence(log=50, evaluate=5000, save=5000, monitor=0),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
