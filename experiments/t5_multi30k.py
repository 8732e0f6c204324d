"""T5 on the captions of Multi30k in both languages, without a word of which means which.

    ssljax train experiments/t5_multi30k.py --data "text:PATH/multi30k/train.*.gz"

29,000 captions in German and as many in English, one a row, a vocabulary of 8,000 for both; 3 + 3
blocks, 256 wide, spans as in the paper. What selftrain_multi30k.py begins from:

    ssljax selftrain experiments/selftrain_multi30k.py --data parallel:PATH/multi30k \\
        --begin RUN --reader.text.tokenizer RUN/tokenizer.json

Not measured yet.
"""

from pathlib import Path

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Text
from ssljax.methods import T5
from ssljax.runs.record import load_file

_TASK = load_file(Path(__file__).with_name("selftrain_multi30k.py"))

EXPERIMENT = Experiment(
    method=T5(encoder=_TASK.ENCODER),
    data="text:multi30k/train.*.gz",
    reader=Text(length=64, vocab=8000, tokenizer="bpe", lowercase=False, unit="line"),
    optimizer=Optimizer(name="adamw", learning_rate=1e-3, per_batch=None, warmup=200, clip=1.0),
    steps=3000,
    batch=64,
    cadence=Cadence(log=100, save=1000, keep=1),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
