"""A character GPT on tinyshakespeare at the size of nanoGPT's configuration for a GPU.

    ssljax train experiments/gpt_shakespeare_gpu.py --data text:PATH/tinyshakespeare.txt

6 layers, 384 wide, context 256, batch 64, 5,000 steps, dropout 0.2; nanoGPT states a best
validation estimate of 1.4697 for it. Not run yet: it takes an accelerator. It overfits, so watch
eval/heldout_loss, the loss on the whole validation set, every 250 steps.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Text
from ssljax.methods import GPT
from ssljax.nets import GPT2

EXPERIMENT = Experiment(
    method=GPT(
        encoder=GPT2(
            vocab=65,
            width=384,
            depth=6,
            heads=6,
            length=256,
            dropout=0.2,
            attention_dropout=0.2,
            dtype="bfloat16",
        )
    ),
    data="text:tinyshakespeare.txt",
    reader=Text(length=257, vocab=65, tokenizer="characters", layout="windows", specials=()),
    optimizer=Optimizer(
        name="adamw",
        learning_rate=1e-3,
        per_batch=None,
        warmup=100,
        weight_decay=0.1,
        b2=0.99,
        clip=1.0,
    ),
    steps=5000,
    batch=64,
    cadence=Cadence(log=50, evaluate=250, save=1000, monitor=0, steps_per_call=10),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
