"""BERT on the English image captions of Multi30k, on two CPU cores; the captions have no labels.

    ssljax train experiments/bert_multi30k.py --data "text:PATH/multi30k/*.en.gz"
    ssljax train experiments/bert_multi30k.py --data "text:PATH/multi30k/*.de.gz"    # German

The network and the budget of `bert_sst2.py`, one caption a row, 29,000 of them. Masked accuracy is
that on the 1,000 test captions, beside that of always guessing the most frequent token. Measured on
English on a shared CPU core, 2026-11-29, one seed, last step, 600 steps: 24.6% (10.9%), loss 4.76
nats (5.73 by the frequencies of the tokens).
"""

from dataclasses import replace
from pathlib import Path

from ssljax.data import Text
from ssljax.runs.record import load_file

SST2 = load_file(Path(__file__).with_name("bert_sst2.py")).EXPERIMENT

EXPERIMENT = replace(
    SST2, data="text:multi30k/*.en.gz", reader=Text(length=48, vocab=2048, unit="line")
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
